//! `settings.json`: the settings that every command needs, mirrored outside the metastore so that commands and starts
//! do not have to open it.

use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::{MetastoreLock, explain, file, setting};
use crate::{prelude::*, store::sqlite::Source};
use volume::Settings;

/// Updates `settings.json` from the metastore, if it differs.
pub fn mirror(connection: &Connection, volume: &Volume) -> Result<()> {
    let written = Settings::sensible(volume)?.unwrap_or_default();
    write(&fitting(connection, &file(volume), written)?, volume)
}

/// Does the same for a metastore that is locked exclusively. It reads the tables as they are, because one of our own
/// transactions may be open.
pub(crate) fn mirror_now(volume: &Volume, _held: &MetastoreLock) -> Result<()> {
    write(&settings_of(&file(volume), volume)?, volume)
}

fn write(settings: &Settings, volume: &Volume) -> Result<()> {
    let is_written = Settings::load(volume).is_ok_and(|written| written == *settings);
    if is_written { Ok(()) } else { settings.save(volume) }
}

/// The settings that [`mirror`] would write if the metastore at `path` were the volume's. No other process may have
/// that open.
pub(crate) fn settings_of(path: &Path, volume: &Volume) -> Result<Settings> {
    let source = Source::open(path, Duration::ZERO)?;
    fitting(&source.connection, path, Settings::sensible(volume)?.unwrap_or_default())
}

/// Replaces the settings that the metastore contains, and keeps the others.
fn fitting(connection: &Connection, path: &Path, mut settings: Settings) -> Result<Settings> {
    let location = value::<PathBuf>(connection, path, "BackupLocation")?;
    settings.backup_location = location.filter(|path| path.is_absolute());
    settings.backups_to_keep = value(connection, path, "BackupsToKeep")?;
    settings.backup_utc_time_of_day = value(connection, path, "BackupUtcTimeOfDay")?;
    Ok(settings)
}

/// Treats a malformed value as absent, because the console validates every value that it stores.
fn value<T: DeserializeOwned>(connection: &Connection, path: &Path, name: &str) -> Result<Option<T>> {
    let text = setting(connection, name).map_err(|cause| explain(path, &cause))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
