//! `moorline holds-state`, a hidden command that PID 1 runs: exits 0 if the volume holds state.

use std::process::ExitCode;

use clap::Args;
use engine::store::{Matcher, holds_state};
use volume::error::{Code, Result};

use super::Context;

/// Exit 0 if the volume holds state, otherwise 10; run by moorline itself
#[derive(Debug, Args)]
pub struct HoldsState {}

impl HoldsState {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        let profile = context.profile(&volume)?;
        let holds = holds_state(volume.root(), &Matcher::of(&profile.scope)?)?;
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(Code::NotFound.exit()) })
    }
}
