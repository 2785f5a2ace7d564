//! The bare-command rule: a first argument that is no verb is a command, executed as it is, without init.
//!
//! `docker run -it IMAGE bash` is for a person. Without a terminal it may be an orchestrator that forgot `run --`, so
//! it is refused while something is waiting that must come before a server.

use std::{
    ffi::{OsStr, OsString},
    io::IsTerminal,
    path::PathBuf,
    process::ExitCode,
};

use super::{container, environment::Environment, output, parse};
use crate::init;
use process::{Variables, exec, signals};
use volume::{
    Volume,
    error::{Error, Result},
    quarantine::QuarantineStatus,
    restores,
};

/// A command line that names a program of somebody else.
#[derive(Debug)]
pub struct Bare {
    /// The storage root, as far as it was named.
    pub storage: Option<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Bare {
    /// The word that might have been meant as a command.
    #[must_use]
    pub fn first(&self) -> &OsStr {
        self.command.first().map(OsString::as_os_str).unwrap_or_default()
    }

    /// Becomes the program.
    ///
    /// # Errors
    /// Where it is refused, because something must come first.
    pub fn run(&self, environment: &Environment) -> Result<ExitCode> {
        let variables: Variables = std::env::vars_os().collect();
        let prepared = match exec::prepare(&self.command, &variables) {
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
                let _ = output::fail(&error, false);
                return Ok(ExitCode::from(refused.exit));
            }
        };
        if std::env::var_os(init::SCRIPT).is_some() {
            return Err(Error::usage(format!("`{}` is not a command of moorline", self.first().display())).hint(
                "an init script calls commands of moorline as `seqsvr COMMAND`, and programs by their own names",
            ));
        }
        self.refuse_while_waiting(environment)?;
        signals::release();
        let refused = prepared.exec();
        let _ = output::fail(&refused.error, false);
        Ok(ExitCode::from(refused.exit))
    }

    fn refuse_while_waiting(&self, environment: &Environment) -> Result<()> {
        if std::io::stdin().is_terminal() || environment.switch("MOORLINE_BARE")? {
            return Ok(());
        }
        let named = || std::env::var_os("MOORLINE_STORAGE").map(PathBuf::from);
        let root = self.storage.clone().or_else(named).unwrap_or_else(|| "/data".into());
        // No volume: nothing can be waiting on it.
        let Some(volume) = Volume::open_if_there(&root)? else { return Ok(()) };
        let Some(reason) = reason_to_wait(&volume, environment)? else { return Ok(()) };
        let command = self.first().display();
        Err(Error::usage(format!("`{command}` would be started without init, and {reason}")).hint(format!(
            "say `run -- {command} …` to have that seen to first; MOORLINE_BARE=1 starts it all the same"
        )))
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
