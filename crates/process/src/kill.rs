//! Signals sent by number: real-time signals have no name.

use nix::{libc, unistd::Pid};

/// Sends a signal to a child that has not been waited for, so that its id belongs to no other process.
pub fn process(pid: Pid, signal: i32) {
    // SAFETY: takes numbers.
    unsafe {
        libc::kill(pid.as_raw(), signal);
    }
}

/// Sends a signal to the group that a child leads, or to the child alone if it does not lead one yet.
pub fn group(leader: Pid, signal: i32) {
    // SAFETY: takes numbers. The child has not been waited for, so its id belongs to no other group.
    if unsafe { libc::kill(-leader.as_raw(), signal) } != 0 {
        process(leader, signal);
    }
}
