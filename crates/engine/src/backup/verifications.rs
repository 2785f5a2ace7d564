//! `.moorline/verified.json`: when all backups were last verified in full, and which ones failed. Retention does not
//! count the failed ones.

use std::collections::BTreeMap;

use crate::prelude::*;

/// The results of later verifications.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifications {
    /// When all backups were last verified in full.
    pub at: Option<jiff::Timestamp>,
    /// The backups that failed, each with the reason.
    pub failed: BTreeMap<Id, String>,
}

impl Verifications {
    /// Reads the file. An invalid file counts as empty, because the next verification rewrites it.
    pub fn load(volume: &Volume) -> Result<Self> {
        let path = path(volume);
        let text = presence::unless_absent(fs::read(&path)).on("read", &path)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }

    /// Writes the file durably.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other).on("write", &path(volume))?;
        durable::write(&path(volume), &text, 0o600)
    }
}

fn path(volume: &Volume) -> PathBuf {
    volume.own().join("verified.json")
}
