//! `moorline init`: the init scripts alone, for an init container.

use std::process::ExitCode;

use clap::Args;

use super::{
    Context,
    container::{self, Container},
};
use crate::{entrypoint, error::Result};

/// Run the init scripts, and exit
#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    container: Container,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        Ok(container::answer(entrypoint::init(&self.container.settings(context, "init")?)?))
    }
}
