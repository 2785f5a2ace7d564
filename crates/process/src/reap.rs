//! Reaping children.
//!
//! SIGCHLD signals coalesce, so after one of them we reap until no ended child is left. Nothing else in this process waits
//! for children, so no status can be lost. We make the system call directly, because `nix` loses the status of a child
//! that a real-time signal killed.

use nix::{libc, unistd::Pid};

use super::Ended;

/// Reaps a child that has ended; `None` if no child has.
pub fn next() -> Option<(Pid, Ended)> {
    loop {
        let mut status = 0;
        // SAFETY: the pointer is to a live integer, which the call fills in.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        // ECHILD: no children. Any other error means that a seccomp filter forbids the call. EINTR cannot occur with WNOHANG.
        if pid <= 0 {
            return None;
        }
        if let Some(ended) = decode(status) {
            return Some((Pid::from_raw(pid), ended));
        }
    }
}

/// Reaps every child that has ended. Returns the end of `watched`, if it is one of them.
pub fn all(watched: Option<Pid>) -> Option<Ended> {
    let mut found = None;
    while let Some((pid, ended)) = next() {
        if Some(pid) == watched {
            found = Some(ended);
        }
    }
    found
}

/// Whether this process has a child, running or ended. Without children it has no descendants.
pub(crate) fn has_children() -> bool {
    // SAFETY: all zeroes is a valid siginfo, which the call fills in; WNOWAIT leaves the child's status where it is.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_ALL, 0, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) == 0
    }
}

/// Decodes a wait status; `None` if the child has not ended.
pub fn decode(status: libc::c_int) -> Option<Ended> {
    if libc::WIFEXITED(status) {
        return Some(Ended::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)));
    }
    libc::WIFSIGNALED(status).then(|| Ended::Killed(libc::WTERMSIG(status)))
}
