//! The identity of the volume: `.moorline/instance.json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use seqbac_header::Id;

use super::{Volume, durable, presence};
use crate::error::{Code, Error, Result};

/// The instance of a volume. Two volumes never have the same id.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Instance {
    /// The instance id, which every backup's authenticated header contains.
    pub id: Id,
    /// The time of creation.
    pub created: jiff::Timestamp,
    /// The fingerprint of the secret key that encrypts its backups, once a key was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fingerprint: Option<Id>,
    /// The number of restores and rollbacks on this volume.
    #[serde(default)]
    pub restore_epoch: u64,
    /// The backup that was restored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_backup: Option<Id>,
    /// The time of the last restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<jiff::Timestamp>,
}

impl Instance {
    /// A new instance with a random id.
    pub fn new() -> Result<Self> {
        Ok(Self {
            id: Id::random()?,
            created: jiff::Timestamp::now(),
            key_fingerprint: None,
            restore_epoch: 0,
            restored_backup: None,
            restored: None,
        })
    }

    /// Replaces the id, for a volume that is a copy of another one.
    pub fn renew(&mut self) -> Result<()> {
        (self.id, self.created) = (Id::random()?, jiff::Timestamp::now());
        Ok(())
    }

    /// Loads the volume's instance, if it exists.
    pub fn load(volume: &Volume) -> Result<Option<Self>> {
        let path = volume.own().join("instance.json");
        let Some(text) = presence::read(&path)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|cause| {
            Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display())).hint(
                "move it away: the volume gets a new instance id, and a restore of its old backups needs --backup",
            )
        })
    }

    /// Loads the volume's instance, or creates one.
    pub fn ensure(volume: &Volume) -> Result<Self> {
        if let Some(instance) = Self::load(volume)? {
            return Ok(instance);
        }
        let instance = Self::new()?;
        // Two processes may do this at once on a new volume, and both must continue with the same instance.
        match durable::write_new(&Self::path(volume), &instance.to_bytes()?, 0o644)? {
            true => Ok(instance),
            false => Self::ensure(volume),
        }
    }

    /// Writes the file, durably.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        durable::write(&Self::path(volume), &self.to_bytes()?, 0o644)
    }

    fn path(volume: &Volume) -> PathBuf {
        volume.own().join("instance.json")
    }

    /// The content of the file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("cannot serialise instance.json: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }
}
