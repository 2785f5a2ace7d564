//! `settings.json` in restores and rollbacks: it mirrors the console's database, so it moves together with that.
//!
//! A volume that gets another console's database uses the backup location in that database from the first moment, not the
//! previous one.

use super::{
    AppsState, Move, console,
    journal::Journal,
    set::RestoreSet,
    stage::{bring_back_own, own_path, stage_own},
};
use crate::{metastore, prelude::*};
use volume::{Settings, settings::FILE_NAME};

/// The move of a restore. `console` says whether the stage contains the console's database, which is then final.
pub fn restore_move(volume: &Volume, set: &RestoreSet, apps: AppsState, console: bool) -> Result<Option<Move>> {
    if console {
        let settings = metastore::settings_of(&metastore::path().under(&set.stage()), volume)?;
        return stage(volume, set, &settings).map(Some);
    }
    // The volume may be a clone of the original. Then it names the original's backup location, where a copy must
    // not write.
    if apps == AppsState::Off
        && let Some(mut settings) = Settings::sensible(volume)?
        && settings.backup_location.take().is_some()
    {
        return stage(volume, set, &settings).map(Some);
    }
    Ok(None)
}

/// The move of a rollback. The settings match the database that comes back. If no database comes back and none stays,
/// we bring back the settings that the restore replaced.
pub fn rollback_move(volume: &Volume, set: &RestoreSet, from: &RestoreSet, journal: &Journal) -> Result<Option<Move>> {
    let is_moved = console::is_moved(&journal.moves);
    if !is_moved && metastore::is_there(volume)? {
        return Ok(None);
    }
    let database = from.replaced(&metastore::path()).under(&volume.restores());
    if is_moved && presence::exists(&database)? {
        match metastore::settings_of(&database, volume) {
            Ok(settings) => return stage(volume, set, &settings).map(Some),
            Err(error) if error.code().is_transient() => return Err(error),
            Err(error) => log::warn!("keeping the settings from before the restore: {error}"),
        }
    }
    let path = own_path(FILE_NAME);
    match journal.moves.iter().any(|change| change.path == path) {
        true => bring_back_own(volume, set, from, FILE_NAME),
        false => Ok(None),
    }
}

fn stage(volume: &Volume, set: &RestoreSet, settings: &Settings) -> Result<Move> {
    stage_own(volume, set, FILE_NAME, &settings.to_bytes()?, 0o600)
}
