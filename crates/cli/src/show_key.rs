//! `moorline show-key`: prints the secret key that seals the volume's backups, or a new random key.

use clap::Args;

use super::{Context, output};
use seqbac_header::SecretKey;
use volume::error::Result;

/// Print the secret key that encrypts the volume's backups
///
/// If the volume has no key, this command creates one.
#[derive(Debug, Args)]
pub struct ShowKey {
    /// Print a new random key and store nothing
    #[arg(long)]
    generate: bool,
    /// Accept a configured key that did not seal this volume's earlier backups [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
}

impl ShowKey {
    pub(super) fn run(self, context: &Context) -> Result<()> {
        let key = if self.generate {
            SecretKey::generate()?
        } else {
            let volume = context.volume()?;
            volume.prepare()?;
            context.environment.key_sources()?.ensure(&volume, context.accepts_new_key(self.accept_new_key)?)?.key
        };
        output::answer(&key.to_text());
        Ok(())
    }
}
