//! Signals: blocked from the first instructions, read one by one, restored before exec.
//!
//! The kernel discards a signal to PID 1 whose action is the default, but keeps a blocked one pending. So PID 1 blocks all
//! signals except fault signals before `main`, and reads them from a descriptor. Rust's runtime sets SIGPIPE to ignored
//! before `main`, so the inherited disposition is recorded even earlier, in `.init_array`.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
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

use super::{
    Routes,
    leftovers::{self, Known},
};
use volume::error::{Code, Error, Result};

/// The kernel's signal set: bit n-1 is signal n. (musl's own functions hide the signals 32 to 34.)
type Mask = u64;

/// Signals that a fault raises in the process itself.
pub(super) const FAULTS: [i32; 7] =
    [libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// The signals that ask this process to stop.
const STOPS: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP];

/// Signals that this process may have caused itself, for example by writing to a closed log. Blocked signals stay pending,
/// even ignored ones, and would kill the server at its first instruction.
const SELF_CAUSED: [libc::c_int; 5] = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGTTOU, libc::SIGTTIN, libc::SIGCHLD];

/// The signal mask and dispositions that this process inherited, and that children and the server get.
#[derive(Clone, Copy, Debug)]
pub struct InheritedSignals {
    mask: Mask,
    pipe: libc::sighandler_t,
    child: libc::sighandler_t,
}

static INHERITED: OnceLock<InheritedSignals> = OnceLock::new();

/// The signals that are blocked.
const BLOCKED: Mask = all_but_faults();

/// The signals that stop this process at once, for [`asked_to_stop`].
static STOP_MASK: AtomicU64 = AtomicU64::new(0);

static STOPPING: AtomicBool = AtomicBool::new(false);

/// Whether a supervised server runs, whose signals must not be delayed.
static ATTENDING: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the loader calls each pointer in this section once, before `main`, on the only thread.
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = at_start;

extern "C" fn at_start() {
    let now = change_mask(libc::SIG_BLOCK, 0);
    let _ = INHERITED.set(InheritedSignals {
        mask: now,
        pipe: disposition(libc::SIGPIPE),
        child: disposition(libc::SIGCHLD),
    });
    if unistd::getpid().as_raw() == 1 {
        change_mask(libc::SIG_BLOCK, BLOCKED);
    }
}

impl InheritedSignals {
    /// The state at the start of this process.
    #[must_use]
    pub fn get() -> Self {
        let now = || Self { mask: change_mask(libc::SIG_BLOCK, 0), pipe: libc::SIG_DFL, child: libc::SIG_DFL };
        *INHERITED.get_or_init(now)
    }

    /// Restores mask and dispositions, in a child between fork and exec or before this process becomes the server. Makes
    /// system calls only.
    pub fn restore(&self) {
        set_disposition(libc::SIGPIPE, self.pipe);
        set_disposition(libc::SIGCHLD, self.child);
        change_mask(libc::SIG_SETMASK, self.mask);
    }
}

/// Restores the inherited mask, for a command that starts no server.
pub fn release() {
    change_mask(libc::SIG_SETMASK, InheritedSignals::get().mask);
}

/// Whether a stop signal has arrived, read or still pending. Check it before a wait that may never end.
#[must_use]
pub fn asked_to_stop() -> bool {
    pending() & STOP_MASK.load(Ordering::Relaxed) != 0 || STOPPING.load(Ordering::Relaxed)
}

/// Whether this process supervises a server, so that it must not wait for anything else.
#[must_use]
pub fn attending() -> bool {
    ATTENDING.load(Ordering::Relaxed)
}

/// Sets the signal that this process gets when its parent ends. It stays set after exec.
pub fn when_parent_ends(signal: i32) {
    // SAFETY: prctl takes a number here, and affects only this process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, signal);
    }
}

/// The signals of a process that starts a server. A process creates only one of these.
#[derive(Debug)]
pub struct Signals {
    fd: SignalFd,
    /// The signals that stop a start, each with the signal that it stands for.
    stops: Vec<(i32, Signal)>,
    stop: Option<Signal>,
    fresh: Vec<Signal>,
    /// Signals that came from outside before the server existed.
    early: Vec<i32>,
    known: Option<Known>,
    was_subreaper: bool,
}

impl Signals {
    /// Blocks all but the fault signals and makes this process a subreaper. Besides the usual stop signals, each signal that
    /// `routes` rewrites to one of them stops the start: an image may have another STOPSIGNAL.
    pub fn hold(routes: &Routes) -> Result<Self> {
        let found = InheritedSignals::get();
        change_mask(libc::SIG_BLOCK, BLOCKED);
        // If SIGCHLD were inherited as ignored, the kernel would reap children and discard their status.
        set_disposition(libc::SIGCHLD, libc::SIG_DFL);
        // A terminal that is closed asks to stop. From a process, SIGHUP asks to load settings again: without a terminal it
        // stays pending for the server.
        let counts = |signal: &Signal| !ignored(*signal) && (*signal != Signal::SIGHUP || has_terminal());
        let usual: Vec<(i32, Signal)> =
            STOPS.into_iter().filter(counts).map(|signal| (signal as i32, signal)).collect();
        let rewritten = routes.rewritten().filter_map(|(from, to)| {
            let to = STOPS.into_iter().find(|stop| *stop as i32 == to)?;
            usual.iter().all(|(number, _)| *number != from).then_some((from, to))
        });
        let stops: Vec<(i32, Signal)> = rewritten.chain(usual.iter().copied()).collect();
        let bits = stops.iter().map(|(number, _)| 1 << (number - 1));
        STOP_MASK.store(bits.fold(0, |mask: Mask, bit| mask | bit), Ordering::Relaxed);
        let watched = set_of(stops.iter().map(|(number, _)| *number).chain([libc::SIGCHLD]));
        let fd = SignalFd::with_flags(&watched, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map_err(|errno| {
            found.restore();
            Error::new(Code::Unexpected, format!("cannot read signals (signalfd): {}", errno.desc()))
        })?;
        let was_subreaper = prctl::get_child_subreaper().unwrap_or(false);
        if unistd::getpid().as_raw() != 1 {
            // If a seccomp filter forbids it, the real PID 1 adopts and reaps orphans.
            let _ = prctl::set_child_subreaper(true);
        }
        Ok(Self { fd, stops, stop: None, fresh: Vec::new(), early: Vec::new(), known: None, was_subreaper })
    }

    /// The first stop signal that was read.
    #[must_use]
    pub const fn stop(&self) -> Option<Signal> {
        self.stop
    }

    /// The stop signals since the last call, to be forwarded.
    pub fn fresh(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.fresh)
    }

    /// Records the existing descendants, before the first child is started. They are never leftovers.
    pub fn record_processes(&mut self) {
        self.known.get_or_insert_with(leftovers::known);
    }

    /// The descendants that existed before this process started a child.
    pub(super) const fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Reads pending signals without waiting.
    pub fn poll(&mut self) {
        while let Ok(Some(info)) = self.fd.read_signal() {
            let stop = self.stops.iter().find(|(number, _)| u32::try_from(*number) == Ok(info.ssi_signo));
            let Some(&(_, signal)) = stop else { continue };
            self.stop.get_or_insert(signal);
            STOPPING.store(true, Ordering::Relaxed);
            self.fresh.push(signal);
        }
    }

    /// Starts supervision: discards signals that were not meant for the server, and stops waiting for the reader of the log.
    pub fn attend(&mut self) {
        self.early = self.discard_early();
        ATTENDING.store(true, Ordering::Relaxed);
    }

    /// Waits for the next blocked signal and returns its number; `None` after `until` or an interruption, and for a signal
    /// that this process sent itself. Allocates nothing.
    pub fn next(&mut self, until: Option<Instant>) -> Option<i32> {
        if let Some(number) = self.early.pop() {
            return Some(number);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let (number, sender) = take(BLOCKED, left)?;
        (sender != unistd::getpid().as_raw()).then_some(number)
    }

    /// Waits for a signal, for one of these descriptors, or until `until`. Returns which descriptors are ready.
    pub fn wait(&mut self, others: &[(BorrowedFd<'_>, PollFlags)], until: Option<Instant>) -> Result<Vec<bool>> {
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            // Rounded up, because a wait that ends too early would spin.
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
        self.poll();
        Ok(ready)
    }

    /// Discards the pending signals that this process may have caused itself. PID 1 also discards those that a script sent it
    /// and that ask for no stop: a package that a script installs may send SIGHUP, and the server would die of it. Returns
    /// the others, which came from outside of the container while scripts ran: they are for the server.
    fn discard_early(&self) -> Vec<i32> {
        let own = SELF_CAUSED.into_iter().fold(0, |mask: Mask, signal| mask | 1 << (signal - 1));
        let pending = pending();
        while pending & own != 0 && take(pending & own, Some(Duration::ZERO)).is_some() {}
        let mut from_outside = Vec::new();
        let early = pending & !own & !STOP_MASK.load(Ordering::Relaxed);
        if self.known.is_some() && unistd::getpid().as_raw() == 1 && early != 0 {
            while let Some((number, sender)) = take(early, Some(Duration::ZERO)) {
                // A process outside of this namespace has no number in it.
                from_outside.extend((sender == 0).then_some(number));
            }
        }
        from_outside
    }

    /// Restores everything that was inherited, before exec.
    pub fn restore(&self) {
        for signal in self.discard_early() {
            super::kill::process(unistd::getpid(), signal);
        }
        if unistd::getpid().as_raw() != 1 {
            let _ = prctl::set_child_subreaper(self.was_subreaper);
        }
        InheritedSignals::get().restore();
    }
}

/// Whether this process has a terminal that can be closed.
fn has_terminal() -> bool {
    let stdin = super::fd::borrow_standard(0);
    unistd::isatty(stdin).unwrap_or(false) || std::fs::File::open("/dev/tty").is_ok()
}

/// A set of signals. nix does not know real-time signals, and musl's sigaddset refuses the first ones.
fn set_of(numbers: impl Iterator<Item = i32>) -> SigSet {
    let bits = numbers.fold(0, |bits: Mask, number| bits | 1 << (number - 1));
    // SAFETY: all zeroes is an empty set, and its first 8 bytes are the kernel's set in every libc on Linux.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        (&raw mut set).cast::<Mask>().write_unaligned(bits);
        SigSet::from_sigset_t_unchecked(set)
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

/// Whether a stop signal was inherited as ignored, which we respect: a shell ignores SIGINT and SIGQUIT in background jobs,
/// and `nohup` ignores SIGHUP. SIGTERM always stops.
fn ignored(signal: Signal) -> bool {
    signal != Signal::SIGTERM && disposition(signal as i32) == libc::SIG_IGN
}

/// Changes the mask of this thread and returns the previous one.
fn change_mask(how: libc::c_int, mask: Mask) -> Mask {
    let mut old: Mask = 0;
    // SAFETY: the kernel's set has 8 bytes on every Linux that Rust's std runs on; both pointers are to live u64s.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const mask, &raw mut old, size_of::<Mask>());
    }
    old
}

fn pending() -> Mask {
    let mut pending: Mask = 0;
    // SAFETY: the kernel's set has 8 bytes; the pointer is to a live u64.
    unsafe {
        libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, size_of::<Mask>());
    }
    pending
}

/// Waits for one of these signals, at most `longest`. Returns its number and the process that sent it, or 0.
fn take(set: Mask, longest: Option<Duration>) -> Option<(libc::c_int, libc::pid_t)> {
    let longest = longest.map(|longest| libc::timespec {
        tv_sec: longest.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: longest.subsec_nanos().into(),
    });
    let timeout = longest.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel's set has 8 bytes; the pointers are to live values, or null for no timeout. All zeroes
    // is a valid siginfo, and the sender is read only if a process sent the signal.
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
        // If a seccomp filter forbids the call, this process must not spin.
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
