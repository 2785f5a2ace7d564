//! Children that have ended, one after the other, each with the status that it left.
//!
//! Signals of children coalesce, so whoever hears one asks until there is no more. Whose status it is, is decided by
//! who asks, in the same loop: nothing else in this process waits for a child. The system call is made directly:
//! `nix` loses the status of a child that a real-time signal killed.

use nix::{libc, unistd::Pid};

use super::Ended;

/// The next child that has ended; `None` where none has, or there is none.
pub fn next() -> Option<(Pid, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a live integer, which the call fills in.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        // ECHILD is the end, and so is a filter that forbids the call; with WNOHANG it is never interrupted.
        if pid <= 0 {
            return None;
        }
        if let Some(ended) = understand(status) {
            return Some((Pid::from_raw(pid), ended));
        }
    }
}

/// Waits for every child that has ended. How `watched` ended, where it was among them.
pub fn all(watched: Option<Pid>) -> Option<Ended> {
    let mut found = None;
    while let Some((pid, ended)) = next() {
        if Some(pid) == watched {
            found = Some(ended);
        }
    }
    found
}

/// Whether this process has a child, ended or not. Without one it has no descendant either.
pub fn has_children() -> bool {
    // SAFETY: all zeroes is a valid siginfo, which the call fills in; WNOWAIT leaves the child's status where it is.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) == 0
    }
}

/// What a status of the kernel's says, if it is one of an end.
pub fn understand(status: libc::c_int) -> Option<Ended> {
    if libc::WIFEXITED(status) {
        return Some(Ended::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)));
    }
    libc::WIFSIGNALED(status).then(|| Ended::Killed(libc::WTERMSIG(status)))
}
