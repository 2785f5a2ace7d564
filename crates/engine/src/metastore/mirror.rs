//! Settings that every verb needs, written where it finds them without the metastore.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::{MetastoreLock, explain, file, setting};
use crate::store::sqlite::Source;
use volume::{Settings, Volume, error::Result};

/// Writes down what the metastore says, where that is not what is written down.
///
/// # Errors
/// Where the metastore cannot be read, or the settings not be written.
pub fn mirror(connection: &Connection, volume: &Volume) -> Result<()> {
    let written = Settings::sensible(volume)?.unwrap_or_default();
    write(&fitting(connection, &file(volume), written)?, volume)
}

/// The same of a metastore that nobody else changes. Its tables are read as they are: it may be in the middle of an edit
/// of ours.
///
/// # Errors
/// As [`mirror`].
pub fn mirror_now(volume: &Volume, _held: &MetastoreLock) -> Result<()> {
    write(&settings_of(&file(volume), volume)?, volume)
}

fn write(settings: &Settings, volume: &Volume) -> Result<()> {
    let is_written = Settings::load(volume).is_ok_and(|written| written == *settings);
    if is_written { Ok(()) } else { settings.save(volume) }
}

/// What [`mirror`] would write if the metastore at `path` were the volume's. Nobody has that open.
///
/// # Errors
/// Where it cannot be read.
pub fn settings_of(path: &Path, volume: &Volume) -> Result<Settings> {
    let source = Source::open(path, Duration::ZERO)?;
    fitting(&source.connection, path, Settings::sensible(volume)?.unwrap_or_default())
}

/// The settings as the metastore at `path` says them, and what it does not say as it was.
fn fitting(connection: &Connection, path: &Path, mut settings: Settings) -> Result<Settings> {
    let location = value::<PathBuf>(connection, path, "BackupLocation")?;
    settings.backup_location = location.filter(|path| path.is_absolute());
    settings.backups_to_keep = value(connection, path, "BackupsToKeep")?;
    settings.backup_utc_time_of_day = value(connection, path, "BackupUtcTimeOfDay")?;
    Ok(settings)
}

/// What makes no sense is not there: whoever sets it checks it.
fn value<T: DeserializeOwned>(connection: &Connection, path: &Path, name: &str) -> Result<Option<T>> {
    let text = setting(connection, name).map_err(|cause| explain(path, &cause))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
