//! One attempt to run a script: its commands or its program run as children, in the environment of scripts.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsRawFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};
use volume::presence;

use nix::{errno::Errno, sys::signal::Signal, unistd};

use super::{
    Settings, arguments, commands, hashbang,
    held::{self, Folders},
    ledger::Ledger,
    output::Output,
    policy::Failure,
    private_copy::PrivateCopy,
    recognise::ScriptKind,
    scan::Script,
    script_folder::ScriptFolder,
    script_report::{self, ScriptReport},
    server_env::{self, ScriptEnv},
    stage::Stage,
    trust,
};
use crate::command::{
    engine,
    parse::{self, Recognised},
};
use process::{
    Ended, Isolation, NotExecuted, Relay, Signals, User,
    child::{self, Done, Limits},
    exec,
};
use seqbac_header::Id;
use volume::{
    error::{Code, Error, IoContext, Result},
    lock,
    restores::{self, ScriptStep},
    script_lock,
};

/// How an attempt ended.
#[derive(Debug)]
pub enum Ran {
    Succeeded,
    /// A stop signal arrived, so the script was stopped.
    Stopped(Signal),
    Failed {
        failure: Failure,
        /// The exit code of the container for this failure.
        exit: u8,
        reason: Error,
    },
}

impl Ran {
    /// A script that cannot run unless it is changed.
    pub(super) fn unrunnable(reason: Error) -> Self {
        Self::Failed { failure: Failure::Permanent, exit: reason.code().exit(), reason }
    }

    /// A failure of moorline itself, which follows the failure table like a failure of the script.
    fn failed(reason: Error) -> Self {
        command_failed(reason.code().exit(), reason)
    }
}

pub(super) struct Attempt<'a, 'b> {
    pub settings: &'a Settings<'b>,
    pub script: &'a mut Script,
    pub run: Id,
    pub output: &'a mut Output,
    pub signals: &'a mut Signals,
    pub stage: Stage,
    pub began: Instant,
}

impl<'b> Attempt<'_, 'b> {
    /// Runs the script. Without a ledger, no command is recorded as done, so none is skipped.
    pub fn run(&mut self, kind: &ScriptKind, ledger: Option<&mut Ledger>) -> Result<Ran> {
        if let ScriptKind::BuiltIn(commands) = kind {
            return self.commands(commands, ledger);
        }
        let user = match self.user()? {
            Ok(user) => user,
            Err(place) => return Ok(Ran::unrunnable(trust::refuse_root(&place))),
        };
        if user.is_some() {
            (self.settings.before_user)()?;
        }
        let folder = match self.folder(user) {
            Ok(folder) => folder,
            Err(error) => return Ok(Ran::failed(error)),
        };
        match kind {
            ScriptKind::BuiltIn(commands) => self.commands(commands, ledger),
            ScriptKind::Image => self.image(user, &folder),
            ScriptKind::Interpreted { interpreter, argument } => {
                self.interpreted(interpreter, argument.as_deref(), user, &folder)
            }
            ScriptKind::ShellText => self.shell_text(user, &folder),
        }
    }

    /// The folder for a program's files. With `--user`, and where the volume has no links, it is outside the volume.
    fn folder(&self, user: Option<&User>) -> Result<ScriptFolder> {
        let Settings { volume, own, .. } = self.settings;
        if self.settings.user.is_some() {
            return ScriptFolder::temporary(volume, own, user);
        }
        let variables = (self.settings.environment)();
        let has_links = std::env::split_paths(variables.path()).next() == Some(volume.own().join("bin"));
        if has_links {
            return Ok(ScriptFolder::spool(volume));
        }
        Ok(ScriptFolder::temporary(volume, own, None).unwrap_or_else(|error| {
            log::warn!("scripts may not find `seqsvr`: {error}");
            ScriptFolder::spool(volume)
        }))
    }

    fn commands(&mut self, commands: &[commands::Command], mut ledger: Option<&mut Ledger>) -> Result<Ran> {
        let entry = ledger.as_ref().and_then(|ledger| ledger.find(&self.script.name));
        let recorded = entry.map(|entry| entry.commands_done.clone()).unwrap_or_default();
        // A restore is done if its journal says so, even if a crash came before the ledger was written.
        let restored = restores::completed_steps(self.settings.volume, self.run)?;
        let restricted_to = self.restricted_to()?;
        for (ordinal, command) in commands.iter().enumerate() {
            if recorded.contains(&ordinal) || restored.contains(&ordinal) {
                log::info!("skipping line {}, because an earlier start has run it", command.line);
                continue;
            }
            if let Some(signal) = self.signals.stop() {
                return Ok(Ran::Stopped(signal));
            }
            let arguments = match restricted_to {
                Some(user) => match trust::restricted(self.settings.volume, user, command) {
                    Ok(arguments) => arguments,
                    Err(error) => return Ok(Ran::unrunnable(error)),
                },
                None => command.arguments.clone(),
            };
            match self.command(command, &arguments, ordinal)? {
                Ran::Succeeded => {}
                Ran::Failed { reason, exit, .. } if command.may_fail(exit) => {
                    log::warn!("{reason}; the script continues because of --may-fail");
                }
                other => return Ok(other),
            }
            if let Some(ledger) = &mut ledger {
                ledger.change(&self.script.name, |entry| entry.commands_done.push(ordinal))?;
            }
        }
        Ok(Ran::Succeeded)
    }

    /// The server's user, if a built-in script may have been written by it.
    fn restricted_to(&self) -> Result<Option<&'b User>> {
        let Some(user) = self.settings.user.filter(|user| user.uid() != 0) else { return Ok(None) };
        Ok(trust::writable_by_others(self.settings, self.script)?.map(|_| user))
    }

    /// The user of a program or shell text; the place that others can write if it asks for root in vain.
    fn user(&self) -> Result<std::result::Result<Option<&'b User>, PathBuf>> {
        if self.settings.user.is_none() || !trust::asks_for_root(&self.script.text) {
            return Ok(Ok(self.settings.user));
        }
        Ok(trust::writable_by_others(self.settings, self.script)?.map_or(Ok(None), Err))
    }

    fn command(&mut self, command: &commands::Command, arguments: &[String], ordinal: usize) -> Result<Ran> {
        let arguments = match arguments::descriptor_with(arguments) {
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
        Ok(self.outcome(&done, |exit| {
            let message = format!("line {} (`{} …`) {}", command.line, command.program, ended(done.ended));
            (Failure::of_command(exit), Error::new(Code::from_exit(exit).unwrap_or(Code::Unexpected), message))
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

    fn image(&mut self, user: Option<&User>, folder: &ScriptFolder) -> Result<Ran> {
        let path = self.script.path.clone();
        // A program that runs as root is the one that was checked, whatever happens to its file meanwhile.
        let as_root = user.is_none() && held::is_distrusted();
        let executable = match user {
            Some(user) => user.may(&path, 1),
            None => unistd::access(&path, unistd::AccessFlags::X_OK).is_ok(),
        };
        let executable = executable && !as_root && !exec::on_noexec_mount(&path);
        let copy = match executable {
            true => None,
            false => match PrivateCopy::of_image(&mut self.script.file, &path, user) {
                Ok(copy) => Some(copy),
                Err(error) => return Ok(Ran::unrunnable(error)),
            },
        };
        if let Some(copy) = copy.as_ref().filter(|_| as_root) {
            let content = std::fs::read(copy.path()).on("read", copy.path())?;
            if blake3::hash(&content).to_hex().as_str() != self.script.hash {
                return Ok(Ran::unrunnable(Error::new(Code::ScriptUnrunnable, "it changed while it was read")));
            }
        }
        let mut child = Command::new(copy.as_ref().map_or(path.as_path(), PrivateCopy::path));
        child.arg0(&path);
        self.program(child, &path, user, folder)
    }

    fn interpreted(
        &mut self,
        interpreter: &OsStr,
        argument: Option<&OsStr>,
        user: Option<&User>,
        folder: &ScriptFolder,
    ) -> Result<Ran> {
        let path = self.script.path.clone();
        // A name without a slash is relative, as in the kernel.
        let program = self.working_directory(user).join(interpreter);
        let has_lead = hashbang::without_lead(&self.script.text).len() != self.script.text.len();
        let hidden = user.is_some_and(|user| !user.may(&path, 4));
        if hidden && trust::is_link_of_others(&path)? {
            return Ok(Ran::unrunnable(volume::link_of_others(&path)));
        }
        // A script that runs as root is the text that was checked, whatever happens to its file meanwhile.
        let as_root = user.is_none() && self.settings.user.is_some();
        let text = hashbang::without_indent(&self.script.text);
        let copy = (has_lead || hidden || as_root).then(|| PrivateCopy::of_text(&text, folder)).transpose();
        let copy = match copy {
            Ok(copy) => copy,
            Err(error) => return Ok(Ran::failed(error)),
        };
        let mut child = Command::new(&program);
        child.arg0(interpreter).args(argument).arg(copy.as_ref().map_or(path.as_path(), PrivateCopy::path));
        // If this check fails, starting the program reports the reason.
        if !is_absent(&program) {
            self.program(child, &program, user, folder)
        } else {
            let missing = format!("the interpreter {} of {} does not exist", interpreter.display(), path.display());
            Ok(Ran::unrunnable(
                Error::new(Code::ScriptUnrunnable, missing)
                    .hint("install it in the image, or name another interpreter in the #! line"),
            ))
        }
    }

    fn shell_text(&mut self, user: Option<&User>, folder: &ScriptFolder) -> Result<Ran> {
        let shell = Path::new("/bin/sh");
        if is_absent(shell) {
            let missing = format!("{} needs a shell, and the image has no /bin/sh", self.script.path.display());
            return Ok(Ran::unrunnable(
                Error::new(Code::ScriptUnrunnable, missing)
                    .hint("use only seqsvr commands, without variables or pipes: such a script needs no shell"),
            ));
        }
        self.interpreted(shell.as_os_str(), None, user, folder)
    }

    /// The PATH of a script whose links to this program are in `folder`: without `.moorline/bin`, in which the server's user
    /// may have put programs.
    fn path_with(&self, folder: &Path) -> OsString {
        let variables = (self.settings.environment)();
        let of_volume = self.settings.volume.own().join("bin");
        let others = std::env::split_paths(variables.path()).filter(|folder| *folder != of_volume);
        std::env::join_paths(std::iter::once(folder.to_owned()).chain(others)).unwrap_or_default()
    }

    /// `Init/`; for a script that runs as root beside a server with a user of its own, `/`, because that user may have put
    /// modules and programs into `Init/`.
    fn working_directory(&self, user: Option<&User>) -> PathBuf {
        if user.is_none() && held::is_distrusted() { "/".into() } else { self.settings.volume.init() }
    }

    fn outcome(&self, done: &Done, failed: impl FnOnce(u8) -> (Failure, Error)) -> Ran {
        match done.ended {
            Ended::Stopped(signal) => Ran::Stopped(signal),
            ended if done.timed_out => {
                let limit = self.settings.timeout.unwrap_or_default();
                let reason = Error::new(Code::Unexpected, format!("it was stopped after {limit:?}"))
                    .hint("give it more time with MOORLINE_SCRIPT_TIMEOUT, or find out what it waits for");
                // A program that handles SIGTERM may exit with 0.
                let exit = if ended.code() == 0 { TIMED_OUT } else { ended.code() };
                Ran::Failed { failure: Failure::Program, exit, reason }
            }
            Ended::Exited(0) => Ran::Succeeded,
            other => {
                let (failure, reason) = failed(other.code());
                Ran::Failed { failure, exit: exit_of(failure, other.code()), reason }
            }
        }
    }

    fn program(&mut self, mut child: Command, image: &Path, user: Option<&User>, folder: &ScriptFolder) -> Result<Ran> {
        self.prepare(&mut child, 0)?;
        if let Some(user) = user {
            child.env("HOME", user.home());
        }
        child.current_dir(self.working_directory(user));
        if folder.has_links() {
            child.env("PATH", self.path_with(folder.path()));
        }
        let report = match ScriptReport::create(folder, self.run) {
            Ok(report) => report,
            Err(error) => return Ok(Ran::failed(error)),
        };
        child.env(script_report::REPORT, report.path());
        // Beside the running server, it is too late for variables.
        let for_server = match self.stage {
            Stage::AfterStart => None,
            Stage::Once | Stage::EveryStart => match ScriptEnv::create(folder, self.run, user.is_some()) {
                Ok(file) => Some(file),
                Err(error) => return Ok(Ran::failed(error)),
            },
        };
        if let Some(file) = &for_server {
            child.env(server_env::VARIABLE, file.path());
        }
        let of_user = held::is_distrusted() && user.is_some();
        let folders = of_user.then(|| Folders::hold(self.settings.volume)).transpose()?;
        let done = match self.attend(child, Isolation { user: user.cloned(), ..Isolation::default() })? {
            Ok(done) => done,
            Err(cause) => {
                let errno = Errno::from_raw(cause.raw_os_error().unwrap_or(nix::libc::EIO));
                return Ok(Ran::unrunnable(exec::explain(image, errno).error.with_code(Code::ScriptUnrunnable)));
            }
        };
        if let Some(folders) = folders {
            folders.refuse_changes(&self.script.name)?;
            trust::refuse_links(self.settings.volume)?;
        }
        let ran = self.outcome(&done, |exit| {
            (Failure::of_program(exit), self.explain_user(Error::new(Code::Unexpected, ended(done.ended)), user))
        });
        let ran = match (ran, report.failed()) {
            (Ran::Succeeded, Some(failed)) => command_failed(failed.exit, self.explain_user(failed.reason, user)),
            (Ran::Succeeded, None) if self.was_cut_off(&done, &report) => command_failed(
                Code::Unexpected.exit(),
                Error::new(Code::Unexpected, "it ended before a command of moorline that it had started with `&`")
                    .hint("remove the `&` behind that command, or add a line `wait` at the end"),
            ),
            (ran, _) => ran,
        };
        if let (Ran::Succeeded, Some(file)) = (&ran, &for_server) {
            match file.variables() {
                Ok(variables) => (self.settings.for_server)(self.stage, &self.script.name, variables)?,
                Err(error) => return Ok(Ran::unrunnable(error)),
            }
        }
        Ok(ran)
    }

    /// Whether one of the processes that were stopped at the script's end was a command of moorline, or may have been about to
    /// become its restore.
    fn was_cut_off(&self, done: &Done, report: &ScriptReport) -> bool {
        let restores = self.restores();
        let is_ours = |name: &String| name.starts_with("seqsvr") || name.starts_with("moorline");
        done.leftovers.iter().any(is_ours) || (restores && !done.leftovers.is_empty() && !report.succeeded())
    }

    /// Whether the text, in whatever language, calls a restore.
    fn restores(&self) -> bool {
        let text = String::from_utf8_lossy(&self.script.text);
        let has = |line: &str, words: [&str; 2]| words.iter().any(|word| line.contains(word));
        text.lines().any(|line| has(line, ["seqsvr", "moorline"]) && has(line, ["restore", "rollback"]))
    }

    /// A restore that the server's user calls fails with EACCES, which does not say what to do.
    fn explain_user(&self, reason: Error, user: Option<&User>) -> Error {
        match user.filter(|user| user.uid() != 0 && self.restores()) {
            Some(user) => reason.hint(format!(
                "this script runs as user {}, who cannot restore: a script of nothing but seqsvr commands runs as root, and \
                 so does one with the line `# moorline: user=root` in its head",
                user.spec()
            )),
            None => reason,
        }
    }

    /// Sets the working directory and environment that every script gets.
    fn prepare(&self, child: &mut Command, ordinal: usize) -> Result<()> {
        let step = ScriptStep {
            script: self.script.name.clone(),
            hash: self.script.hash.clone(),
            run: self.run,
            command: ordinal,
        };
        let step = serde_json::to_string(&step)
            .map_err(|cause| Error::new(Code::Bug, format!("cannot serialise the step of a script: {cause}")))?;
        child.current_dir(self.settings.volume.init()).env_clear().envs((self.settings.environment)().pairs());
        child.env(SCRIPT, step);
        if let Some(lock) = self.lock() {
            child.env(lock::LOCK_FD, lock.to_string());
            child.env(script_lock::TOKEN, (self.settings.token)()?);
        }
        Ok(())
    }

    /// The lock's descriptor for the script. Scripts of `Init/ready.d/` do not get it, because with it they could replace the
    /// state beside the running server.
    fn lock(&self) -> Option<RawFd> {
        (self.stage != Stage::AfterStart).then(|| self.settings.lock.fd())
    }

    fn attend(&mut self, child: Command, mut isolation: Isolation) -> Result<std::io::Result<Done>> {
        isolation.keep.extend(self.lock());
        let relay = Relay { log: self.settings.log, listener: self.output };
        let name = self.script.name.clone();
        let began = self.began;
        let mut still_runs = |_| {
            let seconds = began.elapsed().as_secs();
            log::info!("init script {name} still runs after {seconds} s (MOORLINE_SCRIPT_TIMEOUT limits its time)");
        };
        let limits = Limits {
            still_runs: Some(&mut still_runs),
            until: self.settings.timeout.map(|timeout| began + timeout),
            grace: self.settings.grace,
        };
        match child::run(child, Some(relay), isolation, limits, self.signals) {
            Ok(done) => {
                if done.timed_out {
                    let line = format!("init script {} ran for too long and was stopped", self.script.name);
                    self.output.note(&line);
                }
                for name in &done.leftovers {
                    let line = format!("{} left {name} running; stopped it", self.script.name);
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

/// Whether the program certainly does not exist.
fn is_absent(program: &Path) -> bool {
    presence::target(program).is_ok_and(|found| found.is_none())
}

/// The exit code of timeout(1).
const TIMED_OUT: u8 = 124;

/// The variable that names the script and the command that a child carries out.
pub const SCRIPT: &str = "MOORLINE_SCRIPT";

/// A failure of one of our own commands, whatever exit code the script had.
fn command_failed(exit: u8, reason: Error) -> Ran {
    let failure = Failure::of_command(exit);
    Ran::Failed { failure, exit: exit_of(failure, exit), reason }
}

/// The container's exit code: 75 for every transient failure.
fn exit_of(failure: Failure, exit: u8) -> u8 {
    if failure == Failure::Transient { Code::TryAgain.exit() } else { exit }
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
