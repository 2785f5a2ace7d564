//! `settings.json` in a restore, and in a rollback: the mirror of the console's database moves with it.
//!
//! Whoever comes to the volume with a database of its own backs up where that says, from the first moment: not where the
//! one before did.

use super::AppsState;
use super::{
    Move, console,
    journal::Journal,
    set::RestoreSet,
    stage::{own_comes_back, own_path, stage_own},
};
use crate::metastore;
use volume::presence;
use volume::{Settings, Volume, error::Result, settings::FILE_NAME};

/// The move that a restore makes. `console` is whether the console's database is in the stage, as it will be.
pub fn after(volume: &Volume, set: &RestoreSet, apps: AppsState, console: bool) -> Result<Option<Move>> {
    if console {
        let settings = metastore::settings_of(&metastore::path().under(&set.stage()), volume)?;
        return stage(volume, set, &settings).map(Some);
    }
    // Where the volume's own backups were kept is where the original's are, if the volume is a clone of it.
    if apps == AppsState::Off
        && let Some(mut settings) = Settings::sensible(volume)?
        && settings.backup_location.take().is_some()
    {
        return stage(volume, set, &settings).map(Some);
    }
    Ok(None)
}

/// The move that takes it back: they fit the database that comes back with them. Where none does, and none stays, they
/// are those that the restore replaced.
pub fn comes_back(volume: &Volume, set: &RestoreSet, from: &RestoreSet, journal: &Journal) -> Result<Option<Move>> {
    let is_moved = console::is_moved(&journal.moves);
    if !is_moved && metastore::is_there(volume)? {
        return Ok(None);
    }
    let database = from.replaced(&metastore::path()).under(&volume.restores());
    if is_moved && presence::exists(&database)? {
        match metastore::settings_of(&database, volume) {
            Ok(settings) => return stage(volume, set, &settings).map(Some),
            Err(error) if error.code().may_pass() => return Err(error),
            Err(error) => log::warn!("its settings are those from before the restore: {error}"),
        }
    }
    let path = own_path(FILE_NAME)?;
    match journal.moves.iter().any(|change| change.path == path) {
        true => own_comes_back(volume, set, from, FILE_NAME),
        false => Ok(None),
    }
}

fn stage(volume: &Volume, set: &RestoreSet, settings: &Settings) -> Result<Move> {
    stage_own(volume, set, FILE_NAME, &settings.to_bytes()?, 0o600)
}
