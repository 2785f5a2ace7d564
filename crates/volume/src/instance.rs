//! Who this volume is: `.moorline/instance.json`.

use std::fs;

use serde::{Deserialize, Serialize};

use seqbac_header::Id;

use super::{Volume, durable};
use crate::error::{Code, Error, IoContext, Result};

/// What a volume remembers of itself. Two volumes never have the same id.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Instance {
    /// The instance id: written, authenticated, into every backup's header.
    pub id: Id,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Fingerprint of the secret key that its backups are sealed with, once one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_fingerprint: Option<Id>,
    /// How many restores this volume has seen.
    #[serde(default)]
    pub restore_epoch: u64,
    /// The backup that was restored last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_backup: Option<Id>,
    /// When it was restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<jiff::Timestamp>,
}

impl Instance {
    /// A new one.
    ///
    /// # Errors
    /// Where the kernel has no random numbers.
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

    /// The volume's, if it has one.
    ///
    /// # Errors
    /// Where the file is there, but cannot be read or understood.
    pub fn load(volume: &Volume) -> Result<Option<Self>> {
        let path = volume.own().join("instance.json");
        let text = match fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.on("read", &path)?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|cause| {
            Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
                .hint("move it aside: the volume gets a new instance id, and restores of its old backups need --backup")
        })
    }

    /// The volume's; a new one where it has none.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub fn ensure(volume: &Volume) -> Result<Self> {
        if let Some(instance) = Self::load(volume)? {
            return Ok(instance);
        }
        let instance = Self::new()?;
        instance.save(volume)?;
        Ok(instance)
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        durable::write(&volume.own().join("instance.json"), &self.to_bytes()?, 0o644)
    }

    /// As it is in the file.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("instance.json cannot be written: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }
}
