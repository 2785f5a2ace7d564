//! The console's settings that all commands need: `.moorline/settings.json`.
//!
//! The console's database is authoritative, and this file is a copy that is written whenever a setting changes, so that no
//! other process needs the database. A restore does not change it, because the backup folder belongs to the volume and not
//! to the restored state.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Volume, durable, presence};
use crate::error::{Code, Error, Result};

/// The file name in `.moorline/`.
pub const FILE_NAME: &str = "settings.json";

/// The settings. Members that a newer version has written are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Settings {
    /// The backup folder, an absolute path; `Backups/` on the volume if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_location: Option<PathBuf>,
    /// The number of scheduled backups to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups_to_keep: Option<usize>,
    /// The time of the daily backup, such as `03:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_utc_time_of_day: Option<String>,
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

impl Settings {
    /// Loads the volume's settings; the defaults if the file does not exist. Damaged settings are an error, because they may
    /// name another backup folder.
    pub fn load(volume: &Volume) -> Result<Self> {
        match read(volume)? {
            None => Ok(Self::default()),
            Some(text) => Self::parse(volume, &text),
        }
    }

    /// As [`Settings::load`], but `None` if the settings are damaged.
    pub fn sensible(volume: &Volume) -> Result<Option<Self>> {
        match read(volume)? {
            None => Ok(Some(Self::default())),
            Some(text) => Ok(Self::parse(volume, &text).ok()),
        }
    }

    fn parse(volume: &Volume, text: &[u8]) -> Result<Self> {
        let path = volume.own().join(FILE_NAME);
        let hint = "remove it: the console writes it again when it starts";
        let damaged = |why: String| Error::new(Code::Unexpected, format!("{} {why}", path.display())).hint(hint);
        let settings: Self = serde_json::from_slice(text).map_err(|cause| damaged(format!("is damaged: {cause}")))?;
        match &settings.backup_location {
            Some(_) if is_of_server(volume, &path)? => Err(Error::new(
                Code::Unexpected,
                format!("{} names a backup folder, but belongs to the user who owns the volume", path.display()),
            )
            .hint(format!("if the folder is right: chown root {}; else set MOORLINE_BACKUP_LOCATION", path.display()))),
            Some(location) if !location.is_absolute() => {
                Err(damaged(format!("names the backup folder {}, which is not an absolute path", location.display())))
            }
            _ => Ok(settings),
        }
    }

    /// Writes the file, durably.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        durable::write(&volume.own().join(FILE_NAME), &self.to_bytes()?, 0o600)
    }

    /// The content of the file. Fails for a path that is not UTF-8.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::usage(format!("cannot serialise the settings: {cause}")))?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Whether this process is root and the server's user can have written the file, so that root would write where that user
/// cannot.
fn is_of_server(volume: &Volume, path: &Path) -> Result<bool> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    let owner = |path: &Path| Ok::<_, Error>(presence::entry(path)?.map_or(0, |meta| meta.uid()));
    let user = owner(volume.root())?;
    Ok(user != 0 && owner(path)? == user)
}

fn read(volume: &Volume) -> Result<Option<Vec<u8>>> {
    presence::read(&volume.own().join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn members_of_a_newer_version_are_kept() {
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
