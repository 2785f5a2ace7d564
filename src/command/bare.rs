//! A first argument that is not a command of moorline is executed as a program, without init.
//!
//! `docker run -it IMAGE bash` is for a person. Without a terminal, an orchestrator may have forgotten `run --`, so the
//! program is refused while a restore, a quarantine or an init script is pending.

use std::{
    ffi::{OsStr, OsString},
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{container, environment::Environment, log_format::Format, options, output, parse};
use crate::init;
use process::{exec, fd, signals};
use volume::{
    Lock, Volume,
    error::{Error, IoContext, Result},
    quarantine::QuarantineStatus,
    restores,
};

/// A command line that names another program.
#[derive(Debug)]
pub struct Bare {
    /// The value of `--storage`, if it was passed.
    pub storage: Option<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Bare {
    /// The name of the program, which may be a mistyped command.
    #[must_use]
    pub fn first(&self) -> &OsStr {
        self.command.first().map(OsString::as_os_str).unwrap_or_default()
    }

    pub fn run(&self, environment: &Environment) -> Result<ExitCode> {
        if self.is_the_server() {
            Format::default_of_log();
        }
        let prepared = match exec::prepare(&self.command, environment.variables().clone()) {
            Ok(prepared) => prepared,
            Err(refused) => {
                let first = self.first();
                let hint = parse::nearest_command(&first.to_string_lossy()).map_or_else(
                    || "`moorline help` lists the commands".to_owned(),
                    |command| format!("did you mean `moorline {command}`?"),
                );
                let error = match refused.exit {
                    127 => Error::usage(format!("unknown command `{}` (and no such program on PATH)", first.display())),
                    _ => refused.error.context(format!("unknown command `{}`", first.display())),
                }
                .hint(hint);
                report_to_script(&error);
                let _ = output::fail(&error, false);
                return Ok(ExitCode::from(refused.exit));
            }
        };
        if std::env::var_os(init::SCRIPT).is_some() {
            let error = Error::usage(format!("`{}` is not a command of moorline", self.first().display()));
            report_to_script(&error);
            return Err(error.hint(
                "an init script calls commands of moorline as `seqsvr COMMAND`, and programs by their own names",
            ));
        }
        self.refuse_while_waiting(environment)?;
        // Held until exec, and by the program afterwards.
        let _lock = self.is_the_server().then(|| self.claim(environment)).flatten();
        signals::release();
        let refused = prepared.exec();
        let _ = output::fail(&refused.error, false);
        Ok(ExitCode::from(refused.exit))
    }

    /// Whether the program is probably the container's server: it has no terminal, and it becomes PID 1 or its child, as under
    /// tini or a shell.
    fn is_the_server(&self) -> bool {
        !std::io::stdin().is_terminal() && [std::process::id(), std::os::unix::process::parent_id()].contains(&1)
    }

    /// Logs the steps that this start skips, and takes the volume's lock for the program, so that no restore replaces its
    /// state while it runs, and `health` knows about it. Failures are only logged, because the user asked for the program.
    fn claim(&self, environment: &Environment) -> Option<Lock> {
        let command = self.first().display();
        log::warn!(
            "starting {command} without init: no init scripts, no backups, no supervision; use `run -- {command} …` \
             (a `command:` or `args:` of the container replaces `run --`)"
        );
        let volume = match self.volume(environment) {
            Ok(volume) => volume?,
            Err(error) => {
                log::warn!("{command} runs without the volume's lock: {error}");
                return None;
            }
        };
        let name = Path::new(self.first()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let taken = volume.prepare().and_then(|()| Lock::take(&volume, &name, None)).and_then(|lock| {
            lock.server_starts();
            for fd in lock.fds() {
                fd::keep_on_exec(fd).on("keep open", &volume.own())?;
            }
            Ok(lock)
        });
        taken.inspect_err(|error| log::warn!("{command} runs without the volume's lock: {error}")).ok()
    }

    /// The volume; `None` if nothing is mounted.
    fn volume(&self, environment: &Environment) -> Result<Option<Volume>> {
        let set = environment.variables().get(options::STORAGE_VARIABLE).filter(|root| !root.is_empty());
        let named = || set.map(PathBuf::from);
        let root = self.storage.clone().or_else(named).unwrap_or_else(|| options::DEFAULT_STORAGE.into());
        Volume::open_in_if_there(&root, &environment.places()?)
    }

    fn refuse_while_waiting(&self, environment: &Environment) -> Result<()> {
        if std::io::stdin().is_terminal() || environment.switch("MOORLINE_BARE")? {
            return Ok(());
        }
        // Without a volume nothing can be pending.
        let Some(volume) = self.volume(environment)? else { return Ok(()) };
        let Some(reason) = reason_to_wait(&volume, environment)? else { return Ok(()) };
        let command = self.first().display();
        Err(Error::usage(format!("`{command}` would start without init, but {reason}"))
            .hint(format!("use `run -- {command} …` to run init first, or set MOORLINE_BARE=1 to start it anyway")))
    }
}

/// Lets the script that called this process fail, whatever its exit code: a mistyped `restore` restores nothing.
fn report_to_script(error: &Error) {
    let report = std::env::var_os(init::REPORT);
    if let Some(reporter) = report.and_then(|path| init::Reporter::find(Path::new(&path), "command")) {
        reporter.failed(error.code().exit(), error.message());
    }
}

fn reason_to_wait(volume: &Volume, environment: &Environment) -> Result<Option<String>> {
    if restores::unfinished(volume)? {
        return Ok(Some(format!("a restore of {} is unfinished", volume.root().display())));
    }
    if let Some(status) = QuarantineStatus::load(volume)? {
        return Ok(Some(format!("{} is in quarantine, with {}", volume.root().display(), status.in_words())));
    }
    let waiting = init::report(volume, &container::seqinit(environment)?)?.waiting;
    Ok(waiting.first().map(|first| match waiting.len() {
        1 => format!("the init script {first} is waiting"),
        count => format!("{count} init scripts are waiting, {first} first"),
    }))
}
