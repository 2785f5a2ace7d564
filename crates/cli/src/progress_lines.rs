//! How far it is, for a program: lines of JSON on a descriptor that the parent names.
//!
//! `{"what":"reading","done":1024,"total":4096}`, at the beginning and the end of each piece of work, and every 200 ms
//! between. Nobody is waited for: a line that a full pipe does not take is lost.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};

use console::PROGRESS_FD;
use process::fd;

/// How often a line is written.
const EVERY: Duration = Duration::from_millis(200);

/// The descriptor that the parent named.
static TO: OnceLock<OwnedFd> = OnceLock::new();

/// Takes the descriptor that the parent named, so that no child of this process finds it. One that is not open is
/// ignored: progress is not worth failing for.
pub fn take_over() {
    let Some(named) = std::env::var_os(PROGRESS_FD) else { return };
    process::environment::remove(PROGRESS_FD);
    if let Some(fd) = named.to_str().and_then(|text| text.parse().ok()).and_then(fd::take) {
        let _ = TO.set(fd);
    }
}

/// Lines about one piece of work after the other.
#[derive(Debug)]
pub struct Lines {
    told: Instant,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { told: Instant::now() }
    }

    /// Says how far it is, where there is somebody to tell, and not more often than that.
    pub(super) fn tell(&mut self, what: &str, done: u64, total: u64) {
        if self.told.elapsed() >= EVERY {
            self.tell_now(what, done, total);
        }
    }

    /// The same, however often.
    pub(super) fn tell_now(&mut self, what: &str, done: u64, total: u64) {
        let Some(pipe) = TO.get() else { return };
        self.told = Instant::now();
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        if matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
            let line = format!("{}\n", serde_json::json!({"what": what, "done": done, "total": total}));
            // Shorter than what a pipe takes whole; that its reader has left is no failure.
            let _ = unistd::write(pipe, line.as_bytes());
        }
    }
}
