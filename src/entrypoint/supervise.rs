//! Supervision: moorline stays PID 1, forwards signals to the server, reaps every process and stops them in order.
//!
//! ```text
//! loop: reap all; if the server ended, leave the loop with its status
//!       timers: (re)start the companion, end of the grace period
//!       wait for a signal → forward it, or its rewrite; SIGTERM also goes to the companion
//! then: companion: SIGTERM if not sent yet, a short wait, SIGKILL → the same for processes that the server left running
//! ```
//! The loop has one thread, allocates nothing and wakes only for signals and timers. No signal is lost, because all are
//! blocked from the first instructions on, and a signal that reaches the child before its exec stays pending. The server
//! gets SIGKILL only if a grace period was configured.

mod companion;

use std::{
    os::fd::RawFd,
    time::{Duration, Instant},
};

use nix::{libc, unistd::Pid};

pub use self::companion::Companion;
use self::companion::CompanionSlot;
use process::{
    Ended, NotExecuted, Routes, Signals,
    exec::Prepared,
    fd, kill, leftovers, pages, reap,
    start::{self, Placement, Spawn, Started},
};
use volume::error::{Error, Result};

/// The grace period of the companion after the server has ended, short because the container's exit waits for it.
const COMPANION_GRACE: Duration = Duration::from_secs(2);

/// Signals that ask a process to end.
const STOP_SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// The settings of supervision.
#[derive(Debug)]
pub struct Supervision {
    /// Which signal the server gets for each signal that arrives.
    pub routes: Routes,
    /// Whether signals go to the server's whole process group.
    pub whole_group: bool,
    /// The grace period of all processes after SIGTERM.
    pub stop_grace: Duration,
    /// What happens to a server that runs longer than that.
    pub after_grace: AfterGrace,
    /// The exit code of the container for each exit code of the server.
    pub exits: Exits,
}

/// What happens to a server that does not stop in its grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterGrace {
    /// Nothing, because no grace period was configured: the container runtime decides.
    Left,
    /// SIGKILL, because a grace period was configured.
    Killed,
}

/// A mapping of exit codes; the default maps each code to itself.
#[derive(Clone, Debug)]
pub struct Exits([u8; 256]);

impl Default for Exits {
    fn default() -> Self {
        Self(std::array::from_fn(|code| code as u8))
    }
}

impl Exits {
    /// Maps the server's exit code `from` to `to`.
    pub const fn map(&mut self, from: u8, to: u8) {
        self.0[from as usize] = to;
    }

    /// The container's exit code for an exit code of the server.
    #[must_use]
    pub const fn of(&self, code: u8) -> u8 {
        self.0[code as usize]
    }
}

/// The server and the processes beside it.
#[derive(Debug)]
pub struct Program<'a> {
    /// The server's program.
    pub prepared: &'a Prepared,
    /// The volume's lock, which the server inherits.
    pub lock: Option<RawFd>,
    /// Sockets of socket activation. This process closes its own copies, so that the server alone decides when they close.
    pub sockets: &'a [RawFd],
    /// The child that runs `Init/ready.d/`; it inherits the lock, too.
    pub after_start: Option<&'a Prepared>,
    /// The companion, if one runs beside the server.
    pub companion: Option<&'a Companion>,
}

/// Runs the server until it ends, then stops everything that is left. Returns how it ended, and whether a signal
/// asked it to. `NotExecuted` means that the program could not be executed.
pub fn run(
    server: &Program<'_>,
    how: &Supervision,
    signals: &mut Signals,
) -> Result<std::result::Result<(Ended, bool), NotExecuted>> {
    signals.record_processes();
    let placement = Placement::Own { always: how.whole_group };
    let keep: Vec<RawFd> = server.lock.into_iter().chain(server.sockets.iter().copied()).collect();
    let spawn = Spawn { placement, keep: &keep, activated: !server.sockets.is_empty(), low_priority: false };
    let started = start::start(server.prepared, spawn)?;
    server.sockets.iter().for_each(|socket| fd::close_inherited(*socket));
    let after = server.after_start.and_then(|program| start_after(program, server.lock));
    signals.attend();
    // This process must not keep a file system busy that someone wants to unmount.
    let _ = nix::unistd::chdir("/");
    let companion = CompanionSlot::new(server.companion);
    let mut supervisor = Supervisor { how, server: started, companion, after, stop: None, asked: false };
    pages::release();
    let ended = supervisor.attend(signals);
    supervisor.server.take_terminal_back();
    supervisor.clear_up(signals);
    let asked = supervisor.asked;
    Ok(supervisor.server.not_executed().map_or(Ok((ended, asked)), Err))
}

/// The grace period, which starts with the first SIGTERM.
struct Stop {
    deadline: Instant,
    killed: bool,
}

struct Supervisor<'a> {
    how: &'a Supervision,
    server: Started,
    companion: CompanionSlot<'a>,
    /// The child for `Init/ready.d/`, until it has ended.
    after: Option<Started>,
    stop: Option<Stop>,
    /// Whether the server was sent a signal that asks it to end.
    asked: bool,
}

impl Supervisor<'_> {
    fn attend(&mut self, signals: &mut Signals) -> Ended {
        loop {
            if let Some(ended) = self.reap() {
                return ended;
            }
            let was_due = self.next_time().is_some();
            self.on_time(Instant::now());
            let next = self.next_time();
            if was_due && next.is_none() {
                // It may be years until the pages of that code are needed again.
                pages::release();
            }
            if let Some(signal) = signals.next(next) {
                self.pass_on(signal);
            }
        }
    }

    /// Reaps all children that have ended; the server's status, if it is among them. Nothing else in this process reaps, so
    /// the status cannot get lost.
    fn reap(&mut self) -> Option<Ended> {
        let mut server = None;
        while let Some((pid, ended)) = reap::next() {
            if pid == self.server.pid {
                server = Some(ended);
            } else {
                self.other_ended(pid, ended);
            }
        }
        server
    }

    fn other_ended(&mut self, pid: Pid, ended: Ended) {
        match self.after.take_if(|after| after.pid == pid) {
            Some(mut after) => {
                if let Some(refused) = after.not_executed() {
                    log::error!("cannot run the scripts of Init/ready.d/: {}", refused.error);
                }
            }
            None => self.companion.ended(pid, ended),
        }
    }

    /// Stops the child for `Init/ready.d/`, because its scripts need a running server.
    fn stop_after(&mut self, signals: &mut Signals, deadline: Instant) {
        if let Some(after) = &self.after {
            kill::process(after.pid, libc::SIGTERM);
        }
        while self.after.is_some() && Instant::now() < deadline {
            let _ = signals.next(Some(deadline));
            while let Some((pid, ended)) = reap::next() {
                self.other_ended(pid, ended);
            }
        }
    }

    fn pass_on(&mut self, signal: i32) {
        if let Some(sent) = self.how.routes.of(signal) {
            self.send(sent);
            self.asked |= STOP_SIGNALS.contains(&signal);
            if signal == libc::SIGTERM && self.stop.is_none() {
                self.stop_from_now();
            }
        }
    }

    /// Starts the grace period. The companion is stopped at the same time, so that it does not delay the exit.
    fn stop_from_now(&mut self) {
        let deadline = Instant::now() + self.how.stop_grace;
        self.asked = true;
        self.companion.stop(deadline.checked_sub(COMPANION_GRACE.min(self.how.stop_grace / 4)).unwrap_or(deadline));
        self.stop = Some(Stop { deadline, killed: false });
    }

    fn on_time(&mut self, now: Instant) {
        self.companion.on_time(now);
        let Some(stop) = &mut self.stop else { return };
        if now >= stop.deadline && !stop.killed {
            stop.killed = true;
            if self.how.after_grace == AfterGrace::Killed {
                log::warn!("the server did not stop in {:?}; killing it", self.how.stop_grace);
                self.send(libc::SIGKILL);
            } else {
                log::warn!("the server did not stop in {:?}; still waiting for it", self.how.stop_grace);
            }
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let companion = self.companion.next_time();
        let stop = self.stop.as_ref().filter(|stop| !stop.killed).map(|stop| stop.deadline);
        [companion, stop].into_iter().flatten().min()
    }

    /// Sends a signal to the server or to its whole process group.
    fn send(&self, signal: i32) {
        if self.how.whole_group { kill::group(self.server.pid, signal) } else { kill::process(self.server.pid, signal) }
    }

    /// Stops the companion and then everything else, after the server has ended.
    fn clear_up(&mut self, signals: &mut Signals) {
        let deadline = self.stop.as_ref().map_or_else(|| Instant::now() + self.how.stop_grace, |stop| stop.deadline);
        self.companion.stop(deadline.min(Instant::now() + COMPANION_GRACE));
        while !self.companion.is_gone() {
            // The server has ended, so signals are dropped.
            let _ = signals.next(self.companion.next_time());
            while let Some((pid, ended)) = reap::next() {
                self.other_ended(pid, ended);
            }
            self.companion.on_time(Instant::now());
        }
        self.stop_after(signals, deadline.checked_sub(leftovers::GRACE).unwrap_or(deadline));
        for straggler in leftovers::clear(signals, self.server.pid, leftovers::GRACE) {
            log::info!("stopped a process that the server left running: {straggler}");
        }
    }
}

/// Starts the child for `Init/ready.d/`. A failure is only logged, because the server runs already.
fn start_after(program: &Prepared, lock: Option<RawFd>) -> Option<Started> {
    let spawn = Spawn { placement: Placement::Detached, keep: lock.as_slice(), activated: false, low_priority: false };
    let failed = |error: &Error| log::error!("cannot run the scripts of Init/ready.d/: {error}");
    start::start(program, spawn).inspect_err(failed).ok()
}
