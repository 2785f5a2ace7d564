//! `moorline run [-- COMMAND…]`: init scripts, then the server.

use std::process::ExitCode;

use volume::error::{Error, Result};

use super::{
    Context,
    container::{self, Container},
    environment::SECRETS,
    parse::Parsed,
    supervision::Flags,
};
use crate::entrypoint::{self, KeySettings, Server};

pub fn run(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let environment = &context.environment;
    let flags = Flags::of(parsed)?;
    let console = flags.console(environment)?;
    if parsed.rest.is_empty() && !console {
        return Err(Error::usage("no server command was given, and --no-serve disables the console")
            .hint("name a server: run -- my-server --its-flag; or use `init` to run only the scripts"));
    }
    let server = Server {
        command: (!parsed.rest.is_empty()).then(|| parsed.rest.clone()),
        console,
        hidden: SECRETS.to_vec(),
        key: KeySettings {
            sources: environment.key_sources()?,
            accept_new: context.accepts_new_key(parsed.has("accept-new-key"))?,
        },
        parent_death_signal: flags.parent_death_signal(environment)?,
        supervision: flags.settings(environment)?,
        boot_backup: !parsed.has("no-boot-backup") && !environment.switch("MOORLINE_NO_BOOT_BACKUP")?,
    };
    let mut settings = Container::of(parsed)?.settings(context, "run")?;
    settings.health = container::health(parsed.text("health")?, context)?;
    Ok(container::answer(entrypoint::run(&settings, &server)?))
}
