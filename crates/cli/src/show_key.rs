//! `moorline show-key`: the secret key that backups are sealed with.

use std::process::ExitCode;

use clap::Args;

use super::{Context, output};
use seqbac_header::SecretKey;
use volume::error::Result;

/// Print the secret key that backups are sealed with
///
/// On a volume that has none, one is made.
#[derive(Debug, Args)]
pub struct ShowKey {
    /// Print a new random key, and store nothing
    #[arg(long)]
    generate: bool,
    /// Go on with a configured key that is not the one this volume's backups are sealed with [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
}

impl ShowKey {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let key = if self.generate {
            SecretKey::generate()?
        } else {
            let volume = context.volume()?;
            volume.prepare()?;
            context.environment.key_sources()?.ensure(&volume, context.accepts_new_key(self.accept_new_key)?)?.key
        };
        output::answer(&key.to_text());
        Ok(ExitCode::SUCCESS)
    }
}
