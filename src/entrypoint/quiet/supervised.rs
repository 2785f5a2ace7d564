//! A server that is looked after, in a quiet start: until something is to be decided, by plain system calls.
//!
//! ```text
//! fork → the server
//! loop: reap all; the server among them, well, and nothing else is left → exit with its code
//!       a second is over → fork → the console, once
//!       a signal → to the server
//! SIGTERM (it has a time to stop), what the server left running, a failure of it, a program that could not be executed,
//! the end of the console: `main`
//! ```
//! So as long as a server and a console only run, PID 1 is a few pages. What [`supervise`] is told is what was seen so far.

use std::{
    ffi::{CStr, OsString, c_char},
    fs::File,
    hint::black_box,
    os::fd::FromRawFd,
    path::Path,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

use nix::{libc, unistd::Pid};
use syscalls::Errno;

use super::{
    system::{self, Fd},
    text::texts,
};
use crate::{
    entrypoint::{
        End, console,
        supervise::{self, Beside, Companion, SoFar, Supervision},
        tell_end,
    },
    error::Result,
    process::{
        Signals, Variables, exec, pages, reap,
        signals::{HELD, Mask},
        start::Started,
    },
    volume::Volume,
};

/// What the entry point leaves to `main`: it has no heap, and there is one of it. No server has the id 0.
static SERVER: AtomicI32 = AtomicI32::new(0);
static FAILURE: AtomicI32 = AtomicI32::new(-1);
/// The status that the server left, as the kernel has it. None is negative.
static STATUS: AtomicI32 = AtomicI32::new(RUNNING);
/// The signal to stop that it was sent.
static STOPPED: AtomicI32 = AtomicI32::new(0);
/// Another signal that asks for its end, and has no time to it.
static ASKED: AtomicI32 = AtomicI32::new(0);
/// The console beside it, and the status that it left. No console has the id 0.
static CONSOLE: AtomicI32 = AtomicI32::new(0);
static CONSOLE_STATUS: AtomicI32 = AtomicI32::new(RUNNING);

const RUNNING: i32 = -1;

/// In nanoseconds: how long after the server the console is started.
const AFTER_THE_SERVER: u64 = console::AFTER_THE_SERVER.as_nanos() as u64;

texts! {
    SELF = b"/proc/self/exe\0";
    SERVE = b"serve\0";
    AS = b"--as\0";
    COMPANION = b"companion\0";
}

/// A console that is to be: what it is called, and its environment, as `execve` takes it.
pub(super) type Console = (&'static CStr, *const *const c_char);

/// Starts a child that becomes the server, and returns when it is `main`'s. `None` where this is not as it nearly always
/// is, or there can be no child.
#[cfg(own_entry_point)]
#[inline(always)]
pub(super) fn run(found: Mask, execute: impl FnOnce() -> Errno, console: Option<Console>) -> Option<()> {
    // Not PID 1, or with children, it has to know the processes that are there; a terminal's foreground is the server's;
    // and where SIGCHLD was found ignored, children are gone before they can be asked.
    if system::process_id() != 1 || system::has_children() || system::has_terminal() || system::ignores(libc::SIGCHLD) {
        return None;
    }
    let [failure, report] = system::pipe()?;
    // Asked to stop, it does not start.
    let server = if system::is_signalled() { None } else { system::fork() };
    let Some(server) = server else {
        system::close(failure);
        system::close(report);
        return None;
    };
    if server == 0 {
        system::lead_group(0);
        let _ = system::set_mask(found);
        let errno = execute();
        system::tell(report, &errno.into_raw().to_ne_bytes());
        system::exit(127);
    }
    system::lead_group(server);
    system::close(report);
    system::leave_directory();
    let status = attend(server, failure, found, console);
    SERVER.store(i32::try_from(server).ok()?, Ordering::Relaxed);
    FAILURE.store(i32::try_from(failure).ok()?, Ordering::Relaxed);
    STATUS.store(status, Ordering::Relaxed);
    Some(())
}

/// Until the server has ended and left nothing, or something is to be decided. The status that it left.
#[cfg(own_entry_point)]
#[inline(always)]
fn attend(server: usize, failure: Fd, found: Mask, mut console: Option<Console>) -> i32 {
    let due = system::clock() + AFTER_THE_SERVER;
    let mut beside = 0;
    loop {
        while let Some((child, status)) = system::reap() {
            if child == server {
                let settled = !system::has_children() && !system::is_told(failure);
                // Anything but that is an event.
                if status == 0 && settled {
                    system::exit(0);
                }
                return status;
            }
            if child == beside {
                CONSOLE_STATUS.store(status, Ordering::Relaxed);
                return RUNNING;
            }
        }
        let left = console.map(|_| due.saturating_sub(system::clock()));
        match system::next_signal(HELD, left) {
            Err(Errno::EAGAIN) => {
                let Some(wanted) = console.take() else { continue };
                // `main` tries it, and can say why not.
                let Some(child) = start_console(found, wanted) else { return RUNNING };
                beside = child;
                CONSOLE.store(child as i32, Ordering::Relaxed);
                pages::give_back();
            }
            // What no server is sent, as `Routes` has it; and what this process brought upon itself.
            Ok((libc::SIGCHLD | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU, _) | (_, 1)) => {}
            Ok((signal, _)) => {
                system::send(server, signal);
                if matches!(signal, libc::SIGINT | libc::SIGQUIT) {
                    ASKED.store(signal, Ordering::Relaxed);
                }
                if signal == libc::SIGTERM {
                    // What is to come takes longer than the signal may: on one processor the server would wait for it.
                    system::give_way();
                    STOPPED.store(signal, Ordering::Relaxed);
                    return RUNNING;
                }
            }
            Err(Errno::EINTR) => {}
            Err(_) => return RUNNING,
        }
    }
}

/// Starts this program as the console: no lock, no signal held. Its environment is all that this process was given.
#[cfg(own_entry_point)]
#[inline(always)]
fn start_console(found: Mask, (name, environment): Console) -> Option<usize> {
    if !system::is_program(SELF) {
        return None;
    }
    let child = system::fork()?;
    if child == 0 {
        system::stand_apart_and_behind();
        let _ = system::set_mask(found);
        // A list that is made here: one in the program might have to be relocated, which nobody has done yet.
        let [serve, role, companion] = [SERVE, AS, COMPANION].map(|text| black_box(text.as_ptr()));
        let arguments = [name.as_ptr(), serve, role, companion, ptr::null()];
        system::execute(SELF.as_ptr(), arguments.as_ptr(), environment);
        system::exit(127);
    }
    Some(child)
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
pub fn look_after(
    storage: &Path,
    command: &[OsString],
    environment: &Variables,
    companion: Option<&Companion>,
    how: &Supervision,
) -> Result<End> {
    let mut signals = Signals::hold()?;
    signals.knew_no_process();
    // SAFETY: the entry point opened it for this, and nobody else knows its number.
    let failure = unsafe { File::from_raw_fd(FAILURE.load(Ordering::Relaxed)) };
    let server = Started::at_entry(Pid::from_raw(SERVER.load(Ordering::Relaxed)), failure);
    let status = STATUS.load(Ordering::Relaxed);
    let so_far = SoFar {
        ended: (status != RUNNING).then(|| reap::understand(status)).flatten(),
        stopping: STOPPED.load(Ordering::Relaxed) != 0,
        asked: ASKED.load(Ordering::Relaxed) != 0,
        beside: beside(),
    };
    let ((ended, stopped), mut server) = supervise::look_after(server, companion, None, so_far, how, &mut signals);
    Ok(match server.errno() {
        Some(errno) => {
            exec::prepare(command, environment).map_or_else(End::from, |program| program.refused(errno).into())
        }
        None => {
            if let Ok(volume) = Volume::open(storage) {
                tell_end(&volume, ended, stopped);
            }
            End::Served(how.exits.of(ended.code()))
        }
    })
}

fn beside() -> Beside {
    match (CONSOLE.load(Ordering::Relaxed), CONSOLE_STATUS.load(Ordering::Relaxed)) {
        (0, _) => Beside::Nothing,
        (pid, RUNNING) => Beside::Runs(Pid::from_raw(pid)),
        (_, status) => reap::understand(status).map_or(Beside::Nothing, Beside::Ended),
    }
}
