//! A server, or a companion of it, started as a child: fork, its place, signals as they were found, exec.
//!
//! ```text
//! child: a group of its own → the terminal's foreground → descriptors → signals as found → exec
//! this:  the same group, in case it is asked for before the child got there
//! ```
//! Why a program could not be executed is said by the child, who has its directory and its user, and is read once it
//! has ended: nobody waits for an exec, which may hang on a network.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd, RawFd},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    libc,
    sys::stat::Mode,
    unistd::{self, ForkResult, Pid},
};

use super::{NotExecuted, child, exec, exec::Prepared, fd, signals::InheritedSignals};
use volume::error::{Code, Error, Result};

/// How much nicer than this process one is that stands behind others.
pub const NICE: i32 = 10;

/// `IOPRIO_CLASS_IDLE`, as `ioprio_set` takes it; and whose it is.
pub const IOPRIO_IDLE: usize = 3 << 13;
/// One process's.
pub const IOPRIO_WHO_PROCESS: usize = 1;

/// Where a child stands, seen from terminals and signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Leads a group of its own, so that `kill 0` in it does not mean this process; in the terminal's foreground, where
    /// that is this process's. In the background of one it stays in this process's group, unless told otherwise.
    Own {
        /// Even in the background of a terminal.
        always: bool,
    },
    /// No terminal, no input, `/` as its directory, and what it prints goes to the log.
    Apart,
}

/// What a child is given.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Where it stands.
    pub place: Place,
    /// Descriptors that it keeps, besides 0 to 2.
    pub keep: &'a [RawFd],
    /// Whether `LISTEN_PID` is to name it.
    pub activated: bool,
    /// Whether it stands behind others: processor and disk are its own only where nobody else wants them.
    pub behind: bool,
}

/// A child that was started.
#[derive(Debug)]
pub struct Started {
    /// Its process id, and where it leads one its group's.
    pub pid: Pid,
    failure: File,
    terminal: Option<OwnedFd>,
}

impl Started {
    /// Why it was not executed. Asked once it has ended.
    pub fn not_executed(&mut self) -> Option<NotExecuted> {
        let mut text = String::new();
        self.failure.read_to_string(&mut text).ok()?;
        let mut parts = text.split('\0');
        let exit = parts.next()?.parse().ok()?;
        let error = Error::new(Code::Unexpected, parts.next()?);
        let error =
            parts.next().filter(|hint| !hint.is_empty()).into_iter().fold(error, |error, hint| error.hint(hint));
        Some(NotExecuted { exit, error })
    }

    /// After its end the terminal's foreground is this process's again.
    pub fn take_terminal_back(&self) {
        if let Some(terminal) = &self.terminal {
            let _ = unistd::tcsetpgrp(terminal, unistd::getpgrp());
        }
    }
}

/// Starts a child.
///
/// # Errors
/// Where there cannot be another process.
pub fn start(program: &Prepared, given: Given<'_>) -> Result<Started> {
    let (group, terminal) = match given.place {
        Place::Own { always } => match terminal() {
            Terminal::None => (true, None),
            Terminal::Foreground(terminal) => (true, Some(terminal)),
            Terminal::Background => (always, None),
        },
        Place::Apart => (false, None),
    };
    let (failure, report) = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| failed(&errno))?;
    // SAFETY: this process is single-threaded, so the child may do all that its parent may.
    match unsafe { unistd::fork() }.map_err(|errno| failed(&errno))? {
        ForkResult::Child => become_it(program, given, group, terminal.as_ref(), report),
        ForkResult::Parent { child } => {
            if group {
                // Both do it: whoever comes first. EACCES: it has been executed by now.
                let _ = unistd::setpgid(child, child);
            }
            Ok(Started { pid: child, failure: failure.into(), terminal })
        }
    }
}

fn failed(errno: &Errno) -> Error {
    Error::new(Code::TryAgain, format!("no process can be started: {}", errno.desc().to_lowercase()))
        .hint("raise the container's limit of processes, or of memory")
}

fn become_it(program: &Prepared, given: Given<'_>, group: bool, terminal: Option<&OwnedFd>, report: OwnedFd) -> ! {
    if group {
        let _ = unistd::setpgid(Pid::this(), Pid::this());
    }
    if let Some(terminal) = terminal {
        let _ = unistd::tcsetpgrp(terminal, Pid::this());
    }
    if given.place == Place::Apart {
        stand_apart();
    }
    if given.behind {
        stand_behind();
    }
    exec::close_on_exec_except(given.keep);
    let failed = if given.activated {
        let program = program.clone().with("LISTEN_PID", Some(&Pid::this().to_string())).with("LISTEN_PIDFDID", None);
        InheritedSignals::get().restore();
        program.exec()
    } else {
        InheritedSignals::get().restore();
        program.exec()
    };
    let text = format!("{}\0{}\0{}", failed.exit, failed.error.message(), failed.error.advice().unwrap_or_default());
    let _ = File::from(report).write_all(text.as_bytes());
    // SAFETY: ends this process, and runs nothing that its parent registered.
    unsafe { libc::_exit(i32::from(failed.exit)) }
}

fn stand_apart() {
    let _ = unistd::setsid();
    let _ = unistd::chdir("/");
    if let Ok(nothing) = child::nothing() {
        let _ = unistd::dup2_stdin(nothing);
    }
    let _ = unistd::dup2_stdout(fd::borrow_standard(2));
}

/// As far as it may: a filter or a kernel without the call leaves things as they are.
fn stand_behind() {
    // SAFETY: take numbers; this process alone is meant.
    unsafe {
        let nice = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, nice + NICE);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
    }
}

enum Terminal {
    None,
    Foreground(OwnedFd),
    Background,
}

/// The terminal that controls this process, whether it is on stdin or not.
fn terminal() -> Terminal {
    let stdin = fd::borrow_standard(0);
    let found = match unistd::tcgetpgrp(stdin) {
        Ok(group) => stdin.try_clone_to_owned().ok().map(|fd| (fd, group)),
        Err(_) => open("/dev/tty", OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())
            .ok()
            .and_then(|fd| unistd::tcgetpgrp(fd.as_fd()).ok().map(|group| (fd, group))),
    };
    match found {
        None => Terminal::None,
        Some((fd, group)) if group == unistd::getpgrp() => Terminal::Foreground(fd),
        Some(_) => Terminal::Background,
    }
}
