//! Starting a server, or a process beside it, as a child: fork, process group, terminal, descriptors, signals, exec.
//!
//! ```text
//! child:  own process group → terminal's foreground → descriptors → inherited signals → exec
//! parent: sets the same process group, because it may send signals before the child has set it
//! ```
//! If exec fails, the child writes the reason into a pipe, because only the child has the right directory and user. The
//! parent reads it after the child has ended and never waits for an exec, which may hang on a network file system.

use std::{
    borrow::Cow,
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

/// The nice value that low priority adds.
pub(crate) const NICE: i32 = 10;

/// `IOPRIO_CLASS_IDLE`, shifted for `ioprio_set`.
pub(crate) const IOPRIO_IDLE: usize = 3 << 13;
/// The scope of `ioprio_set`: one process.
pub(crate) const IOPRIO_WHO_PROCESS: usize = 1;

/// The child's process group and terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Leads its own process group, so that `kill 0` in it does not reach this process, and takes the terminal's foreground
    /// if this process has it. In the background of a terminal it stays in this process's group, unless `always` is set.
    Own {
        /// Leads its own group even in the background of a terminal.
        always: bool,
    },
    /// Own session without a terminal, stdin at its end, working directory `/`, output to the log.
    Detached,
}

/// How a child is started.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// The child's process group and terminal.
    pub placement: Placement,
    /// Descriptors that it inherits besides 0 to 2.
    pub keep: &'a [RawFd],
    /// Whether `LISTEN_PID` is set to its process id (socket activation).
    pub activated: bool,
    /// Whether it gets CPU and disk only when no other process wants them.
    pub low_priority: bool,
}

/// A started child.
#[derive(Debug)]
pub struct Started {
    /// Its process id, which is also the id of the process group that it leads.
    pub pid: Pid,
    failure: File,
    terminal: Option<OwnedFd>,
}

impl Started {
    /// Why exec failed, if it did. Call it after the child has ended.
    pub fn not_executed(&mut self) -> Option<NotExecuted> {
        let mut text = String::new();
        self.failure.read_to_string(&mut text).ok()?;
        let mut parts = text.split('\0');
        let exit = parts.next()?.parse().ok()?;
        let error = Error::new(Code::Unexpected, parts.next()?);
        let hint = parts.next().unwrap_or_default();
        Some(NotExecuted { exit, error: if hint.is_empty() { error } else { error.hint(hint) } })
    }

    /// Returns the terminal's foreground to this process, after the child has ended.
    pub fn take_terminal_back(&self) {
        if let Some(terminal) = &self.terminal {
            let _ = unistd::tcsetpgrp(terminal, unistd::getpgrp());
        }
    }
}

/// Forks a child that executes the program.
pub fn start(program: &Prepared, spawn: Spawn<'_>) -> Result<Started> {
    let (group, terminal) = match spawn.placement {
        Placement::Own { always } => match terminal() {
            Terminal::None => (true, None),
            Terminal::Foreground(terminal) => (true, Some(terminal)),
            Terminal::Background => (always, None),
        },
        Placement::Detached => (false, None),
    };
    let (failure, report) = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(|errno| failed(&errno))?;
    // SAFETY: this process has one thread, so the child may do everything that its parent may.
    match unsafe { unistd::fork() }.map_err(|errno| failed(&errno))? {
        ForkResult::Child => execute(program, spawn, group, terminal.as_ref(), report),
        ForkResult::Parent { child } => {
            if group {
                // Parent and child both do it, because either may run first. EACCES means that the child has been executed.
                let _ = unistd::setpgid(child, child);
            }
            Ok(Started { pid: child, failure: failure.into(), terminal })
        }
    }
}

fn failed(errno: &Errno) -> Error {
    Error::new(Code::TryAgain, format!("cannot start a process: {}", errno.desc().to_lowercase()))
        .hint("raise the container's process or memory limit")
}

fn execute(program: &Prepared, spawn: Spawn<'_>, group: bool, terminal: Option<&OwnedFd>, report: OwnedFd) -> ! {
    if group {
        let _ = unistd::setpgid(Pid::this(), Pid::this());
    }
    if let Some(terminal) = terminal {
        let _ = unistd::tcsetpgrp(terminal, Pid::this());
    }
    if spawn.placement == Placement::Detached {
        detach();
    }
    if spawn.low_priority {
        lower_priority();
    }
    exec::close_on_exec_except(spawn.keep);
    let mut program = Cow::Borrowed(program);
    if spawn.activated {
        let activated = program.into_owned().with("LISTEN_PID", Some(&Pid::this().to_string()));
        program = Cow::Owned(activated.with("LISTEN_PIDFDID", None));
    }
    InheritedSignals::get().restore();
    let failed = program.exec();
    let text = format!("{}\0{}\0{}", failed.exit, failed.error.message(), failed.error.advice().unwrap_or_default());
    let _ = File::from(report).write_all(text.as_bytes());
    // SAFETY: ends this process without running exit handlers of the parent.
    unsafe { libc::_exit(i32::from(failed.exit)) }
}

fn detach() {
    let _ = unistd::setsid();
    let _ = unistd::chdir("/");
    if let Ok(nothing) = child::empty_stdin() {
        let _ = unistd::dup2_stdin(nothing);
    }
    let _ = unistd::dup2_stdout(fd::borrow_standard(2));
}

/// Lowers the priority as far as allowed. Errors are ignored, because a seccomp filter may forbid these calls.
fn lower_priority() {
    // SAFETY: the calls take numbers and affect only this process.
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

/// The controlling terminal of this process, whether stdin is connected to it or not.
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
