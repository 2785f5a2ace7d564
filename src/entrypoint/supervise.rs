//! Staying PID 1: the server is a child, signals go to it, everything that ends is reaped, all is stopped in order.
//!
//! ```text
//! loop: reap all; the server among them → its status, out
//!       what is due: the companion, and the companion again; the end of a grace
//!       wait for a signal → send it on, or what it is rewritten to; a SIGTERM is the companion's, too
//! out:  companion: TERM where it was not told yet, a moment, KILL → what the server left running, likewise, by name
//! ```
//! One thread; nothing is allocated, and nothing wakes it, while server and companion run and no signal comes. A
//! signal is never lost: all are blocked since the first instructions, and a child that they are sent to before it is
//! the server still has them pending when it is. The server is never killed unless somebody said how long it has.

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
    start::{self, Given, Place, Started},
};
use volume::error::{Error, Result};

/// How long the companion has when the server has ended: the container's end does not wait for it any longer.
const FOR_THE_COMPANION: Duration = Duration::from_secs(2);

/// Signals that ask for the end of whoever gets them.
const ASKS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// How the server is looked after.
#[derive(Debug)]
pub struct Supervision {
    /// Which signal it is sent for which.
    pub routes: Routes,
    /// Its whole process group is sent them.
    pub whole_group: bool,
    /// How long all have after SIGTERM.
    pub stop_grace: Duration,
    /// What happens to a server that is still there then.
    pub after_grace: AfterGrace,
    /// What it says for each exit code of the server.
    pub exits: Exits,
}

/// What happens to a server that does not stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterGrace {
    /// Nothing: the runtime knows how long it may take.
    Left,
    /// SIGKILL: somebody said how long it has.
    Killed,
}

/// Exit codes that stand for others.
#[derive(Clone, Debug)]
pub struct Exits([u8; 256]);

impl Default for Exits {
    fn default() -> Self {
        Self(std::array::from_fn(|code| code as u8))
    }
}

impl Exits {
    /// This exit code of the server stands for that one.
    pub const fn map(&mut self, from: u8, to: u8) {
        self.0[from as usize] = to;
    }

    /// What an exit code of the server stands for.
    #[must_use]
    pub const fn of(&self, code: u8) -> u8 {
        self.0[code as usize]
    }
}

/// The server's program, and what it is given.
#[derive(Debug)]
pub struct Program<'a> {
    /// What is executed.
    pub prepared: &'a Prepared,
    /// The volume's lock, which both hold.
    pub lock: Option<RawFd>,
    /// Descriptors that were opened for it by number: this process closes its own, so that the server's close is one.
    pub sockets: &'a [RawFd],
    /// What is started after it, once, and keeps the lock too: the scripts of `Init/ready.d/`.
    pub after_start: Option<&'a Prepared>,
    /// What runs beside it.
    pub companion: Option<&'a Companion>,
}

/// Runs the server to its end, and stops all that is left then. How it ended, and whether somebody asked it to.
///
/// # Errors
/// Where it could not be started: as [`NotExecuted`] where that is the program's fault.
pub fn run(
    server: &Program<'_>,
    how: &Supervision,
    signals: &mut Signals,
) -> Result<std::result::Result<(Ended, bool), NotExecuted>> {
    signals.know_processes();
    let place = Place::Own { always: how.whole_group };
    let keep: Vec<RawFd> = server.lock.into_iter().chain(server.sockets.iter().copied()).collect();
    let given = Given { place, keep: &keep, activated: !server.sockets.is_empty(), behind: false };
    let started = start::start(server.prepared, given)?;
    server.sockets.iter().for_each(|socket| fd::close_inherited(*socket));
    let after = server.after_start.and_then(|program| start_after(program, server.lock));
    signals.attend();
    // A directory that nobody else uses can be unmounted.
    let _ = nix::unistd::chdir("/");
    let companion = CompanionSlot::new(server.companion);
    let mut supervisor = Supervisor { how, server: started, companion, after, stop: None, asked: false };
    pages::give_back();
    let ended = supervisor.attend(signals);
    supervisor.server.take_terminal_back();
    supervisor.clear_up(signals);
    let asked = supervisor.asked;
    Ok(supervisor.server.not_executed().map_or(Ok((ended, asked)), Err))
}

/// The end of a grace, since the first SIGTERM.
struct Stop {
    over: Instant,
    killed: bool,
}

struct Supervisor<'a> {
    how: &'a Supervision,
    server: Started,
    companion: CompanionSlot<'a>,
    /// What was started after the server, until it has ended.
    after: Option<Started>,
    stop: Option<Stop>,
    /// The server was sent a signal that asks for its end.
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
                // It may be years until it is needed again, what was needed for that.
                pages::give_back();
            }
            if let Some(signal) = signals.next(next) {
                self.pass_on(signal);
            }
        }
    }

    /// Everything that has ended. The server's status is never lost: whatever ends beside it is reaped in the same loop.
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
                    log::error!("the scripts of Init/ready.d/ were not run: {}", refused.error);
                }
            }
            None => self.companion.ended(pid, ended),
        }
    }

    /// Without a server there is nothing to wait for, and nothing to run beside.
    fn stop_after(&mut self, signals: &mut Signals, over: Instant) {
        if let Some(after) = &self.after {
            kill::process(after.pid, libc::SIGTERM);
        }
        while self.after.is_some() && Instant::now() < over {
            let _ = signals.next(Some(over));
            while let Some((pid, ended)) = reap::next() {
                self.other_ended(pid, ended);
            }
        }
    }

    fn pass_on(&mut self, signal: i32) {
        if let Some(sent) = self.how.routes.of(signal) {
            self.send(sent);
            self.asked |= ASKS.contains(&signal);
            if signal == libc::SIGTERM && self.stop.is_none() {
                self.stop_from_now();
            }
        }
    }

    /// The server was sent SIGTERM. The companion stops at the same time, so that nobody waits for it in the end.
    fn stop_from_now(&mut self) {
        let over = Instant::now() + self.how.stop_grace;
        self.asked = true;
        self.companion.stop(over.checked_sub(FOR_THE_COMPANION.min(self.how.stop_grace / 4)).unwrap_or(over));
        self.stop = Some(Stop { over, killed: false });
    }

    fn on_time(&mut self, now: Instant) {
        self.companion.on_time(now);
        let Some(stop) = &mut self.stop else { return };
        if now >= stop.over && !stop.killed {
            stop.killed = true;
            if self.how.after_grace == AfterGrace::Killed {
                log::warn!("the server did not stop in {:?}: it is killed", self.how.stop_grace);
                self.send(libc::SIGKILL);
            } else {
                log::warn!("the server has not stopped in {:?}: it is waited for", self.how.stop_grace);
            }
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let companion = self.companion.next_time();
        let stop = self.stop.as_ref().filter(|stop| !stop.killed).map(|stop| stop.over);
        [companion, stop].into_iter().flatten().min()
    }

    /// To the server, or to its whole group.
    fn send(&self, signal: i32) {
        if self.how.whole_group { kill::group(self.server.pid, signal) } else { kill::process(self.server.pid, signal) }
    }

    /// The server is gone: the companion, then whatever else is left.
    fn clear_up(&mut self, signals: &mut Signals) {
        let over = self.stop.as_ref().map_or_else(|| Instant::now() + self.how.stop_grace, |stop| stop.over);
        self.companion.stop(over.min(Instant::now() + FOR_THE_COMPANION));
        while !self.companion.is_gone() {
            // There is nobody left to send a signal to.
            let _ = signals.next(self.companion.next_time());
            while let Some((pid, ended)) = reap::next() {
                self.other_ended(pid, ended);
            }
            self.companion.on_time(Instant::now());
        }
        self.stop_after(signals, over.checked_sub(leftovers::GRACE).unwrap_or(over));
        for straggler in leftovers::clear(signals, self.server.pid, leftovers::GRACE) {
            log::info!("left running by the server, and stopped: {straggler}");
        }
    }
}

/// That it cannot be started is no reason to stop the server.
fn start_after(program: &Prepared, lock: Option<RawFd>) -> Option<Started> {
    let given = Given { place: Place::Apart, keep: lock.as_slice(), activated: false, behind: false };
    let failed = |error: &Error| log::error!("the scripts of Init/ready.d/ are not run: {error}");
    start::start(program, given).inspect_err(failed).ok()
}
