//! The bare-command rule: a first argument that is no verb is a command, executed as it is, without init.
//!
//! `docker run -it IMAGE bash` is for a person. Without a terminal it may be an orchestrator that forgot `run --`, so
//! it is refused while something is waiting that must come before a server.

use std::{
    ffi::{OsStr, OsString},
    io::IsTerminal,
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    process::ExitCode,
};

use super::{container, environment::Environment, output};
use crate::{
    apps::Memory,
    error::{Error, Result},
    init,
    process::{Variables, exec, signals},
    restore,
    volume::Volume,
};

/// A command line that is no verb's.
#[derive(Debug)]
pub struct Bare {
    /// The storage root, as far as it was named.
    storage: Option<PathBuf>,
    /// The command.
    command: Vec<OsString>,
}

/// Whether the command line is a bare command: its first argument but the flags of every verb is no flag and no verb.
#[must_use]
pub fn recognise(arguments: &[OsString], verbs: &[String]) -> Option<Bare> {
    let mut storage = None;
    let mut rest = arguments.get(1..)?;
    loop {
        let first = rest.first()?;
        if first == "--storage" {
            storage = rest.get(1).map(PathBuf::from);
            rest = rest.get(2..)?;
        } else if first == "--profile" || first == "--log-format" {
            rest = rest.get(2..)?;
        } else if [&b"--profile="[..], b"--log-format="].iter().any(|flag| first.as_bytes().starts_with(flag)) {
            rest = rest.get(1..)?;
        } else if let Some(root) = first.as_bytes().strip_prefix(b"--storage=") {
            storage = Some(PathBuf::from(OsStr::from_bytes(root)));
            rest = rest.get(1..)?;
        } else if first.as_bytes().starts_with(b"-") || verbs.iter().any(|verb| first == verb.as_str()) {
            return None;
        } else {
            return Some(Bare { storage, command: rest.to_vec() });
        }
    }
}

impl Bare {
    /// The word that might have been meant to be a verb.
    #[must_use]
    pub fn first(&self) -> &OsStr {
        self.command.first().map(OsString::as_os_str).unwrap_or_default()
    }

    /// Becomes the command. `nearest` is the verb that its first word resembles.
    ///
    /// # Errors
    /// Where it is refused, because something must come first.
    pub fn run(&self, environment: &Environment, nearest: Option<&str>) -> Result<ExitCode> {
        let variables: Variables = std::env::vars_os().collect();
        let prepared = match exec::prepare(&self.command, &variables) {
            Ok(prepared) => prepared,
            Err(refused) => {
                let first = self.first().display();
                let hint = nearest.map_or_else(
                    || "`moorline help` lists the verbs".to_owned(),
                    |verb| format!("did you mean `moorline {verb}`?"),
                );
                let error = refused.error.context(format!("{first} is no verb, and cannot be executed")).hint(hint);
                let _ = output::fail(&error, false);
                return Ok(ExitCode::from(refused.exit));
            }
        };
        if std::env::var_os(init::SCRIPT).is_some() {
            return Err(Error::usage(format!("`{}` is no verb", self.first().display()))
                .hint("an init script calls verbs of moorline as `seqsvr VERB`, and programs by their own names"));
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
    if restore::unfinished(volume)? {
        return Ok(Some(format!("a restore of {} is unfinished", volume.root().display())));
    }
    if let Some(memory) = Memory::load(volume)? {
        let apps: Vec<_> = memory.apps().collect();
        return Ok(Some(format!("{} is in quarantine, with {}", volume.root().display(), restore::in_words(&apps))));
    }
    let waiting = init::report(volume, &container::seqinit(environment)?)?.waiting;
    Ok(waiting.first().map(|first| match waiting.len() {
        1 => format!("the init script {first} is waiting"),
        count => format!("{count} init scripts are waiting, {first} first"),
    }))
}
