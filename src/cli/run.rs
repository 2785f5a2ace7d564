//! `moorline run -- COMMAND…`: init scripts, then the server.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

use super::{
    Context,
    container::{self, Container},
    environment::{Environment, SECRETS},
    supervision::Flags,
};
use crate::{
    entrypoint::{self, Server},
    error::{Error, Result},
};

/// Run the init scripts, then become the server
///
/// The server replaces this process: it has its process id, and gets every signal. With `--supervise` it is a child.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    container: Container,
    /// Do not take a backup before the server starts [env: MOORLINE_NO_BOOT_BACKUP]
    #[arg(long)]
    no_boot_backup: bool,
    /// Go on with a configured key that is not the one this volume's backups are sealed with [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
    /// How it is told that the server is healthy: http://HOST:PORT/PATH, tcp:HOST:PORT or alive:DURATION [env: MOORLINE_HEALTH]
    #[arg(long, value_name = "CHECK")]
    health: Option<String>,
    #[command(flatten)]
    supervision: Flags,
    /// The server and its arguments, behind `--`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        if self.command.is_empty() {
            return Err(Error::usage("no server was named")
                .hint("say `run -- my-server --its-flag`; or `init`, for the scripts alone"));
        }
        let environment = &context.environment;
        let server = Server {
            command: self.command,
            hidden: SECRETS.to_vec(),
            keys: environment.key_sources()?,
            accept_new_key: self.accept_new_key || environment.switch("MOORLINE_ACCEPT_NEW_KEY")?,
            parent_death_signal: self.supervision.parent_death_signal(environment)?,
            supervision: self.supervision.settings(environment)?,
            boot_backup: !self.no_boot_backup && !environment.switch("MOORLINE_NO_BOOT_BACKUP")?,
        };
        let mut settings = self.container.settings(context, "run")?;
        settings.health = container::health(self.health.as_deref(), context)?;
        Ok(container::answer(entrypoint::run(&settings, &server)?))
    }
}

/// The rest of a start whose server runs already, because there was nothing to do: `run --supervise -- COMMAND…`.
pub(super) fn look_after(arguments: Vec<OsString>, environment: &Environment) -> Result<ExitCode> {
    let command: Vec<OsString> =
        arguments.into_iter().skip(1).skip_while(|argument| argument != "--").skip(1).collect();
    let how = Flags::plain().settings(environment)?.expect("it stays with the server");
    Ok(container::answer(entrypoint::look_after(&command, &std::env::vars_os().collect(), &how)?))
}
