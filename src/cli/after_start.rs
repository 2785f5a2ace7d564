//! `moorline after-start`, which moorline starts itself: the scripts of `Init/ready.d/`, once the server is healthy.

use std::process::ExitCode;

use clap::Args;

use super::{
    Context,
    container::{self, Container},
};
use crate::{entrypoint::ready, error::Result};

/// Run the scripts of Init/ready.d/ once the server is healthy; moorline starts this itself
#[derive(Debug, Args)]
pub struct AfterStart {
    #[command(flatten)]
    container: Container,
}

impl AfterStart {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let mut settings = self.container.settings(context, ready::VERB)?;
        settings.health = container::health(None, context)?;
        Ok(container::answer_after_start(ready::run(&settings)?))
    }
}
