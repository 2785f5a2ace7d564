//! `moorline holds-state`, which PID 1 starts itself: whether the volume holds state.

use std::process::ExitCode;

use clap::Args;
use engine::store::holds_state;
use volume::error::{Code, Result};

use super::Context;

/// Exit 0 if the volume holds state, else 10; moorline starts this itself
#[derive(Debug, Args)]
pub struct HoldsState {}

impl HoldsState {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        let profile = context.profile(&volume)?;
        let holds = holds_state(volume.root(), &profile.scope.compile()?)?;
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(Code::NotFound.exit()) })
    }
}
