//! `moorline shell`: a shell in place of init and the server.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use nix::unistd::{AccessFlags, access};

use super::{Context, container, output, parse::Parsed};
use crate::entrypoint;
use process::{Variables, exec};
use volume::error::Result;

pub fn shell(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let variables = context.environment.variables().clone();
    let own = container::own(&variables)?;
    let shell = preferred(&variables).unwrap_or_else(|| "/bin/sh".into());
    // A shell is needed to repair a broken volume, so a missing volume is only a warning.
    let environment = match context.volume().and_then(|volume| volume.prepare().map(|()| volume)) {
        Ok(volume) => entrypoint::with_commands(variables, &own, &volume, &context.profile),
        Err(error) => {
            log::warn!("{error}");
            variables.with("DATA_DIR", context.storage.as_os_str())
        }
    };
    let command: Vec<OsString> = [shell].into_iter().chain(parsed.rest.iter().cloned()).collect();
    let refused = match exec::prepare(&command, environment) {
        Ok(prepared) => prepared.exec(),
        Err(refused) => refused,
    };
    let hint = "every command works without a shell: docker run IMAGE COMMAND";
    let _ = output::fail(&refused.error.context("this image has no shell").hint(hint), false);
    Ok(ExitCode::from(refused.exit))
}

/// `$SHELL`, if it names an executable file.
fn preferred(variables: &Variables) -> Option<OsString> {
    let usable = |shell: &&OsStr| access(*shell, AccessFlags::X_OK).is_ok();
    variables.get("SHELL").filter(usable).map(OsStr::to_owned)
}
