//! Running one child to its end: inherited signals, relayed output, stop signals, leftovers.
//!
//! ```text
//! child:  own session and process group, stdin /dev/null, stdout and stderr into one pipe
//! parent: poll(signals, pipe, log); forward a stop signal to the group; SIGKILL after the grace period
//! end:    reap the child → stop, name and reap its leftovers → drain the pipe
//! ```
//! The log is written only when it can accept a page, so that a stalled reader blocks the child and never this process. A
//! closed log is not an error.

use std::{
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    libc,
    poll::PollFlags,
    sys::signal::{Signal, kill, killpg},
    unistd::{self, Pid},
};

use super::{Isolation, Signals, leftovers, reap};
use volume::error::Result;

/// How many bytes a writable pipe accepts without blocking (PIPE_BUF).
const PAGE: usize = 4096;

/// The end of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It exited with this code.
    Exited(u8),
    /// Killed by a signal that this process did not send.
    Killed(i32),
    /// This process got this stop signal and stopped the child.
    Stopped(Signal),
}

impl Ended {
    /// The exit code as a shell reports it: the code, or 128 plus the signal.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => code_of_signal(signal),
            Self::Stopped(signal) => code_of_signal(signal as i32),
        }
    }
}

/// The exit code of a shell for a signal: 128 plus its number.
#[must_use]
pub fn code_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Processes a child's output on its way to the log.
pub trait Listener {
    /// Takes a piece of output. Returns the text for the log.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8>;
    /// Ends the output. Returns the text that was held back.
    fn end(&mut self) -> Vec<u8>;
}

/// The destination of a child's output.
pub struct Relay<'a> {
    /// The container's log.
    pub log: BorrowedFd<'a>,
    /// Processes the output first.
    pub listener: &'a mut dyn Listener,
}

impl std::fmt::Debug for Relay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("log", &self.log).finish_non_exhaustive()
    }
}

/// The result of a child that was run to its end.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub ended: Ended,
    /// Whether it was stopped because its time was over.
    pub timed_out: bool,
    /// Names of the processes that it left running. They have been stopped.
    pub leftovers: Vec<String>,
}

/// How long a child may run.
#[derive(Default)]
pub struct Limits<'a> {
    /// Called with the time that it has run: after [`FIRST_NOTICE`], then every [`NOTICE_EVERY`].
    pub still_runs: Option<&'a mut dyn FnMut(Duration)>,
    /// It is stopped at this time.
    pub until: Option<Instant>,
    /// The time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("until", &self.until).field("grace", &self.grace).finish_non_exhaustive()
    }
}

/// How long a child runs before it is named in the log.
pub const FIRST_NOTICE: Duration = Duration::from_secs(30);
/// The time between two notices.
pub const NOTICE_EVERY: Duration = Duration::from_secs(60);

/// Why a child was not run to its end.
#[derive(Debug)]
pub enum Failure {
    /// It was not started; the error of exec.
    NotStarted(io::Error),
    /// It could not be waited for.
    Lost(volume::error::Error),
}

/// Runs a child to its end. Without a relay, it inherits stdout and stderr.
pub fn run(
    mut command: Command,
    relay: Option<Relay<'_>>,
    isolation: Isolation,
    limits: Limits<'_>,
    signals: &mut Signals,
) -> std::result::Result<Done, Failure> {
    signals.poll();
    signals.record_processes();
    let mut output = Output::connect(&mut command, relay).map_err(Failure::NotStarted)?;
    let started = start(command, isolation).map_err(Failure::NotStarted)?;
    let attended = attend(started, &mut output, limits, signals).map_err(Failure::Lost)?;
    let leftovers = leftovers::clear(signals, started, leftovers::GRACE);
    output.finish(signals).map_err(Failure::Lost)?;
    let ended = attended.stopped.map_or(attended.ended, Ended::Stopped);
    Ok(Done { ended, timed_out: attended.timed_out, leftovers })
}

/// Starts the child. Retries on ETXTBSY, because a process that was forked meanwhile may still hold a freshly written
/// program open.
fn start(mut command: Command, isolation: Isolation) -> io::Result<Pid> {
    command.stdin(Stdio::from(empty_stdin()?));
    isolation.apply(&mut command);
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(cause) if cause.raw_os_error() == Some(libc::ETXTBSY) && tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            // The handle is dropped, because only `reap` waits for children.
            other => return other.map(|child| Pid::from_raw(child.id() as i32)),
        }
    }
}

/// An empty stdin: `/dev/null`, or a closed pipe if the root has no `/dev`.
pub(super) fn empty_stdin() -> io::Result<OwnedFd> {
    match std::fs::File::open("/dev/null") {
        Ok(null) => Ok(null.into()),
        Err(_) => Ok(unistd::pipe2(OFlag::O_CLOEXEC)?.0),
    }
}

/// A stdout that is discarded: `/dev/null`, or this process's stderr if the root has no `/dev`.
#[must_use]
pub fn unheard() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/null").map_or_else(|_| io::stderr().into(), Stdio::from)
}

struct Attended {
    ended: Ended,
    /// The stop signal that was forwarded before, if any.
    stopped: Option<Signal>,
    timed_out: bool,
}

/// Waits for the end of the child.
fn attend(child: Pid, output: &mut Output<'_>, mut limits: Limits<'_>, signals: &mut Signals) -> Result<Attended> {
    let started = Instant::now();
    let mut notice_at = limits.still_runs.is_some().then(|| started + FIRST_NOTICE);
    let mut kill_at: Option<Instant> = None;
    let (mut was_stopped, mut timed_out) = (false, false);
    loop {
        if let Some(ended) = reap::all(Some(child)) {
            return Ok(Attended { ended, stopped: signals.stop().filter(|_| was_stopped), timed_out });
        }
        for signal in signals.fresh() {
            // A second signal is forwarded, too, but does not extend the grace period.
            kill_at.get_or_insert_with(|| Instant::now() + limits.grace);
            was_stopped = true;
            send(child, signal);
        }
        let now = Instant::now();
        if limits.until.is_some_and(|until| now >= until) {
            limits.until = None;
            timed_out = true;
            kill_at.get_or_insert(now + limits.grace);
            send(child, Signal::SIGTERM);
        }
        if notice_at.is_some_and(|at| now >= at) {
            notice_at = Some(now + NOTICE_EVERY);
            if let Some(still_runs) = &mut limits.still_runs {
                still_runs(now - started);
            }
        }
        if kill_at.is_some_and(|at| Instant::now() >= at) {
            send(child, Signal::SIGKILL);
            kill_at = Some(Instant::now() + Duration::from_secs(1));
        }
        output.wait(signals, [kill_at, notice_at, limits.until].into_iter().flatten().min())?;
    }
}

/// Sends a signal to the child's process group, or to the child alone if that group does not exist.
fn send(child: Pid, signal: Signal) {
    if killpg(child, signal).is_err() {
        let _ = kill(child, signal);
    }
}

/// A child's pipe, and its output that the log has not accepted yet.
struct Output<'a> {
    pipe: Option<std::fs::File>,
    relay: Option<Relay<'a>>,
    waiting: Vec<u8>,
    last: u8,
}

impl<'a> Output<'a> {
    fn connect(command: &mut Command, relay: Option<Relay<'a>>) -> io::Result<Self> {
        let mut output = Self { pipe: None, relay, waiting: Vec::new(), last: b'\n' };
        if output.relay.is_some() {
            let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
            fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
            let other: OwnedFd = writer.try_clone()?;
            command.stdout(writer).stderr(other);
            output.pipe = Some(reader.into());
        }
        Ok(output)
    }

    /// Waits for a signal, output, or space in the log.
    fn wait(&mut self, signals: &mut Signals, until: Option<Instant>) -> Result<()> {
        let log = self.relay.as_ref().map(|relay| relay.log);
        let mut others: Vec<(BorrowedFd<'_>, PollFlags)> = Vec::new();
        match (log, &self.pipe) {
            (Some(log), _) if !self.waiting.is_empty() => others.push((log, PollFlags::POLLOUT)),
            (_, Some(pipe)) => others.push((pipe.as_fd(), PollFlags::POLLIN)),
            _ => {}
        }
        let ready = signals.wait(&others, until)?.contains(&true);
        drop(others);
        if ready && self.waiting.is_empty() {
            self.read();
        } else if ready {
            self.write();
        }
        Ok(())
    }

    /// Reads a piece from the pipe. Returns whether there may be more.
    fn read(&mut self) -> bool {
        let (Some(pipe), Some(relay)) = (&mut self.pipe, &mut self.relay) else { return false };
        let mut piece = [0; PAGE];
        match pipe.read(&mut piece) {
            Ok(count) if count > 0 => {
                self.waiting.extend(relay.listener.push(&piece[..count]));
                true
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => false,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => true,
            // The end of the pipe; an error counts as the end, too.
            _ => {
                self.pipe = None;
                false
            }
        }
    }

    fn write(&mut self) {
        let Some(relay) = &self.relay else { return };
        let piece = &self.waiting[..self.waiting.len().min(PAGE)];
        match unistd::write(relay.log, piece) {
            Ok(count) if count > 0 => {
                self.last = piece[count - 1];
                self.waiting.drain(..count);
            }
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // The log is closed: the script continues without it.
            _ => self.waiting.clear(),
        }
    }

    /// Writes the rest of the output, after all writers have ended. After a stop signal, it does not wait for a stalled log.
    fn finish(&mut self, signals: &mut Signals) -> Result<()> {
        while self.read() {
            self.flush(signals)?;
        }
        if let Some(relay) = &mut self.relay {
            self.waiting.extend(relay.listener.end());
        }
        if self.waiting.last().copied().unwrap_or(self.last) != b'\n' {
            self.waiting.push(b'\n');
        }
        self.flush(signals)
    }

    fn flush(&mut self, signals: &mut Signals) -> Result<()> {
        while let Some(relay) = self.relay.as_ref().filter(|_| !self.waiting.is_empty()) {
            let log = relay.log;
            let until = signals.stop().map(|_| Instant::now() + Duration::from_millis(500));
            if signals.wait(&[(log, PollFlags::POLLOUT)], until)?.contains(&true) {
                self.write();
            } else if signals.stop().is_some() {
                self.waiting.clear();
            }
        }
        Ok(())
    }
}
