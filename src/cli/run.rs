//! `moorline run [-- COMMAND…]`: init scripts, then the server.

use std::{ffi::OsString, path::Path, process::ExitCode};

use clap::Args;

use super::{
    Context,
    container::{self, Container},
    environment::{Environment, SECRETS},
    supervision::Flags,
};
use crate::{
    entrypoint::{self, Server, console, supervise::Companion},
    error::{Error, Result},
    process::Variables,
};

/// Run the init scripts, then become the server
///
/// The server replaces this process: it has its process id, and gets every signal. With `--supervise` it is a child, and
/// the console runs beside it. Without a command the server is the console itself.
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
    /// The server and its arguments, behind `--`; without them it is the console (`serve`)
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let environment = &context.environment;
        let console = self.supervision.console(environment)?;
        if self.command.is_empty() && !console {
            return Err(Error::usage("no server was named, and the console is not to be one")
                .hint("say `run -- my-server --its-flag`; or `init`, for the scripts alone"));
        }
        let server = Server {
            command: (!self.command.is_empty()).then_some(self.command),
            console,
            hidden: SECRETS.to_vec(),
            keys: environment.key_sources()?,
            accept_new_key: context.accepts_new_key(self.accept_new_key)?,
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
    let flags = Flags::plain();
    let how = flags.settings(environment)?.expect("it stays with the server");
    let variables: Variables = std::env::vars_os().collect();
    let console = flags.console(environment)?.then(|| beside(&variables)).flatten();
    // The only way to say it, in such a start.
    let storage = environment.setting(&["MOORLINE_STORAGE"])?.map_or_else(|| "/data".into(), |(_, root)| root);
    let storage = Path::new(&storage);
    Ok(container::answer(entrypoint::look_after(storage, &command, &variables, console.as_ref(), &how)?))
}

/// The console of that server. That there is none is no reason to leave the server alone.
fn beside(variables: &Variables) -> Option<Companion> {
    let own = container::own(variables).inspect_err(|error| log::error!("there is no console: {error}")).ok()?;
    console::beside(&own, variables).inspect_err(|refused| log::error!("there is no console: {}", refused.error)).ok()
}
