//! `moorline recover`, a hidden command that PID 1 runs: finishes or undoes a restore that a crash interrupted.

use std::process::ExitCode;

use clap::Args;
use engine::restore;
use volume::{Lock, error::Result};

use super::Context;

/// Finish or undo an interrupted restore; run by moorline itself
#[derive(Debug, Args)]
pub struct Recover {}

impl Recover {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        let _lock = Lock::take(&volume, "recover", context.inherited_lock(&volume))?;
        for line in restore::recover(&volume)? {
            log::info!("{line}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
