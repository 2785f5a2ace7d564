//! A server that is looked after, in a quiet start: it runs while this process is still being set up around it.

use std::{
    ffi::OsString,
    fs::File,
    os::fd::FromRawFd,
    sync::atomic::{AtomicI32, Ordering},
};

use nix::unistd::Pid;
use syscalls::Errno;

use super::system;
use crate::{
    entrypoint::{
        End,
        supervise::{self, Supervision},
    },
    error::Result,
    process::{Signals, Variables, exec, signals::Mask, start::Started},
};

/// What the entry point leaves to `main`. It has no heap, and there is one of it.
static SERVER: AtomicI32 = AtomicI32::new(0);
static FAILURE: AtomicI32 = AtomicI32::new(-1);

/// Starts a child that becomes the server. `None` where this is no PID 1 without a terminal, or there can be no child.
#[cfg(own_entry_point)]
pub(super) fn start(found: Mask, execute: impl FnOnce() -> Errno) -> Option<()> {
    // Not PID 1, or with children, it has to know the processes that are there; a terminal's foreground is the server's.
    if system::process_id() != 1 || system::has_children() || system::has_terminal() {
        return None;
    }
    let [failure, report] = system::pipe()?;
    let child = system::fork().or_else(|| {
        system::close(failure);
        system::close(report);
        None
    })?;
    if child == 0 {
        system::lead_group(0);
        let _ = system::set_mask(found);
        let errno = execute();
        system::tell(report, &errno.into_raw().to_ne_bytes());
        system::exit(127);
    }
    system::lead_group(child);
    system::close(report);
    SERVER.store(i32::try_from(child).ok()?, Ordering::Relaxed);
    FAILURE.store(i32::try_from(failure).ok()?, Ordering::Relaxed);
    Some(())
}

/// Whether the entry point has started a server.
#[must_use]
pub fn is_there() -> bool {
    SERVER.load(Ordering::Relaxed) != 0
}

/// Looks after the server that the entry point has started, to its end. `command` is what it was started with.
///
/// # Errors
/// Where the kernel has no `signalfd`.
pub fn look_after(command: &[OsString], environment: &Variables, how: &Supervision) -> Result<End> {
    let mut signals = Signals::hold()?;
    signals.knew_no_process();
    // SAFETY: the entry point opened it for this, and nobody else knows its number.
    let failure = unsafe { File::from_raw_fd(FAILURE.load(Ordering::Relaxed)) };
    let server = Started::at_entry(Pid::from_raw(SERVER.load(Ordering::Relaxed)), failure);
    let (ended, mut server) = supervise::look_after(server, None, how, &mut signals);
    Ok(match server.errno() {
        Some(errno) => {
            exec::prepare(command, environment).map_or_else(End::from, |program| program.refused(errno).into())
        }
        None => End::Served(how.exits.of(ended.code())),
    })
}
