//! Restore sets: `.moorline/restores/ID/` with its journal, the staged new state, and the replaced old state.
//!
//! ```text
//! ID/journal.json   does not exist during staging
//! ID/stage/…        the new state, by path below the storage root; empty after the commit
//! ID/replaced/…     the old state, likewise; kept until it is pruned, discarded or rolled back
//! ID/discarded/…    the part of it that is being deleted
//! ```

use std::os::unix::fs::{DirBuilderExt, MetadataExt};

use super::journal::{Journal, JournalState, RestoreSource};
use crate::prelude::*;
use volume::RestoresLock;

#[derive(Debug)]
pub struct RestoreSet {
    id: Id,
    folder: PathBuf,
}

impl RestoreSet {
    pub fn create(volume: &Volume) -> Result<Self> {
        Self::create_in(&volume.restores())
    }

    /// Creates a set for a preview, in a folder where no start looks for restores.
    pub fn scratch(volume: &Volume) -> Result<Self> {
        Self::create_in(&volume.spool())
    }

    fn create_in(folder: &Path) -> Result<Self> {
        let id = Id::random()?;
        let set = Self { id, folder: folder.join(id.to_string()) };
        for folder in [set.folder.clone(), set.stage(), set.folder.join("replaced")] {
            fs::DirBuilder::new().mode(0o700).create(&folder).on("create", &folder)?;
        }
        Ok(set)
    }

    pub fn of(volume: &Volume, journal: &Journal) -> Self {
        Self { id: journal.id, folder: volume.restores().join(journal.id.to_string()) }
    }

    pub const fn id(&self) -> Id {
        self.id
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn stage(&self) -> PathBuf {
        self.folder.join("stage")
    }

    /// The name of a staged path, relative to the folder of all sets.
    pub fn staged(&self, path: &RelPath) -> RelPath {
        self.inner("stage", path)
    }

    /// The name of a replaced path, relative to the folder of all sets.
    pub fn replaced(&self, path: &RelPath) -> RelPath {
        self.inner("replaced", path)
    }

    fn inner(&self, part: &str, path: &RelPath) -> RelPath {
        let name = RelPath::new(Path::new(&self.id.to_string()).join(part).join(path.as_path()));
        name.expect("an id, a word and a relative path make a relative path")
    }

    /// Deletes an uncommitted set after an error, which is returned.
    pub fn abandon(&self, error: Error) -> Error {
        // The journal first: if it survived a crash here, the next start would move the old state away for a new one
        // that is half deleted. The next start deletes a set without a journal.
        if durable::remove_file(&self.folder.join("journal.json")).is_ok() {
            drop(durable::remove_tree(&self.folder));
        }
        error
    }
}

/// A past restore or rollback, and what is left of the state that it replaced.
#[derive(Debug, Serialize)]
pub struct PastRestore {
    /// The id of the restore set.
    pub id: Id,
    /// When it was committed.
    pub restored: jiff::Timestamp,
    /// How far it is.
    pub state: JournalState,
    /// Where the new state came from.
    pub source: RestoreSource,
    /// Whether the replaced state is still there and was not brought back yet.
    pub can_roll_back: bool,
    /// Disk usage of the replaced state, in bytes.
    pub bytes: u64,
}

/// All restores and rollbacks that the volume has recorded, newest first.
pub fn history(volume: &Volume) -> Result<Vec<PastRestore>> {
    let mut kept = Vec::new();
    let journals = committed(volume)?;
    for journal in &journals {
        let set = RestoreSet::of(volume, journal);
        kept.push(PastRestore {
            id: journal.id,
            restored: journal.committed,
            can_roll_back: can_roll_back(journal, &set, &journals)?,
            bytes: bytes_below(set.folder()),
            state: journal.state,
            source: journal.source.clone(),
        });
    }
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.restored));
    Ok(kept)
}

/// A restore can be undone once, and only while its replaced state exists, which may be an empty folder.
pub fn can_roll_back(journal: &Journal, set: &RestoreSet, all: &[Journal]) -> Result<bool> {
    let taken_back = |other: &Journal| {
        other.state == JournalState::Done && matches!(other.source, RestoreSource::Rollback { of } if of == journal.id)
    };
    if journal.state != JournalState::Done || all.iter().any(taken_back) {
        return Ok(false);
    }
    presence::is_dir(&set.folder().join("replaced"))
}

/// Deletes the replaced state of a restore, and returns its size in bytes. The journal stays as a record of the
/// restore. Fails with `NotFound` if the set does not exist; `TryAgain` while a restore is unfinished or a rollback
/// runs.
pub fn discard(volume: &Volume, id: Id) -> Result<u64> {
    // After a backup we do not hold the volume's lock, so a rollback could be using the files that we delete.
    let _lock = RestoresLock::take(volume)?;
    refuse_unfinished(volume)?;
    let folder = volume.restores().join(id.to_string());
    Journal::load(&folder)?.ok_or_else(|| no_such_set(id))?;
    let bytes = bytes_below(&folder);
    let (replaced, discarded) = (folder.join("replaced"), folder.join("discarded"));
    durable::remove_tree(&discarded)?;
    if presence::is_dir(&replaced)? {
        // In one rename, because a half-deleted state must never be rolled back to.
        durable::rename(&replaced, &discarded)?;
    }
    durable::remove_tree(&discarded)?;
    durable::remove_tree(&folder.join("stage"))?;
    Ok(bytes)
}

/// Discards the replaced states of finished restores that are older than `keep`. Call it only if a sound backup exists.
pub fn prune(volume: &Volume, keep: jiff::SignedDuration) -> Result<()> {
    for old in prunable(volume, keep)? {
        discard(volume, old.id)?;
        log::info!("removed the old state that the restore {} of {:.0} replaced", old.id, old.committed);
    }
    Ok(())
}

/// Whether [`prune`] would discard something.
pub fn is_prunable(volume: &Volume, keep: jiff::SignedDuration) -> Result<bool> {
    Ok(!prunable(volume, keep)?.is_empty())
}

fn prunable(volume: &Volume, keep: jiff::SignedDuration) -> Result<Vec<Journal>> {
    let mut old = Vec::new();
    for journal in committed(volume)? {
        let folder = volume.restores().join(journal.id.to_string());
        let finished = matches!(journal.state, JournalState::Done | JournalState::Undone);
        if finished
            && jiff::Timestamp::now().duration_since(journal.committed) > keep
            && (presence::is_dir(&folder.join("replaced"))? || presence::is_dir(&folder.join("discarded"))?)
        {
            old.push(journal);
        }
    }
    Ok(old)
}

/// Refuses a volume whose state is half old and half new. Fails with `TryAgain` if a restore was interrupted or is
/// running; also if a journal cannot be read.
pub fn refuse_unfinished(volume: &Volume) -> Result<()> {
    if !volume::restores::unfinished(volume)? {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, format!("a restore of {} is unfinished", volume.root().display()))
        .hint("start the container once: the next start finishes it"))
}

/// The folder of every set with its journal, if it has one; oldest first.
pub fn journals(volume: &Volume) -> Result<Vec<(PathBuf, Option<Journal>)>> {
    let folder = volume.restores();
    let Some(entries) = presence::unless_absent(fs::read_dir(&folder)).on("list", &folder)? else {
        return Ok(Vec::new());
    };
    let mut sets = Vec::new();
    for entry in entries {
        let path = entry.on("list", &folder)?.path();
        if presence::is_dir(&path)? {
            let journal = Journal::load(&path)?;
            sets.push((path, journal));
        }
    }
    sets.sort_by_key(|(_, journal)| journal.as_ref().map(|journal| journal.committed));
    Ok(sets)
}

/// The journals of all sets that have one, oldest first.
pub fn committed(volume: &Volume) -> Result<Vec<Journal>> {
    Ok(journals(volume)?.into_iter().filter_map(|(_, journal)| journal).collect())
}

/// The commit time of the next restore: now, but later than every other one and not before `at_least`. The clock may be
/// wrong, because some machines have none that keeps time while they are off. A clock in the past must not make us undo
/// an older restore instead of the newest; and once it is corrected, we must not prune the state that was just
/// replaced.
pub fn time_of_next(volume: &Volume, at_least: jiff::Timestamp) -> Result<jiff::Timestamp> {
    let others = committed(volume)?;
    let after =
        others.iter().filter_map(|other| other.committed.checked_add(jiff::SignedDuration::from_millis(1)).ok()).max();
    Ok(jiff::Timestamp::now().max(at_least).max(after.unwrap_or(at_least)))
}

pub fn no_such_set(id: Id) -> Error {
    Error::new(Code::NotFound, format!("there is no restore {id}"))
        .hint("`moorline rollback --list` lists all restores")
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_below(&entry.path())).sum()
}
