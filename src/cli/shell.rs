//! `moorline shell`: a shell in the container, without init and without the server.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::Args;
use nix::unistd::{AccessFlags, access};

use super::{Context, container, output};
use crate::{
    entrypoint,
    error::Result,
    process::{Variables, exec},
};

/// Start a shell instead of the server: no init script runs
#[derive(Debug, Args)]
pub struct Shell {
    /// What the shell is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

impl Shell {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
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
        let command: Vec<OsString> = [shell].into_iter().chain(self.arguments).collect();
        let refused = match exec::prepare(&command, &environment) {
            Ok(prepared) => prepared.exec(),
            Err(refused) => refused,
        };
        let hint = "every verb works without a shell: docker run IMAGE VERB";
        let _ = output::fail(&refused.error.context("there is no shell in this image").hint(hint), false);
        Ok(ExitCode::from(refused.exit))
    }
}

/// `$SHELL`, where it is one.
fn preferred(variables: &Variables) -> Option<OsString> {
    let usable = |shell: &&OsStr| access(*shell, AccessFlags::X_OK).is_ok();
    variables.get("SHELL").filter(usable).map(OsStr::to_owned)
}
