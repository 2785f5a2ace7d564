//! Settings that every verb needs, written where it finds them without the metastore.

use std::path::PathBuf;

use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::{MetastoreLock, explain, file, open, setting};
use crate::{
    error::Result,
    volume::{Settings, Volume},
};

/// Writes down what the metastore says, where that is not what is written down.
///
/// # Errors
/// Where the metastore cannot be read, or the settings not be written.
pub fn mirror(connection: &Connection, volume: &Volume) -> Result<()> {
    let written = Settings::load(volume);
    let mut settings = written.clone().unwrap_or_default();
    let location = value::<PathBuf>(connection, volume, "BackupLocation")?;
    settings.backup_location = location.filter(|path| path.is_absolute());
    settings.backups_to_keep = value(connection, volume, "BackupsToKeep")?;
    settings.backup_utc_time_of_day = value(connection, volume, "BackupUtcTimeOfDay")?;
    if written.is_ok_and(|written| written == settings) { Ok(()) } else { settings.save(volume) }
}

/// The same of a metastore that nobody has open.
///
/// # Errors
/// As [`mirror`].
pub fn mirror_now(volume: &Volume, held: &MetastoreLock) -> Result<()> {
    mirror(&open(volume, held)?, volume)
}

/// What makes no sense is not there: whoever sets it checks it.
fn value<T: DeserializeOwned>(connection: &Connection, volume: &Volume, name: &str) -> Result<Option<T>> {
    let text = setting(connection, name).map_err(|cause| explain(&file(volume), &cause))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
