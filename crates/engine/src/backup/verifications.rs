//! What later verifications found, `.moorline/verified.json`: when all that is kept was last read in full, and which
//! backups are not what they were. Retention does not count those.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde::{Deserialize, Serialize};

use seqbac_header::Id;
use volume::{
    Volume, durable,
    error::{IoContext, Result},
};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifications {
    /// When all were last verified in full.
    pub at: Option<jiff::Timestamp>,
    /// The backups that failed, each with why.
    pub failed: BTreeMap<Id, String>,
}

impl Verifications {
    /// What is written down. What cannot be understood is nothing: the next verification writes it anew.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn load(volume: &Volume) -> Result<Self> {
        let path = path(volume);
        match fs::read(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            other => Ok(serde_json::from_slice(&other.on("read", &path)?).unwrap_or_default()),
        }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other).on("write", &path(volume))?;
        durable::write(&path(volume), &text, 0o600)
    }
}

fn path(volume: &Volume) -> PathBuf {
    volume.own().join("verified.json")
}
