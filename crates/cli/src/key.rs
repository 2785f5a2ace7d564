//! `--secret-key`, `--secret-key-file` and `--accept-new-key`, for the commands that open a backup.

use std::path::PathBuf;

use clap::Args;
use zeroize::Zeroizing;

use super::Context;
use seqbac_header::SecretKey;
use volume::{
    Volume,
    error::{Code, Error, Result},
    key::Sources,
};

/// The key that opens a backup.
#[derive(Args)]
pub struct KeyArguments {
    /// Secret key that sealed the backup, if it is not the volume's own
    #[arg(long, value_name = "BASE64", value_parser = wiped)]
    secret_key: Option<Zeroizing<String>>,
    /// File that contains this key
    #[arg(long, value_name = "FILE")]
    secret_key_file: Option<PathBuf>,
    /// Accept a configured key that did not seal this volume's earlier backups [env: MOORLINE_ACCEPT_NEW_KEY]
    #[arg(long)]
    accept_new_key: bool,
}

impl KeyArguments {
    /// All sources of a key: the command line and the environment.
    pub(super) fn sources(&self, context: &Context) -> Result<Sources> {
        Ok(Sources {
            flag: self.secret_key.clone(),
            flag_file: self.secret_key_file.clone(),
            ..context.environment.key_sources()?
        })
    }

    /// The key to open a backup with: the one from the command line, otherwise the active one.
    pub(super) fn find(&self, context: &Context, volume: Option<&Volume>) -> Result<Option<SecretKey>> {
        let sources = self.sources(context)?;
        if let Some(key) = sources.from_flag()? {
            return Ok(Some(key));
        }
        let found = match volume {
            Some(volume) => sources.agreed(volume, context.accepts_new_key(self.accept_new_key)?)?,
            None => sources.active(None)?,
        };
        Ok(found.map(|found| found.key))
    }

    /// Like [`KeyArguments::find`], but a missing key is an error.
    pub(super) fn get(&self, context: &Context, volume: Option<&Volume>) -> Result<SecretKey> {
        self.find(context, volume)?.ok_or_else(|| {
            Error::new(Code::NotFound, "there is no secret key: none is configured, and the volume has none")
                .hint("pass the key that sealed the backup with --secret-key or --secret-key-file")
        })
    }
}

/// Keeps the key from the command line in memory that is wiped when it is dropped.
#[allow(clippy::unnecessary_wraps, reason = "clap requires a `Result`")]
fn wiped(text: &str) -> Result<Zeroizing<String>> {
    Ok(Zeroizing::new(text.to_owned()))
}
