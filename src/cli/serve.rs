//! `moorline serve`: the console.

use std::process::ExitCode;

use clap::Args;

use super::Context;
use crate::error::Result;

/// The console: daily backups, and all of it in sight
#[derive(Debug, Args)]
pub struct Serve {
    /// What it is; moorline itself says so where it starts one
    #[arg(long = "as", value_name = "ROLE", value_parser = ["server", "companion", "sidecar"], default_value = "sidecar", hide = true)]
    role: String,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        volume.prepare()?;
        log::info!("the console is the {} on {}", self.role, volume.root().display());
        let asked = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT]);
        if let Ok(mut asked) = asked {
            let _ = asked.forever().next();
        }
        Ok(ExitCode::SUCCESS)
    }
}
