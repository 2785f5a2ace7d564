//! Hidden commands that PID 1 runs, because it never opens a database itself.

use std::process::ExitCode;

use clap::Args;

use super::{Context, ServerIs};
use engine::store::{Matcher, holds_state};
use volume::error::{Code, Result};

/// Finish or undo an interrupted restore; run by moorline itself
#[derive(Debug, Args)]
pub struct Recover {}

impl Recover {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        context.lock_and_recover(&context.volume()?, "recover", ServerIs::Stopped).map(drop)
    }
}

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
