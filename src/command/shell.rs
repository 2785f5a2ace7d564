//! `moorline shell`: a shell in the container, without init and without the server.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use nix::unistd::{AccessFlags, access};

use super::{Context, container, output, parse::Parsed};
use crate::entrypoint;
use process::{Variables, exec};
use volume::error::Result;

/// Carries out `shell`.
///
/// # Errors
/// Where this program cannot find itself.
pub fn shell(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let variables: Variables = std::env::vars_os().collect();
    let own = container::own(&variables)?;
    let shell = preferred(&variables).unwrap_or_else(|| "/bin/sh".into());
    // A shell is what one looks at a broken volume with: that it is not there is no reason to refuse one.
    let environment = match context.volume().and_then(|volume| volume.prepare().map(|()| volume)) {
        Ok(volume) => entrypoint::with_commands(variables, &own, &volume, &context.profile),
        Err(error) => {
            log::warn!("{error}");
            variables.with("DATA_DIR", context.storage.as_os_str())
        }
    };
    let command: Vec<OsString> = [shell].into_iter().chain(parsed.rest.iter().cloned()).collect();
    let refused = match exec::prepare(&command, &environment) {
        Ok(prepared) => prepared.exec(),
        Err(refused) => refused,
    };
    let hint = "every command works without a shell: docker run IMAGE COMMAND";
    let _ = output::fail(&refused.error.context("there is no shell in this image").hint(hint), false);
    Ok(ExitCode::from(refused.exit))
}

/// `$SHELL`, where it is one.
fn preferred(variables: &Variables) -> Option<OsString> {
    let usable = |shell: &&OsStr| access(*shell, AccessFlags::X_OK).is_ok();
    variables.get("SHELL").filter(usable).map(OsStr::to_owned)
}
