//! Settings that every verb needs, found without the console's database: `.moorline/settings.json`.
//!
//! The database has the truth, where there is one; this is its mirror, written whenever they change. A restore never
//! brings it along: where backups are kept is the business of the volume, not of what is restored onto it.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{Volume, durable, presence};
use crate::error::{Code, Error, IoContext, Result};

/// What it is called in `.moorline/`.
pub const FILE_NAME: &str = "settings.json";

/// The settings. What a newer version writes beside them is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Settings {
    /// The folder that backups are kept in, absolute; `Backups/` on the volume where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_location: Option<PathBuf>,
    /// How many scheduled backups are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_to_keep: Option<usize>,
    /// When the daily backup is made, as `03:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_utc_time_of_day: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Settings {
    /// The volume's; the defaults where it has none.
    ///
    /// # Errors
    /// Where they are there, but cannot be read or make no sense: that they say another folder for backups is never
    /// passed over.
    pub fn load(volume: &Volume) -> Result<Self> {
        match read(volume)? {
            None => Ok(Self::default()),
            Some(text) => Self::parse(volume, &text),
        }
    }

    /// The same; `None` where they make no sense.
    ///
    /// # Errors
    /// Where they cannot be read: nothing is known of them then.
    pub fn sensible(volume: &Volume) -> Result<Option<Self>> {
        match read(volume)? {
            None => Ok(Some(Self::default())),
            Some(text) => Ok(Self::parse(volume, &text).ok()),
        }
    }

    fn parse(volume: &Volume, text: &[u8]) -> Result<Self> {
        let path = volume.own().join(FILE_NAME);
        let hint = "move it aside: the console writes it again when it starts";
        let damaged = |why: String| Error::new(Code::Unexpected, format!("{} {why}", path.display())).hint(hint);
        let settings: Self = serde_json::from_slice(text).map_err(|cause| damaged(format!("is damaged: {cause}")))?;
        match &settings.backup_location {
            Some(location) if !location.is_absolute() => {
                Err(damaged(format!("names {} for backups, which is no absolute path", location.display())))
            }
            _ => Ok(settings),
        }
    }

    /// Writes them, durably.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        durable::write(&volume.own().join(FILE_NAME), &self.to_bytes()?, 0o600)
    }

    /// As they are in the file.
    ///
    /// # Errors
    /// `Usage` for a path that is no text.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::usage(format!("the settings cannot be written down: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }
}

fn read(volume: &Volume) -> Result<Option<Vec<u8>>> {
    let path = volume.own().join(FILE_NAME);
    presence::unless_absent(fs::read(&path)).on("read", &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_version_wrote_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(folder.path()).expect("opens");
        volume.prepare().expect("writable");
        assert_eq!(Settings::load(&volume).expect("none"), Settings::default());
        let path = volume.own().join(FILE_NAME);
        fs::write(&path, r#"{"BackupsToKeep": 3, "Later": [1]}"#).expect("written");
        let mut settings = Settings::load(&volume).expect("reads");
        settings.backup_location = Some("/mnt/backups".into());
        settings.save(&volume).expect("saved");
        let text = fs::read_to_string(&path).expect("reads");
        assert!(text.contains("\"Later\"") && text.contains("\"BackupsToKeep\": 3"), "{text}");
        assert_eq!(volume.backups(), PathBuf::from("/mnt/backups"));
        fs::write(&path, r#"{"BackupLocation": "backups"}"#).expect("written");
        Settings::load(&volume).expect_err("a relative path");
        let volume = Volume::open(folder.path()).expect("opens");
        volume.refuse_missing_backups().expect_err("never another folder");
        assert_ne!(volume.backups(), folder.path().join("Backups"));
    }
}
