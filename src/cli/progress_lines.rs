//! How far it is, for a program: lines of JSON on a descriptor that the parent names.
//!
//! `{"what":"reading","done":1024,"total":4096}`, at the beginning and the end of each piece of work, and every 200 ms
//! between. Nobody is waited for: a line that a full pipe does not take is lost.

use std::{
    os::fd::{BorrowedFd, RawFd},
    sync::atomic::{AtomicI32, Ordering},
    time::{Duration, Instant},
};

use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd,
};

use crate::serve::jobs::PROGRESS_FD;

/// How often a line is written.
const EVERY: Duration = Duration::from_millis(200);

/// The descriptor; none is negative.
static TO: AtomicI32 = AtomicI32::new(-1);

/// Takes the descriptor that the parent has named, which no child of this process is to find. What is none is passed over:
/// progress is nothing to fail for.
pub fn take_over() {
    let Some(named) = std::env::var_os(PROGRESS_FD) else { return };
    // SAFETY: no other thread has been started.
    unsafe { std::env::remove_var(PROGRESS_FD) };
    let Some(fd) = named.to_str().and_then(|text| text.parse::<RawFd>().ok()).filter(|fd| *fd > 2) else { return };
    // SAFETY: takes numbers; fails on a descriptor that is not open.
    let is_open = unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) == 0 };
    TO.store(if is_open { fd } else { -1 }, Ordering::Relaxed);
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
        let fd = TO.load(Ordering::Relaxed);
        if fd < 0 {
            return;
        }
        self.told = Instant::now();
        // SAFETY: it was open when this process took it over, and nothing here ever closes it.
        let pipe = unsafe { BorrowedFd::borrow_raw(fd) };
        let mut ready = [PollFd::new(pipe, PollFlags::POLLOUT)];
        if matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
            let line = format!("{}\n", serde_json::json!({"what": what, "done": done, "total": total}));
            // Shorter than what a pipe takes whole; that its reader has left is no failure.
            let _ = unistd::write(pipe, line.as_bytes());
        }
    }
}
