//! Hidden commands: those that PID 1 runs, because it never opens a database itself, and those that backups and the console run
//! around captures.

use std::process::ExitCode;

use clap::Args;

use super::{Context, ServerIs, output, progress::ProgressReporter};
use engine::backup;
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

/// Run `before` and `after` of a capture, and stop the server meanwhile; run by moorline itself
#[derive(Debug, Args)]
pub struct CaptureGuard {}

impl CaptureGuard {
    pub(super) fn run(self) -> Result<()> {
        let (mut input, mut answers) = (std::io::stdin().lock(), std::io::stdout().lock());
        backup::guard(&mut input, &mut answers, &mut ProgressReporter::new())
    }
}

/// Run `after` of each capture whose backup could not; run by moorline itself
#[derive(Debug, Args)]
pub struct FinishCaptures {
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl FinishCaptures {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        backup::finish_captures(&volume, &context.profile(&volume)?, &context.environment.own_names())?;
        if self.json { output::object(&serde_json::json!({})) } else { Ok(()) }
    }
}
