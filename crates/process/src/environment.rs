//! Changing this process's own environment, which is sound only while it has one thread.

use std::ffi::OsStr;

/// Sets a variable. Call it only at start-up, before another thread exists.
pub fn set(name: &str, value: impl AsRef<OsStr>) {
    // SAFETY: the callers are the first lines of the programs, before any thread is started.
    unsafe { std::env::set_var(name, value) };
}

/// Removes a variable, so that children do not see it. Call it only at start-up, before another thread exists.
pub fn remove(name: &str) {
    // SAFETY: as above.
    unsafe { std::env::remove_var(name) };
}
