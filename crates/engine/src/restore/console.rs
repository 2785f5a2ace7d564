//! The console's database in restores and rollbacks.
//!
//! It is staged and checked with the rest, gets the volume's key, and loses its sessions. Its move comes after those of the
//! old `-wal`, `-shm` and `-journal`, because SQLite would replay them over the new database. We hold its lock from before
//! staging until it is in place, so that nothing is written to a database that is about to be replaced.
//!
//! A backup without one leaves the volume's database as it is, with two exceptions: apps have to be switched off in it, or
//! the record of its quarantined apps is about to be replaced. Then a copy of it is staged and treated like any other.

use std::{
    fs::OpenOptions,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
};

use super::{
    AppsState, Move, Request,
    apps_policy::Quarantine,
    journal::Journal,
    set::RestoreSet,
    stage::{bring_back_own, own_path, remove_own},
};
use crate::{
    metastore::{self, MetastoreLock},
    prelude::*,
    quarantine::{self as apps, QuarantineRecord},
    store::{Spool, SurveyEntry, open_all, sqlite::beside, survey::SIDECARS},
};

/// Its name in `.moorline/`.
const NAME: &str = "metastore.db";

/// A process of ours that holds SQLite's lock releases it within this time.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How to take its lock: a restore takes it exclusively, a preview shared.
pub type TakeLock = fn(&Volume) -> Result<MetastoreLock>;

#[derive(Debug)]
pub struct ConsoleDatabase {
    _held: MetastoreLock,
    pub staged: bool,
    pub notes: Vec<String>,
}

impl ConsoleDatabase {
    /// Adopts the database that was unpacked into the stage, or stages a copy of the volume's. Adjusts `record` so that
    /// its console entries match the staged database.
    pub fn prepare(
        volume: &Volume,
        set: &RestoreSet,
        quarantine: &Quarantine,
        request: &Request,
        take_lock: TakeLock,
        record: &mut Option<QuarantineRecord>,
    ) -> Result<Self> {
        let mut console =
            Self { _held: take_lock(volume)?, staged: quarantine.manifest.has_metastore(), notes: Vec::new() };
        if request.only.is_some() {
            console.staged = false;
            return Ok(console);
        }
        if console.staged {
            console.adopt(set, quarantine, request)?;
        }
        if !console.staged {
            let remembered = quarantine.volume.map(|record| record.clone().take_console());
            let remembered = remembered.filter(QuarantineRecord::has_console_apps);
            if let Some(record) = record.as_mut() {
                drop(record.take_console());
            }
            if remembered.is_some() || (quarantine.after() == AppsState::Off && has_apps_on(volume)?) {
                console.staged = copy(volume, set)?;
            }
            if let Some(remembered) = remembered.filter(|_| console.staged) {
                record.get_or_insert_with(QuarantineRecord::new).put_console(remembered);
            }
        }
        Ok(console)
    }

    fn adopt(&mut self, set: &RestoreSet, quarantine: &Quarantine, request: &Request) -> Result<()> {
        let staged = metastore::path().under(&set.stage());
        match metastore::adopt(&staged, request.key, request.own_key) {
            Ok(notes) => self.notes.extend(notes),
            Err(error) if !error.code().is_transient() && was_faulty(quarantine) => {
                self.notes.push(format!(
                    "the console's database was damaged when it was backed up, so it is not restored: {error}"
                ));
                durable::remove_file(&staged)?;
                for sidecar in sidecars() {
                    durable::remove_file(&sidecar.under(&set.stage()))?;
                }
                self.staged = false;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub fn moves(&self, volume: &Volume, set: &RestoreSet) -> Result<Vec<Move>> {
        if !self.staged {
            return Ok(Vec::new());
        }
        let path = metastore::path();
        for left in sidecars() {
            if presence::exists(&left.under(&set.stage()))? {
                let what = format!(
                    "the staged copy of the console's database is incomplete without {left}; nothing was changed"
                );
                return Err(Error::new(Code::TryAgain, what).hint("make sure that the disk is not full, and try again"));
            }
        }
        let mut moves = sidecars_go(volume, set)?;
        let is_there = presence::exists(&path.under(volume.root()))?;
        moves.push(Move { old: is_there.then(|| set.replaced(&path)), new: Some(set.staged(&path)), path });
        Ok(moves)
    }
}

/// Whether it already had faults when it was backed up.
fn was_faulty(quarantine: &Quarantine) -> bool {
    quarantine.manifest.database(&metastore::path()).is_some_and(|facts| !facts.findings.is_empty())
}

fn has_apps_on(volume: &Volume) -> Result<bool> {
    if !metastore::is_there(volume)? {
        return Ok(false);
    }
    let inspections = apps::inspect(volume.root(), &apps::console_steps()?)?;
    Ok(inspections.iter().any(|inspection| !inspection.apps.is_empty()))
}

/// Stages a copy of the volume's own database. Returns false if the volume has none.
fn copy(volume: &Volume, set: &RestoreSet) -> Result<bool> {
    let path = metastore::path();
    let Some(found) = SurveyEntry::database(volume.root(), &path)? else { return Ok(false) };
    let spool = Spool::at(set.folder());
    let mut snapshots = open_all(volume.root(), std::slice::from_ref(&found), &spool, BUSY_TIMEOUT)?;
    let staged = path.under(&set.stage());
    make_folder(set)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(found.mode).open(&staged).on("create", &staged)?;
    for snapshot in &mut snapshots {
        io::copy(&mut snapshot.read()?, &mut file).on("write", &staged)?;
    }
    if nix::unistd::geteuid().is_root() {
        let given = std::os::unix::fs::fchown(&file, Some(found.uid), Some(found.gid));
        volume::warn_if_refused(&staged, given).on("change the owner of", &staged)?;
    }
    Ok(true)
}

pub fn make_folder(set: &RestoreSet) -> Result<()> {
    let folder = set.stage().join(".moorline");
    match presence::is_dir(&folder)? {
        true => Ok(()),
        false => fs::DirBuilder::new().mode(0o700).create(&folder).on("create", &folder),
    }
}

/// The moves that bring back the database that a restore replaced or removed.
pub fn rollback_moves(volume: &Volume, set: &RestoreSet, from: &RestoreSet, journal: &Journal) -> Result<Vec<Move>> {
    if !is_moved(&journal.moves) {
        return Ok(Vec::new());
    }
    let mut moves = sidecars_go(volume, set)?;
    moves.extend(bring_back_own(volume, set, from, NAME)?);
    for path in sidecars() {
        let replaced = from.replaced(&path);
        if presence::exists(&replaced.under(&volume.restores()))? {
            moves.push(Move { path, old: None, new: Some(replaced) });
        }
    }
    Ok(moves)
}

/// Whether moves change it, so that its lock must be held during them.
pub fn is_moved(moves: &[Move]) -> bool {
    moves.iter().any(|change| change.path == metastore::path())
}

/// Removes the sidecars of the previous database before another one takes its place. They exist if a process of ours
/// opened the database between two moves that a crash separated.
pub fn clear_beside(live: &Path, path: &RelPath) -> Result<()> {
    if *path != metastore::path() {
        return Ok(());
    }
    SIDECARS.iter().try_for_each(|sidecar| durable::remove_file(&beside(live, sidecar)))
}

fn sidecars_go(volume: &Volume, set: &RestoreSet) -> Result<Vec<Move>> {
    let moves = SIDECARS.iter().map(|sidecar| remove_own(volume, set, &format!("{NAME}{sidecar}")));
    moves.filter_map(Result::transpose).collect()
}

fn sidecars() -> [RelPath; 3] {
    SIDECARS.map(|sidecar| own_path(&format!("{NAME}{sidecar}")))
}
