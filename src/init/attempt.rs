//! One attempt at one script: its commands or its program as children, in the environment that scripts are promised.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{Seek, Write},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};
use volume::presence;

use nix::{errno::Errno, fcntl::OFlag, sys::signal::Signal, unistd};

use super::{
    Settings, commands, hashbang, ledger::Ledger, output::Output, policy::Failure, private_copy::PrivateCopy,
    recognise::Kind, scan::Script, script_report::ScriptReport, stage::Stage,
};
use crate::command::{
    engine,
    parse::{self, Recognised},
};
use process::{
    Ended, Isolation, NotExecuted, Relay, Signals,
    child::{self, Done},
    exec,
};
use seqbac_header::Id;
use volume::{
    error::{Code, Error, Result},
    lock,
    restores::{self, ScriptStep},
};

/// What came of an attempt.
#[derive(Debug)]
pub enum Ran {
    /// It is done.
    Succeeded,
    /// It was stopped, because this process was asked to stop.
    Stopped(Signal),
    /// It failed.
    Failed {
        /// What failed.
        failure: Failure,
        /// The exit code that says so.
        exit: u8,
        /// Why.
        reason: Error,
    },
}

impl Ran {
    /// It cannot be run as it stands.
    pub(super) fn unrunnable(reason: Error) -> Self {
        Self::Failed { failure: Failure::Permanent, exit: reason.code().exit(), reason }
    }
}

/// An attempt under way.
pub(super) struct Attempt<'a, 'b> {
    pub settings: &'a Settings<'b>,
    pub script: &'a mut Script,
    pub run: Id,
    pub output: &'a mut Output,
    pub signals: &'a mut Signals,
    pub stage: Stage,
}

impl Attempt<'_, '_> {
    /// Runs the script. Without a ledger nothing is noted, and so nothing is passed over.
    ///
    /// # Errors
    /// Where the ledger cannot be written, or a child cannot be waited for: nothing is known of the script then.
    pub fn run(&mut self, kind: &Kind, ledger: Option<&mut Ledger>) -> Result<Ran> {
        match kind {
            Kind::BuiltIn(commands) => self.commands(commands, ledger),
            Kind::Image => self.image(),
            Kind::Interpreted { interpreter, argument } => self.interpreted(interpreter, argument.as_deref()),
            Kind::ShellText => self.shell_text(),
        }
    }

    fn commands(&mut self, commands: &[commands::Command], mut ledger: Option<&mut Ledger>) -> Result<Ran> {
        let entry = ledger.as_ref().and_then(|ledger| ledger.find(&self.script.name));
        let noted = entry.map(|entry| entry.commands_done.clone()).unwrap_or_default();
        // A restore is done when its journal says so, also where a crash kept the ledger from hearing of it.
        let restored = restores::completed_steps(self.settings.volume, self.run)?;
        for (ordinal, command) in commands.iter().enumerate() {
            if noted.contains(&ordinal) || restored.contains(&ordinal) {
                log::info!("line {} was done by an earlier start: it is not run again", command.line);
                continue;
            }
            if let Some(signal) = self.signals.stop() {
                return Ok(Ran::Stopped(signal));
            }
            match self.command(command, ordinal)? {
                Ran::Succeeded => {}
                Ran::Failed { reason, exit, .. } if command.may_fail(exit) => {
                    log::warn!("{reason}; the script goes on, as --may-fail says");
                }
                other => return Ok(other),
            }
            if let Some(ledger) = &mut ledger {
                ledger.change(&self.script.name, |entry| entry.commands_done.push(ordinal))?;
            }
        }
        Ok(Ran::Succeeded)
    }

    fn command(&mut self, command: &commands::Command, ordinal: usize) -> Result<Ran> {
        let arguments = match descriptor_with(&command.arguments) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(Ran::unrunnable(error)),
        };
        let number = arguments.as_raw_fd();
        let program = match self.program_of(command) {
            Ok(program) => program,
            Err(missing) => {
                return Ok(Ran::Failed { failure: Failure::Program, exit: missing.exit, reason: missing.error });
            }
        };
        let mut child = Command::new(&program);
        child.arg0(&command.program);
        self.prepare(&mut child, ordinal)?;
        child.env(self.settings.arguments_variable, number.to_string());
        let done = match self.attend(child, Isolation { keep: vec![number], ..Isolation::default() })? {
            Ok(done) => done,
            Err(cause) => return Err(Error::io("start", &program, &cause)),
        };
        Ok(outcome(done.ended, |exit| {
            let said = format!("line {} (`{} …`) {}", command.line, command.program, ended(done.ended));
            (Failure::of_command(exit), Error::new(Code::from_exit(exit).unwrap_or(Code::Unexpected), said))
        }))
    }

    /// The program that carries out a command: this one, or the engine.
    fn program_of(&self, command: &commands::Command) -> std::result::Result<PathBuf, NotExecuted> {
        let typed = std::iter::once(&command.program).chain(&command.arguments);
        match parse::recognise(&typed.map(OsString::from).collect::<Vec<_>>()) {
            Recognised::Engine => engine::find(self.settings.own, None),
            _ => Ok(self.settings.own.run().to_owned()),
        }
    }

    fn image(&mut self) -> Result<Ran> {
        let path = self.script.path.clone();
        let executable = match self.settings.user {
            Some(user) => user.may(&path, 1),
            None => unistd::access(&path, unistd::AccessFlags::X_OK).is_ok(),
        };
        let executable = executable && !exec::on_noexec_mount(&path);
        let copy = match executable {
            true => None,
            false => match PrivateCopy::of_image(&mut self.script.file, &path, self.settings.user) {
                Ok(copy) => Some(copy),
                Err(error) => return Ok(Ran::unrunnable(error)),
            },
        };
        let mut child = Command::new(copy.as_ref().map_or(path.as_path(), PrivateCopy::path));
        child.arg0(&path);
        self.program(child, &path)
    }

    fn interpreted(&mut self, interpreter: &OsStr, argument: Option<&OsStr>) -> Result<Ran> {
        let path = self.script.path.clone();
        // As the kernel would: without a slash it is a name in the working directory.
        let program = self.settings.volume.init().join(interpreter);
        let has_lead = hashbang::without_lead(&self.script.text).len() != self.script.text.len();
        let hidden = self.settings.user.is_some_and(|user| !user.may(&path, 4));
        let copy = (has_lead || hidden).then(|| self.copy_without_lead()).transpose()?;
        let mut child = Command::new(&program);
        child.arg0(interpreter).args(argument).arg(copy.as_ref().map_or(path.as_path(), PrivateCopy::path));
        // Where it cannot be told, the attempt to start it tells.
        if !is_absent(&program) {
            self.program(child, &program)
        } else {
            let missing = format!("the interpreter {} of {} does not exist", interpreter.display(), path.display());
            Ok(Ran::unrunnable(
                Error::new(Code::ScriptUnrunnable, missing)
                    .hint("install it in the image, or name another in the #! line"),
            ))
        }
    }

    fn shell_text(&mut self) -> Result<Ran> {
        let shell = Path::new("/bin/sh");
        if is_absent(shell) {
            let missing = format!("{} needs a shell, and the image has no /bin/sh", self.script.path.display());
            return Ok(Ran::unrunnable(Error::new(Code::ScriptUnrunnable, missing).hint(
                "a script made only of seqsvr commands needs none: no variables, pipes, or other commands in it",
            )));
        }
        self.interpreted(shell.as_os_str(), None)
    }

    fn copy_without_lead(&mut self) -> Result<PrivateCopy> {
        let text = hashbang::without_lead(&self.script.text);
        PrivateCopy::of_text(text, &self.settings.volume.spool(), self.settings.user)
    }

    fn program(&mut self, mut child: Command, image: &Path) -> Result<Ran> {
        self.prepare(&mut child, 0)?;
        let user = self.settings.user.cloned();
        if let Some(user) = &user {
            child.env("HOME", user.home());
        }
        let report = ScriptReport::create(self.settings.volume, self.run, self.settings.user)?;
        let done = match self.attend(child, Isolation { user, ..Isolation::default() })? {
            Ok(done) => done,
            Err(cause) => {
                let errno = Errno::from_raw(cause.raw_os_error().unwrap_or(nix::libc::EIO));
                return Ok(Ran::unrunnable(exec::explain(image, errno).error.with_code(Code::ScriptUnrunnable)));
            }
        };
        let ran = outcome(done.ended, |_| (Failure::Program, Error::new(Code::Unexpected, ended(done.ended))));
        Ok(match (ran, report.failed()) {
            (Ran::Succeeded, Some(failed)) => command_failed(failed.exit, failed.reason),
            (ran, _) => ran,
        })
    }

    /// What every script is promised.
    fn prepare(&self, child: &mut Command, ordinal: usize) -> Result<()> {
        let step = ScriptStep {
            script: self.script.name.clone(),
            hash: self.script.hash.clone(),
            run: self.run,
            command: ordinal,
        };
        let step = serde_json::to_string(&step)
            .map_err(|cause| Error::new(Code::Bug, format!("a script's step cannot be written: {cause}")))?;
        child.current_dir(self.settings.volume.init()).env_clear().envs((self.settings.environment)().pairs());
        child.env(SCRIPT, step);
        if let Some(lock) = self.lock() {
            child.env(lock::LOCK_FD, lock.to_string());
        }
        Ok(())
    }

    /// What may replace the state before the server starts may not do so beside it.
    fn lock(&self) -> Option<RawFd> {
        (self.stage != Stage::AfterStart).then(|| self.settings.lock.fd())
    }

    fn attend(&mut self, child: Command, mut isolation: Isolation) -> Result<std::io::Result<Done>> {
        isolation.keep.extend(self.lock());
        let relay = Relay { log: self.settings.log, listener: self.output };
        match child::run(child, Some(relay), isolation, self.settings.grace, self.signals) {
            Ok(done) => {
                for name in &done.leftovers {
                    let line = format!("{} left {name} running: it was stopped", self.script.name);
                    log::warn!("{line}");
                    self.output.note(&line);
                }
                Ok(Ok(done))
            }
            Err(child::Failure::NotStarted(cause)) => Ok(Err(cause)),
            Err(child::Failure::Lost(error)) => Err(error),
        }
    }
}

/// Whether there certainly is no such program.
fn is_absent(program: &Path) -> bool {
    presence::target(program).is_ok_and(|found| found.is_none())
}

/// The variable that tells a child which script, and which command of it, it is run for.
pub const SCRIPT: &str = "MOORLINE_SCRIPT";

fn outcome(ended: Ended, failed: impl FnOnce(u8) -> (Failure, Error)) -> Ran {
    match ended {
        Ended::Exited(0) => Ran::Succeeded,
        Ended::Stopped(signal) => Ran::Stopped(signal),
        other => {
            let (failure, reason) = failed(other.code());
            Ran::Failed { failure, exit: exit_of(failure, other.code()), reason }
        }
    }
}

/// One of our commands failed, whatever the script made of that.
fn command_failed(exit: u8, reason: Error) -> Ran {
    let failure = Failure::of_command(exit);
    Ran::Failed { failure, exit: exit_of(failure, exit), reason }
}

/// The error's own code says the same where the table gives the container another one.
fn exit_of(failure: Failure, exit: u8) -> u8 {
    if failure == Failure::Passing { Code::TryAgain.exit() } else { exit }
}

fn ended(how: Ended) -> String {
    match how {
        Ended::Killed(signal) => {
            let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |signal| signal.to_string());
            format!("was killed by {name}")
        }
        other => format!("exited with {}", other.code()),
    }
}

/// Arguments where `ps` does not show them: each ended by a NUL, in memory or in a pipe.
fn descriptor_with(arguments: &[String]) -> Result<OwnedFd> {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    for argument in arguments {
        text.extend_from_slice(argument.as_bytes());
        text.push(0);
    }
    in_memory(&text).or_else(|_| in_pipe(&text)).map_err(|_| {
        Error::new(Code::ScriptUnrunnable, "a line of the script is too long").hint("shorten it, or use a shell script")
    })
}

fn in_memory(text: &[u8]) -> std::io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let mut file = File::from(memfd_create(c"arguments", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

fn in_pipe(text: &[u8]) -> std::io::Result<OwnedFd> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    File::from(writer).write_all(text)?;
    Ok(reader)
}
