//! Restore sets: `.moorline/restores/ID/` with its journal, the staged new state and the replaced old one.
//!
//! ```text
//! ID/journal.json   absent while staging
//! ID/stage/…        the new state, by its path below the storage root; empty once committed
//! ID/replaced/…     the old state, the same way; kept until it is pruned, discarded or rolled back
//! ID/discarded/…    what is being deleted of it
//! ```

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};
use volume::presence;

use serde::Serialize;

use super::journal::{Journal, JournalState, RestoreSource};
use seqbac_header::{Id, RelPath};
use volume::{
    OWN_NAMES, RestoresLock, Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// One restore set.
#[derive(Debug)]
pub struct RestoreSet {
    id: Id,
    folder: PathBuf,
}

impl RestoreSet {
    /// A new, empty one.
    ///
    /// # Errors
    /// Where the volume cannot be written.
    pub fn create(volume: &Volume) -> Result<Self> {
        Self::create_in(&volume.restores())
    }

    /// A new one that is only looked at: no start takes it for a restore.
    ///
    /// # Errors
    /// Where the volume cannot be written.
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

    /// The one that a journal belongs to.
    pub fn of(volume: &Volume, journal: &Journal) -> Self {
        Self { id: journal.id, folder: volume.restores().join(journal.id.to_string()) }
    }

    /// Its id.
    pub const fn id(&self) -> Id {
        self.id
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the new state is staged.
    pub fn stage(&self) -> PathBuf {
        self.folder.join("stage")
    }

    /// The name, relative to the folder of all sets, of a staged path.
    pub fn staged(&self, path: &RelPath) -> RelPath {
        self.inner("stage", path)
    }

    /// The name, relative to the folder of all sets, of a replaced path.
    pub fn replaced(&self, path: &RelPath) -> RelPath {
        self.inner("replaced", path)
    }

    fn inner(&self, part: &str, path: &RelPath) -> RelPath {
        let name = RelPath::new(Path::new(&self.id.to_string()).join(part).join(path.as_path()));
        name.expect("an id, a word and a relative path make a relative path")
    }

    /// Throws an uncommitted set away, because of this.
    pub fn abandon(&self, error: Error) -> Error {
        // The journal first: written, but not known to be flushed, it would have the next start move aside the old state
        // for a new one that is half deleted. What is left without one is deleted by the next start.
        if durable::remove_file(&self.folder.join("journal.json")).is_ok() {
            drop(durable::remove_tree(&self.folder));
        }
        error
    }
}

/// Whether a path is one of our own, which no backup may name.
pub fn is_own(path: &RelPath) -> bool {
    OWN_NAMES.iter().any(|own| path.first() == *own)
}

/// A restore that was made, and what is kept of the state that it replaced.
#[derive(Debug, Serialize)]
pub struct PastRestore {
    /// The restore set.
    pub id: Id,
    /// When it was made.
    pub restored: jiff::Timestamp,
    /// How far it got.
    pub state: JournalState,
    /// Where the new state came from.
    pub source: RestoreSource,
    /// Whether there is anything to bring back.
    pub can_roll_back: bool,
    /// How much room it takes.
    pub bytes: u64,
}

/// All restores that the volume remembers, newest first.
///
/// # Errors
/// Where a journal cannot be read.
pub fn history(volume: &Volume) -> Result<Vec<PastRestore>> {
    let mut kept = Vec::new();
    let journals: Vec<Journal> = journals(volume)?.into_iter().filter_map(|(_, journal)| journal).collect();
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

/// A restore can be taken back while its old state is there, even where that was nothing at all; and once.
///
/// # Errors
/// Where it cannot be told whether the old state is there.
pub fn can_roll_back(journal: &Journal, set: &RestoreSet, all: &[Journal]) -> Result<bool> {
    let taken_back = |other: &Journal| {
        other.state == JournalState::Done && matches!(other.source, RestoreSource::Rollback { of } if of == journal.id)
    };
    if journal.state != JournalState::Done || all.iter().any(taken_back) {
        return Ok(false);
    }
    presence::is_dir(&set.folder().join("replaced"))
}

/// Deletes what a restore replaced. Its journal stays, as the volume's memory of it.
///
/// # Errors
/// `NotFound` where there is no such set; `TryAgain` while a restore is unfinished or a rollback is being made.
pub fn discard(volume: &Volume, id: Id) -> Result<u64> {
    // After a verified backup the volume's lock is not held: nobody may be bringing back what is deleted.
    let _lock = RestoresLock::take(volume)?;
    refuse_unfinished(volume)?;
    let folder = volume.restores().join(id.to_string());
    Journal::load(&folder)?.ok_or_else(|| no_such_set(id))?;
    let bytes = bytes_below(&folder);
    let (replaced, discarded) = (folder.join("replaced"), folder.join("discarded"));
    durable::remove_tree(&discarded)?;
    if presence::is_dir(&replaced)? {
        // At once: half of it must never be brought back.
        durable::rename(&replaced, &discarded)?;
    }
    durable::remove_tree(&discarded)?;
    durable::remove_tree(&folder.join("stage"))?;
    Ok(bytes)
}

/// Discards what finished restores replaced longer than `keep` ago. Call it after a backup was verified.
///
/// # Errors
/// Where a journal cannot be read or a set not be removed.
pub fn prune(volume: &Volume, keep: jiff::SignedDuration) -> Result<()> {
    for old in history(volume)? {
        let age = jiff::Timestamp::now().duration_since(old.restored);
        let finished = matches!(old.state, JournalState::Done | JournalState::Undone);
        let folder = volume.restores().join(old.id.to_string());
        if !finished || age <= keep {
            continue;
        }
        if presence::is_dir(&folder.join("replaced"))? || presence::is_dir(&folder.join("discarded"))? {
            discard(volume, old.id)?;
            log::info!("what the restore {} replaced {:.0} ago was removed", old.id, old.restored);
        }
    }
    Ok(())
}

/// Refuses a volume whose state is half old and half new.
///
/// # Errors
/// `TryAgain` where a restore was cut off or is being made, and where a journal cannot be read.
pub fn refuse_unfinished(volume: &Volume) -> Result<()> {
    if !volume::restores::unfinished(volume)? {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, format!("a restore of {} is unfinished", volume.root().display()))
        .hint("start the container once: the next start finishes it"))
}

/// Every set's folder, with its journal if it has one, oldest first.
///
/// # Errors
/// Where the folder or a journal cannot be read.
pub fn journals(volume: &Volume) -> Result<Vec<(PathBuf, Option<Journal>)>> {
    let folder = volume.restores();
    let entries = match fs::read_dir(&folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on("list", &folder)?,
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

/// When the next restore is made: now, but after every other one and after `at_least`. A clock that stands in the past
/// (there are machines without one of their own) must neither have an older restore taken back in place of the newest,
/// nor, once it is set, have what was just replaced pruned as old.
///
/// # Errors
/// Where a journal cannot be read.
pub fn time_of_next(volume: &Volume, at_least: jiff::Timestamp) -> Result<jiff::Timestamp> {
    let others = journals(volume)?.into_iter().filter_map(|(_, journal)| journal);
    let after = others.filter_map(|other| other.committed.checked_add(jiff::SignedDuration::from_millis(1)).ok()).max();
    Ok(jiff::Timestamp::now().max(at_least).max(after.unwrap_or(at_least)))
}

/// That a set is not there.
pub fn no_such_set(id: Id) -> Error {
    Error::new(Code::NotFound, format!("there is no restore {id}"))
        .hint("`moorline rollback --list` shows those there are")
}

fn bytes_below(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    if !meta.is_dir() {
        return meta.blocks() * 512;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| bytes_below(&entry.path())).sum()
}
