//! Signals: held from the first instructions, read one by one, given back as they were found.
//!
//! The kernel drops a signal to PID 1 that has its default action, and keeps a blocked one. So everything but the
//! fault signals is blocked before `main`, where this process is PID 1, and signals are read from a descriptor.
//! Rust's runtime sets SIGPIPE to ignored before `main`: how it was found is seen before that, in `.init_array`.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd,
};

use super::leftovers::{self, Known};
use volume::error::{Code, Error, Result};

/// The kernel's signal set: bit n-1 is signal n. (musl's own functions hide the signals 32 to 34.)
pub type Mask = u64;

/// Signals that a process brings upon itself by a fault.
pub(super) const FAULTS: [i32; 7] =
    [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// The signals that ask this process to stop.
const STOPS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP];

/// Signals that this process may have brought upon itself, by writing to a log that nobody reads, for one. Blocked,
/// they stay pending even where they are ignored, and would kill the server in its first instruction.
const OWN_DOING: [libc::c_int; 5] = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGTTOU, libc::SIGTTIN, libc::SIGCHLD];

/// How this process found its signals: what children and the server are given back.
#[derive(Clone, Copy, Debug)]
pub struct InheritedSignals {
    mask: Mask,
    pipe: libc::sighandler_t,
    child: libc::sighandler_t,
}

static FOUND: OnceLock<InheritedSignals> = OnceLock::new();

/// What is held: all but the fault signals.
pub const HELD: Mask = all_but_faults();

/// A signal to stop was taken note of.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// A server runs, and its signals must not wait.
static ATTENDING: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the loader calls each pointer in this section once, before `main`, on the only thread.
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    let now = change_mask(libc::SIG_BLOCK, 0);
    let _ =
        FOUND.set(InheritedSignals { mask: now, pipe: disposition(libc::SIGPIPE), child: disposition(libc::SIGCHLD) });
    if unistd::getpid().as_raw() == 1 {
        change_mask(libc::SIG_BLOCK, HELD);
    }
}

impl InheritedSignals {
    /// How they were found.
    #[must_use]
    pub fn get() -> Self {
        let now = || Self { mask: change_mask(libc::SIG_BLOCK, 0), pipe: libc::SIG_DFL, child: libc::SIG_DFL };
        *FOUND.get_or_init(now)
    }

    /// Puts everything back: for a child between fork and exec, and before this process becomes the server. System
    /// calls only.
    pub fn restore(&self) {
        set_disposition(libc::SIGPIPE, self.pipe);
        set_disposition(libc::SIGCHLD, self.child);
        change_mask(libc::SIG_SETMASK, self.mask);
    }
}

/// For a verb that starts no server: signals do what they do by default.
pub fn release() {
    change_mask(libc::SIG_SETMASK, InheritedSignals::get().mask);
}

/// Whether a signal to stop has come, seen or still held: for whoever would wait for something that may never come.
#[must_use]
pub fn asked_to_stop() -> bool {
    let mut pending: Mask = 0;
    // SAFETY: the kernel's set has 8 bytes; the pointer is to a live u64.
    unsafe {
        libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, size_of::<Mask>());
    }
    let held = STOPS.into_iter().any(|stop| pending & (1 << (stop as i32 - 1)) != 0 && !ignored(stop));
    held || STOPPING.load(Ordering::Relaxed)
}

/// Whether a server runs that this process attends to: it must not wait for anything else.
#[must_use]
pub fn attending() -> bool {
    ATTENDING.load(Ordering::Relaxed)
}

/// Has this process sent this signal when its parent ends: it stays so when the process becomes another.
pub fn when_parent_ends(signal: i32) {
    // SAFETY: takes a number; the parent's end is all that it is about.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal);
    }
}

/// The signals of a process that starts a server. There is one of it.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    stop: Option<Signal>,
    fresh: Vec<Signal>,
    known: Option<Known>,
    was_subreaper: bool,
}

impl Signals {
    /// Blocks all but the fault signals, and has orphans of children become children of this process.
    ///
    /// # Errors
    /// Where the kernel has no `signalfd`.
    pub fn hold() -> Result<Self> {
        let found = InheritedSignals::get();
        change_mask(libc::SIG_BLOCK, HELD);
        // Inherited as ignored, children would vanish unwaited for.
        set_disposition(libc::SIGCHLD, libc::SIG_DFL);
        let watched = STOPS.into_iter().filter(|signal| !ignored(*signal)).chain([Signal::SIGCHLD]);
        let fd = SignalFd::with_flags(&watched.collect::<SigSet>(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(|errno| {
                found.restore();
                Error::new(Code::Unexpected, format!("signals cannot be read (signalfd): {}", errno.desc()))
            })?;
        let was_subreaper = prctl::get_child_subreaper().unwrap_or(false);
        if unistd::getpid().as_raw() != 1 {
            // Without it (a seccomp filter), orphans go to the real PID 1, which reaps them.
            let _ = prctl::set_child_subreaper(true);
        }
        Ok(Self { fd, stop: None, fresh: Vec::new(), known: None, was_subreaper })
    }

    /// The first signal that asked this process to stop.
    #[must_use]
    pub const fn stop(&self) -> Option<Signal> {
        self.stop
    }

    /// Signals to stop that have come since this was asked last: to forward.
    pub fn fresh(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.fresh)
    }

    /// Takes note of the processes that are there, before the first child is started.
    pub fn know_processes(&mut self) {
        self.known.get_or_insert_with(leftovers::known);
    }

    /// There was none before the child that the entry point started.
    pub fn knew_no_process(&mut self) {
        self.known.get_or_insert_with(Known::new);
    }

    /// Descendants of this process that were there before it started any.
    pub(super) const fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Looks for signals that have come.
    pub fn look(&mut self) {
        while let Ok(Some(info)) = self.fd.read_signal() {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            let Some(signal) = signal.filter(|signal| *signal != Signal::SIGCHLD) else { continue };
            self.stop.get_or_insert(signal);
            STOPPING.store(true, Ordering::Relaxed);
            self.fresh.push(signal);
        }
    }

    /// From now on a server runs: what this process brought upon itself before is none of the server's business, and its
    /// log no longer waits for a reader.
    pub fn attend(&mut self) {
        OWN_DOING.into_iter().for_each(discard);
        ATTENDING.store(true, Ordering::Relaxed);
    }

    /// The next signal, of all that are held, by its number; `None` where it is time, or there was an interruption.
    /// Those that this process brought upon itself are not shown. It allocates nothing.
    pub fn next(&mut self, until: Option<Instant>) -> Option<i32> {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let (number, sender) = take(HELD, left)?;
        (sender != unistd::getpid().as_raw()).then_some(number)
    }

    /// Waits until a signal has come, one of these descriptors is ready, or it is time. Which of them are ready.
    ///
    /// # Errors
    /// Where the kernel has no memory for it.
    pub fn wait(&mut self, others: &[(BorrowedFd<'_>, PollFlags)], until: Option<Instant>) -> Result<Vec<bool>> {
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up: a wait that ends a moment early would spin.
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        fds.extend(others.iter().map(|(fd, events)| PollFd::new(*fd, *events)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::new(Code::Unexpected, format!("cannot wait: {}", errno.desc()))),
        }
        let ready = fds[1..].iter().map(|fd| fd.any().unwrap_or(true)).collect();
        drop(fds);
        self.look();
        Ok(ready)
    }

    /// Gives everything back as it was found: this process becomes another, or stops holding signals.
    pub fn give_back(&self) {
        OWN_DOING.into_iter().for_each(discard);
        if unistd::getpid().as_raw() != 1 {
            let _ = prctl::set_child_subreaper(self.was_subreaper);
        }
        InheritedSignals::get().restore();
    }
}

const fn all_but_faults() -> Mask {
    let (mut mask, mut index) = (Mask::MAX, 0);
    while index < FAULTS.len() {
        mask &= !(1 << (FAULTS[index] - 1));
        index += 1;
    }
    mask
}

/// A shell sets SIGINT and SIGQUIT of its background jobs, and `nohup` sets SIGHUP, to ignored: that is respected.
/// SIGTERM always stops.
fn ignored(signal: Signal) -> bool {
    signal != Signal::SIGTERM && disposition(signal as i32) == libc::SIG_IGN
}

/// Changes the mask of this thread; returns the one before.
fn change_mask(how: libc::c_int, mask: Mask) -> Mask {
    let mut old: Mask = 0;
    // SAFETY: the kernel's set has 8 bytes on every Linux that Rust's std runs on; both pointers are to live u64s.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut old, size_of::<Mask>());
    }
    old
}

/// Takes a signal off the list of those that are pending.
fn discard(signal: libc::c_int) {
    let _ = take(1 << (signal - 1), Some(Duration::ZERO));
}

/// Waits for one of these signals, for ever or for a while: its number, and the process that sent it where one did.
fn take(set: Mask, longest: Option<Duration>) -> Option<(libc::c_int, libc::pid_t)> {
    let longest = longest.map(|longest| libc::timespec {
        tv_sec: longest.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    });
    let timeout = longest.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel's set has 8 bytes; the pointers are to live values, or null where nothing is wanted. All zeroes
    // is a valid siginfo, and the field that is read is the sender's where a process sent the signal.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let number =
            libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set, &raw mut info, timeout, size_of::<Mask>());
        if number > 0 {
            let sender = if info.si_code == libc::SI_USER { info.si_pid() } else { 0 };
            return Some((number as libc::c_int, sender));
        }
    }
    if !matches!(Errno::last(), Errno::EAGAIN | Errno::EINTR) {
        // A filter that forbids the call must not have this process spin.
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

fn disposition(signal: libc::c_int) -> libc::sighandler_t {
    // SAFETY: all zeroes is a valid sigaction, which the call fills in; it changes nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action);
        action.sa_sigaction
    }
}

/// `handler` is SIG_DFL or SIG_IGN: nothing else can be inherited.
fn set_disposition(signal: libc::c_int, handler: libc::sighandler_t) {
    let handler = if handler == libc::SIG_IGN { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: no function is installed, so nothing runs in a signal handler.
    unsafe {
        libc::signal(signal, handler);
    }
}
