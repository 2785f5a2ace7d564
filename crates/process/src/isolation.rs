//! Changes between fork and exec for a child that this process waits for.
//!
//! ```text
//! own session (its process group can be stopped as a whole; no terminal) → low priority → parent death signal
//! → kept descriptors → inherited signals → user
//! ```

use std::{io, os::fd::RawFd, os::unix::process::CommandExt, process::Command};

use nix::{libc, unistd};

use super::{
    User,
    signals::InheritedSignals,
    start::{IOPRIO_IDLE, IOPRIO_WHO_PROCESS, NICE},
};

/// The inheritance and the limits of a child.
#[derive(Debug, Default)]
pub struct Isolation {
    /// Descriptors that it inherits, besides 0 to 2.
    pub keep: Vec<RawFd>,
    /// Whether it gets CPU and disk only when no other process wants them.
    pub low_priority: bool,
    /// Whether it gets SIGTERM when this process ends.
    pub ends_with_parent: bool,
    /// The user that it runs as, who also becomes the owner of its output.
    pub user: Option<User>,
}

impl Isolation {
    /// Registers these changes with the command, to be applied between fork and exec.
    pub fn apply(self, command: &mut Command) {
        let found = InheritedSignals::get();
        let parent = unistd::getpid().as_raw();
        // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
        unsafe {
            command.pre_exec(move || self.enter(parent, found));
        }
    }

    fn enter(&self, parent: i32, found: InheritedSignals) -> io::Result<()> {
        // SAFETY: system calls that take numbers.
        unsafe {
            libc::setsid();
            if self.low_priority {
                // Errors are ignored, because a seccomp filter may forbid these calls.
                libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
                libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
            }
            if self.ends_with_parent {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                // The parent may have ended before the line above.
                if libc::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ECHILD));
                }
            }
            for kept in &self.keep {
                libc::fcntl(*kept, libc::F_SETFD, 0);
            }
        }
        found.restore();
        self.user.as_ref().map_or(Ok(()), User::become_with_output)
    }
}
