//! Progress for programs: lines of JSON on the descriptor in `MOORLINE_PROGRESS_FD`.
//!
//! `{"what":"reading","done":1024,"total":4096}`, in bytes: at the beginning and the end of each piece of work, and
//! every 200 ms in between. Writing never blocks: if the pipe is full, the line is dropped.

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

const EVERY: Duration = Duration::from_millis(200);

static PIPE: OnceLock<OwnedFd> = OnceLock::new();

/// Takes the descriptor and removes the variable, so that no child process inherits them. A descriptor that is not open
/// is ignored, because a command should not fail only for its progress.
pub fn take_over() {
    let Some(named) = std::env::var_os(PROGRESS_FD) else { return };
    process::environment::remove(PROGRESS_FD);
    if let Some(fd) = named.to_str().and_then(|text| text.parse().ok()).and_then(fd::take) {
        let _ = PIPE.set(fd);
    }
}

/// Writes the lines; does nothing without a descriptor.
#[derive(Debug)]
pub struct ProgressLines {
    last: Instant,
}

impl ProgressLines {
    pub(super) fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Writes a line, at most every 200 ms.
    pub(super) fn write(&mut self, what: &str, done: u64, total: u64) {
        if self.last.elapsed() >= EVERY {
            self.write_now(what, done, total);
        }
    }

    /// Writes a line without the rate limit.
    pub(super) fn write_now(&mut self, what: &str, done: u64, total: u64) {
        let Some(pipe) = PIPE.get() else { return };
        self.last = Instant::now();
        let mut ready = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        if matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
            let line = format!("{}\n", serde_json::json!({"what": what, "done": done, "total": total}));
            // Atomic, because the line is shorter than PIPE_BUF. A closed pipe is not an error.
            let _ = unistd::write(pipe, line.as_bytes());
        }
    }
}
