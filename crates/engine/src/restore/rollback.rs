//! Undoes a restore: brings back the replaced state, by the same means as a restore.

use super::{
    commit, console, events,
    journal::{Journal, JournalState, RestoreSource},
    mounts::Mounts,
    notes_on_mounts,
    plan::{self, Scopes},
    preflight, quarantined_files, root,
    set::{self, RestoreSet, can_roll_back, committed, no_such_set},
    settings,
    stage::{bring_back_own, stage_own},
};
use crate::{
    metastore::MetastoreLock,
    prelude::*,
    quarantine::{QuarantineRecord, record::FILE_NAME as QUARANTINE},
    store::is_own,
};
use volume::{AppsLock, Instance, RestoresLock, restores::ScriptStep, settings::FILE_NAME as SETTINGS};

/// A finished rollback.
#[derive(Debug, Serialize)]
pub struct RolledBack {
    /// The id of its own restore set. A rollback of that one repeats the restore.
    pub id: Id,
    /// The id of the restore that was undone.
    pub restore: Id,
    /// When that restore was committed.
    pub restored: jiff::Timestamp,
    /// How many paths changed.
    pub changed: usize,
}

/// Undoes the restore `id`, or the newest one that can be undone. The caller holds the volume's lock. Fails with
/// `NotFound` if no restore can be undone. After any error the present state stays in place.
pub fn rollback(volume: &Volume, id: Option<Id>, script: Option<ScriptStep>) -> Result<RolledBack> {
    put_back(volume, id, script).inspect_err(|error| events::rollback_failed(volume, error))
}

fn put_back(volume: &Volume, id: Option<Id>, script: Option<ScriptStep>) -> Result<RolledBack> {
    let _lock = RestoresLock::take(volume)?;
    let _apps_lock = AppsLock::take(volume)?;
    let journal = choose(volume, id)?;
    let from = RestoreSet::of(volume, &journal);
    preflight::no_database_in_use(volume, &journal.scopes)?;
    let _console = console::is_moved(&journal.moves).then(|| MetastoreLock::alone(volume)).transpose()?;
    let set = RestoreSet::create(volume)?;
    let source = from.folder().join("replaced");
    let committed = set::time_of_next(volume, journal.committed).map_err(|error| set.abandon(error))?;
    let (beyond, moves) = plan_moves(volume, &set, &from, &journal).map_err(|error| set.abandon(error))?;
    let changed = moves.iter().filter(|change| !is_own(&change.path)).count();
    let root = journal.root.map(|change| root::back(volume, change)).transpose().map_err(|error| set.abandon(error))?;
    let own = Journal {
        id: set.id(),
        state: JournalState::Commit,
        committed,
        source: RestoreSource::Rollback { of: journal.id },
        script,
        scopes: journal.scopes.clone(),
        beyond,
        root,
        moves,
    };
    commit::commit(volume, &set, own, || preflight::no_database_in_use(volume, &journal.scopes))?;
    remove_superseded(&source);
    commit::remove_emptied(&source);
    Ok(RolledBack { id: set.id(), restore: journal.id, restored: journal.committed, changed })
}

fn choose(volume: &Volume, id: Option<Id>) -> Result<Journal> {
    let journals = committed(volume)?;
    let mut wanted: Vec<&Journal> = journals.iter().rev().collect();
    if let Some(id) = id {
        wanted.retain(|journal| journal.id == id);
        wanted.first().ok_or_else(|| no_such_set(id))?;
    }
    for journal in wanted {
        if can_roll_back(journal, &RestoreSet::of(volume, journal), &journals)? {
            return Ok(journal.clone());
        }
    }
    Err(Error::new(Code::NotFound, "there is no restore to undo: the old state was removed, or brought back already")
        .hint("`moorline rollback --list` lists all restores"))
}

/// Deletes our own files that a rollback rewrites instead of moving them back.
fn remove_superseded(source: &Path) {
    for name in ["instance.json", SETTINGS] {
        if let Err(error) = durable::remove_file(&source.join(".moorline").join(name)) {
            log::debug!("cannot remove a superseded file: {error}");
        }
    }
}

fn plan_moves(
    volume: &Volume,
    set: &RestoreSet,
    from: &RestoreSet,
    journal: &Journal,
) -> Result<(Vec<RelPath>, Vec<super::Move>)> {
    let source = from.folder().join("replaced");
    let scopes = Scopes::all(&journal.scopes)?;
    let beyond = scopes.beyond(volume, &source)?;
    let instance = instance_after(volume, &source)?;
    let mut moves = vec![stage_own(volume, set, "instance.json", &instance.to_bytes()?, 0o644)?];
    // The record belongs to the state whose changes it describes.
    moves.extend(bring_back_own(volume, set, from, QUARANTINE)?);
    // Before the sidecars are listed, because reading the database may create one.
    moves.extend(settings::rollback_move(volume, set, from, journal)?);
    moves.extend(console::rollback_moves(volume, set, from, journal)?);
    let scopes = scopes.and(&journal.beyond).and_all_in(quarantined_files(QuarantineRecord::load(volume)?.as_ref()));
    let mounts = Mounts::of(volume)?;
    notes_on_mounts(volume, &mounts, &scopes)?.iter().for_each(|note| log::warn!("{note}"));
    moves.extend(plan::of_tree(volume, set, &source, &scopes, &mounts)?);
    preflight::moves(volume, &moves, &mounts)?;
    Ok((beyond, moves))
}

/// The volume becomes the previous instance again. Only its key stays, because it encrypts the backups that were taken
/// meanwhile.
fn instance_after(volume: &Volume, source: &Path) -> Result<Instance> {
    let now = Instance::load(volume)?.map_or_else(Instance::new, Ok)?;
    let path = source.join(".moorline").join("instance.json");
    let mut before: Instance = match presence::unless_absent(fs::read(&path)).on("read", &path)? {
        None => now.clone(),
        Some(text) => serde_json::from_slice(&text)
            .map_err(|cause| Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display())))?,
    };
    before.key_fingerprint = now.key_fingerprint;
    before.restore_epoch = now.restore_epoch + 1;
    Ok(before)
}
