//! The companion: a program beside the server that is restarted when it ends, and stopped with the server.
//!
//! If it crashes, the server keeps running. Restarts have an exponential back-off; once the companion has run for the
//! longest wait, the back-off starts again from the first wait.

use std::time::{Duration, Instant};

use nix::{libc, unistd::Pid};

use process::{
    Ended,
    exec::Prepared,
    kill,
    start::{self, Placement, Spawn, Started},
};

/// A program beside the server.
#[derive(Debug)]
pub struct Companion {
    /// Its name in the log.
    pub name: String,
    /// The program.
    pub prepared: Prepared,
    /// Delay after the start of the server.
    pub after_the_server: Duration,
    /// Wait before its first restart; each further wait is twice as long, up to `longest_wait`.
    pub first_wait: Duration,
    /// The longest wait before a restart.
    pub longest_wait: Duration,
}

/// The companion's process, or none.
pub(super) struct CompanionSlot<'a> {
    companion: Option<&'a Companion>,
    state: CompanionState,
    wait: Duration,
    /// When it gets SIGKILL, once it was asked to stop.
    kill_at: Option<Instant>,
}

enum CompanionState {
    Runs { pid: Pid, started: Option<Started>, since: Instant },
    Waits { until: Instant },
    Gone,
}

impl<'a> CompanionSlot<'a> {
    pub(super) fn new(companion: Option<&'a Companion>) -> Self {
        let wait = companion.map_or(Duration::ZERO, |companion| companion.first_wait);
        let state = companion.map_or(CompanionState::Gone, |companion| CompanionState::Waits {
            until: Instant::now() + companion.after_the_server,
        });
        Self { companion, state, wait, kill_at: None }
    }

    fn start(&mut self) {
        let Some(companion) = self.companion else { return };
        let spawn = Spawn { placement: Placement::Detached, keep: &[], activated: false, low_priority: true };
        match start::start(&companion.prepared, spawn) {
            Ok(started) => {
                self.state = CompanionState::Runs { pid: started.pid, started: Some(started), since: Instant::now() };
            }
            Err(error) => self.restart_later(&format!("cannot be started: {error}")),
        }
    }

    /// Handles the end of a child; does nothing if it is not the companion.
    pub(super) fn ended(&mut self, pid: Pid, ended: Ended) {
        let (CompanionState::Runs { pid: own, started, since }, Some(companion)) = (&mut self.state, self.companion)
        else {
            return;
        };
        if *own != pid {
            return;
        }
        if self.kill_at.is_some() {
            self.state = CompanionState::Gone;
            return;
        }
        if since.elapsed() >= companion.longest_wait {
            self.wait = companion.first_wait;
        }
        let failed = started.as_mut().and_then(Started::not_executed);
        let why = failed.map_or_else(|| why(ended), |failed| format!("cannot be started: {}", failed.error));
        self.restart_later(&why);
    }

    fn restart_later(&mut self, why: &str) {
        let Some(companion) = self.companion else { return };
        log::warn!("{} {why}; restarting it in {:?}", companion.name, self.wait);
        self.state = CompanionState::Waits { until: Instant::now() + self.wait };
        self.wait = self.wait.saturating_mul(2).min(companion.longest_wait);
    }

    /// Sends SIGTERM to the companion at the first call. The companion gets SIGKILL at the earliest deadline of all calls.
    pub(super) fn stop(&mut self, until: Instant) {
        if let Some(earlier) = self.kill_at {
            self.kill_at = Some(earlier.min(until));
            return;
        }
        self.kill_at = Some(until);
        match &self.state {
            CompanionState::Runs { pid, .. } => kill::group(*pid, libc::SIGTERM),
            CompanionState::Waits { .. } => self.state = CompanionState::Gone,
            CompanionState::Gone => {}
        }
    }

    /// Starts or kills the companion, if either is due.
    pub(super) fn on_time(&mut self, now: Instant) {
        match &self.state {
            CompanionState::Waits { until } if now >= *until => self.start(),
            CompanionState::Runs { pid, .. } if self.kill_at.is_some_and(|at| now >= at) => {
                log::warn!("{} did not stop in time; killing it", self.name());
                kill::group(*pid, libc::SIGKILL);
                // Repeated every second until it has ended.
                self.kill_at = Some(now + Duration::from_secs(1));
            }
            _ => {}
        }
    }

    fn name(&self) -> &str {
        self.companion.map_or("", |companion| &companion.name)
    }

    /// When [`Self::on_time`] is due next.
    pub(super) fn next_time(&self) -> Option<Instant> {
        match &self.state {
            CompanionState::Waits { until } => Some(*until),
            CompanionState::Runs { .. } => self.kill_at,
            CompanionState::Gone => None,
        }
    }

    /// Whether it has ended for good.
    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, CompanionState::Gone)
    }
}

fn why(ended: Ended) -> String {
    format!("exited with code {}", ended.code())
}
