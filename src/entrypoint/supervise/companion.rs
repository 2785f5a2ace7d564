//! The companion: a program beside the server, started again whenever it ends, and stopped after it.
//!
//! How it ends is never the server's end. It waits longer each time before it is started again, and no longer than its
//! longest wait; once it has run for that long, the waits start anew.

use std::time::{Duration, Instant};

use nix::{libc, unistd::Pid};

use process::{
    Ended,
    exec::Prepared,
    kill,
    start::{self, Given, Place, Started},
};

/// A program beside the server.
#[derive(Debug)]
pub struct Companion {
    /// What the log calls it.
    pub name: String,
    /// What is executed.
    pub prepared: Prepared,
    /// How long after the server it is started.
    pub after_the_server: Duration,
    /// How long it is waited with after its first end.
    pub first_wait: Duration,
    /// The longest such wait.
    pub longest_wait: Duration,
}

/// The place beside the server, where there is a companion or none.
pub(super) struct CompanionSlot<'a> {
    companion: Option<&'a Companion>,
    state: State,
    wait: Duration,
    /// It was told to stop; it is killed then.
    kill_at: Option<Instant>,
}

enum State {
    Runs { pid: Pid, started: Option<Started>, since: Instant },
    Waits { until: Instant },
    Gone,
}

impl<'a> CompanionSlot<'a> {
    pub(super) fn new(companion: Option<&'a Companion>) -> Self {
        let wait = companion.map_or(Duration::ZERO, |companion| companion.first_wait);
        let state = companion
            .map_or(State::Gone, |companion| State::Waits { until: Instant::now() + companion.after_the_server });
        Self { companion, state, wait, kill_at: None }
    }

    fn start(&mut self) {
        let Some(companion) = self.companion else { return };
        let given = Given { place: Place::Apart, keep: &[], activated: false, behind: true };
        match start::start(&companion.prepared, given) {
            Ok(started) => {
                self.state = State::Runs { pid: started.pid, started: Some(started), since: Instant::now() };
            }
            Err(error) => self.start_again_later(&error.to_string()),
        }
    }

    /// Takes note that a child has ended, which may have been the companion.
    pub(super) fn ended(&mut self, pid: Pid, ended: Ended) {
        let (State::Runs { pid: own, started, since }, Some(companion)) = (&mut self.state, self.companion) else {
            return;
        };
        if *own != pid {
            return;
        }
        if self.kill_at.is_some() {
            self.state = State::Gone;
            return;
        }
        if since.elapsed() >= companion.longest_wait {
            self.wait = companion.first_wait;
        }
        let failed = started.as_mut().and_then(Started::not_executed);
        let why = failed.map_or_else(|| why(ended), |failed| format!("it cannot be started: {}", failed.error));
        self.start_again_later(&why);
    }

    fn start_again_later(&mut self, why: &str) {
        let Some(companion) = self.companion else { return };
        log::warn!("{}: {why}; it is started again in {:?}", companion.name, self.wait);
        self.state = State::Waits { until: Instant::now() + self.wait };
        self.wait = self.wait.saturating_mul(2).min(companion.longest_wait);
    }

    /// Asks it to stop, once; it has until then, or until the earliest time that was ever said.
    pub(super) fn stop(&mut self, until: Instant) {
        if let Some(earlier) = self.kill_at {
            self.kill_at = Some(earlier.min(until));
            return;
        }
        self.kill_at = Some(until);
        match &self.state {
            State::Runs { pid, .. } => kill::group(*pid, libc::SIGTERM),
            State::Waits { .. } => self.state = State::Gone,
            State::Gone => {}
        }
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Instant) {
        match &self.state {
            State::Waits { until } if now >= *until => self.start(),
            State::Runs { pid, .. } if self.kill_at.is_some_and(|at| now >= at) => {
                log::warn!("{} did not stop in time: it is killed", self.name());
                kill::group(*pid, libc::SIGKILL);
                // Its end is near; should it be long in coming, it is asked for again.
                self.kill_at = Some(now + Duration::from_secs(1));
            }
            _ => {}
        }
    }

    fn name(&self) -> &str {
        self.companion.map_or("", |companion| &companion.name)
    }

    /// When something is due next.
    pub(super) fn next_time(&self) -> Option<Instant> {
        match &self.state {
            State::Waits { until } => Some(*until),
            State::Runs { .. } => self.kill_at,
            State::Gone => None,
        }
    }

    /// Whether it is not there, and will not be.
    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }
}

fn why(ended: Ended) -> String {
    format!("it ended (exit {})", ended.code())
}
