//! The moves made, finished after a crash, or reversed after an error.
//!
//! ```text
//! for each move:  live path -> set/replaced/…    done exactly when the latter exists
//!                 set/stage/… -> live path       done exactly when the former is gone
//! ```
//! Nobody but us changes the restore set, so each rename can be told done or not from there, whatever happened to
//! the live path; the old state is complete until the first rename, and the new one after the last.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};
use volume::folders;
use volume::presence;

use super::{
    Move, console, events,
    journal::{Journal, JournalState},
    preflight,
    set::{RestoreSet, is_own, journals},
};
use crate::metastore::MetastoreLock;
use seqbac_header::RelPath;
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// Commits: from the moment that the journal is written, the restore will be finished. `last_check` may still refuse.
pub fn commit(
    volume: &Volume,
    set: &RestoreSet,
    mut journal: Journal,
    last_check: impl FnOnce() -> Result<()>,
) -> Result<Journal> {
    let prepare = || {
        make_folders(volume, &journal.moves)?;
        durable::sync_filesystem(set.folder())?;
        last_check()?;
        journal.moves.iter().try_for_each(|change| refuse_other(volume, change, &journal.moves))
    };
    prepare().map_err(|error| set.abandon(error))?;
    journal.save(set.folder(), JournalState::Commit).map_err(|error| set.abandon(error))?;
    finish(volume, &mut journal)?;
    Ok(journal)
}

/// Finishes or undoes what a crash interrupted, and deletes stages that were never committed. What it did, in words.
///
/// # Errors
/// Where a restore can be neither finished nor undone: nothing may be started on the volume then.
pub fn recover(volume: &Volume) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for (folder, journal) in journals(volume)? {
        let Some(mut journal) = journal else {
            done.push(remove_uncommitted(&folder)?);
            continue;
        };
        let id = journal.id;
        let unfinished = matches!(journal.state, JournalState::Commit | JournalState::Undoing);
        let _held =
            (unfinished && console::is_moved(&journal.moves)).then(|| MetastoreLock::alone(volume)).transpose()?;
        match journal.state {
            JournalState::Commit => {
                finish(volume, &mut journal).inspect_err(|error| events::failed(volume, &journal.source, error))?;
                done.push(format!("finished the restore {id}, which was cut off"));
            }
            JournalState::Undoing => {
                undo(volume, &mut journal)?;
                let cause = Error::new(Code::Unexpected, "it was cut off while it was being undone");
                events::failed(volume, &journal.source, &cause);
                done.push(format!("undid the restore {id}, which had failed and was cut off"));
            }
            JournalState::Done | JournalState::Undone => {}
        }
    }
    Ok(done)
}

/// Makes the moves that are not made yet; an error reverses all of them.
fn finish(volume: &Volume, journal: &mut Journal) -> Result<()> {
    let moved = journal.moves.iter().try_for_each(|change| apply_move(volume, change));
    match moved.and_then(|()| durable::sync_filesystem(volume.root())) {
        Ok(()) => {
            let set = RestoreSet::of(volume, journal);
            let unsaid = "the new state is in place, and the next start writes that down";
            journal.save(set.folder(), JournalState::Done).map_err(|error| error.context(unsaid))?;
            remove_emptied(&set.stage());
            events::done(volume, journal);
            Ok(())
        }
        Err(error) => {
            let unfinished = format!("the restore failed ({error}) and the next start goes on with it");
            undo(volume, journal).map_err(|second| second.context(unfinished))?;
            Err(error.context("the restore failed and was undone; the old state is in place"))
        }
    }
}

fn undo(volume: &Volume, journal: &mut Journal) -> Result<()> {
    let set = RestoreSet::of(volume, journal);
    journal.save(set.folder(), JournalState::Undoing)?;
    journal.moves.iter().rev().try_for_each(|change| reverse_move(volume, change))?;
    durable::sync_filesystem(volume.root())?;
    journal.save(set.folder(), JournalState::Undone)?;
    // What is in it was there when the moves began (`refuse_other`), so it is the backup's; kept at every attempt, it would
    // fill the disk.
    drop(durable::remove_tree(&set.stage()));
    Ok(())
}

fn apply_move(volume: &Volume, change: &Move) -> Result<()> {
    let live = change.path.under(volume.root());
    if let Some(old) = &change.old {
        let old = old.under(&volume.restores());
        if !presence::exists(&old)? {
            rename(&live, &old)?;
        }
    }
    if let Some(new) = &change.new {
        let new = new.under(&volume.restores());
        if presence::exists(&new)? {
            place(&new, &live, change, change.old.is_some())?;
        }
    }
    Ok(())
}

fn reverse_move(volume: &Volume, change: &Move) -> Result<()> {
    let live = change.path.under(volume.root());
    if let Some(new) = &change.new {
        let new = new.under(&volume.restores());
        if !presence::exists(&new)? {
            rename(&live, &new)?;
        }
    }
    if let Some(old) = &change.old {
        let old = old.under(&volume.restores());
        if presence::exists(&old)? {
            place(&old, &live, change, change.new.is_some())?;
        }
    }
    Ok(())
}

/// In the moment in which there is none, because what was there is kept, a backup that has just begun makes an
/// `instance.json`: it is nobody's. Where nothing was kept, what is there is the only one.
fn place(from: &Path, live: &Path, change: &Move, other_is_kept: bool) -> Result<()> {
    let path = &change.path;
    if !is_own(path) {
        return rename(from, live);
    }
    console::clear_beside(live, path)?;
    if other_is_kept { durable::rename(from, live) } else { rename(from, live) }
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    if durable::rename_new_unsynced(from, to)? {
        return Ok(());
    }
    Err(Error::new(
        Code::Unexpected,
        format!("{} is in the way of the restore: something made it meanwhile", to.display()),
    )
    .hint("make sure that nothing else writes to the volume"))
}

/// Refuses a move of what is not there, or onto what is: from the journal on, what a rename did is told from what exists,
/// and whatever the plan missed would be lost in it.
fn refuse_other(volume: &Volume, change: &Move, all: &[Move]) -> Result<()> {
    let in_sets = |path: &RelPath| path.under(&volume.restores());
    let live = change.path.under(volume.root());
    let mut there = vec![(live, change.old.is_some())];
    there.extend(change.old.as_ref().map(|old| (in_sets(old), false)));
    there.extend(change.new.as_ref().map(|new| (in_sets(new), true)));
    // One move may clear the place for another.
    let is_cleared = |path: &Path| {
        let clears = |other: &Move| other.old.is_some() && other.path.under(volume.root()) == *path;
        change.old.is_none() && all.iter().any(clears)
    };
    for (path, expected) in there {
        if presence::exists(&path)? != expected && !is_cleared(&path) {
            let what = if expected { "disappeared" } else { "appeared" };
            return Err(Error::new(
                Code::TryAgain,
                format!("{} {what} while the restore was being prepared; nothing was changed", path.display()),
            )
            .hint("make sure that nothing else writes to the volume, and try again"));
        }
    }
    Ok(())
}

/// Deletes a set without a journal: its stage, and what is beside it. Where it holds replaced files all the same, its
/// journal was lost, and they may be the only copy.
fn remove_uncommitted(folder: &Path) -> Result<String> {
    durable::remove_tree(&folder.join("stage"))?;
    if let Some(left) = folders::remove_empty(&folder.join("replaced"))?.first() {
        log::warn!("{} has no journal, and {} is kept: move it to where it belongs", folder.display(), left.display());
        return Ok(format!("{} has no journal and was left as it is", folder.display()));
    }
    durable::remove_tree(folder)?;
    Ok("removed a restore that was cut off before it changed anything".to_owned())
}

/// Removes folders whose content was moved to its place. That they cannot be removed does not make that fail.
pub fn remove_emptied(folder: &Path) {
    match folders::remove_empty(folder) {
        Ok(left) => {
            for path in left {
                log::warn!("{} was not moved to its place, and is kept", path.display());
            }
        }
        Err(error) => log::warn!("empty folders are left: {error}"),
    }
}

/// The folders that replaced paths go into, with the owner, mode and time of those they come from: brought back, they
/// are what was there.
fn make_folders(volume: &Volume, moves: &[Move]) -> Result<()> {
    for old in moves.iter().filter_map(|change| change.old.as_ref().map(|old| (&change.path, old))) {
        make_folder(volume, old.0.parent().as_ref(), old.1.parent().as_ref())?;
    }
    Ok(())
}

fn make_folder(volume: &Volume, live: Option<&RelPath>, folder: Option<&RelPath>) -> Result<()> {
    let (Some(live), Some(folder)) = (live, folder) else { return Ok(()) };
    let path = folder.under(&volume.restores());
    if presence::exists(&path)? {
        return Ok(());
    }
    make_folder(volume, live.parent().as_ref(), folder.parent().as_ref())?;
    let model = live.under(volume.root());
    let meta = fs::metadata(&model).on("look at", &model)?;
    fs::create_dir(&path).on("create", &path)?;
    let is_root = nix::unistd::geteuid().is_root();
    // What only root may fill whatever its mode, others must be able to write to.
    let mode = if is_root { meta.mode() } else { meta.mode() | 0o700 };
    fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777)).on("change the mode of", &path)?;
    if is_root {
        std::os::unix::fs::chown(&path, Some(meta.uid()), Some(meta.gid())).on("change the owner of", &path)?;
    }
    let times = fs::FileTimes::new().set_modified(meta.modified().on("look at", &model)?);
    fs::File::open(&path).and_then(|open| open.set_times(times)).on("change the time of", &path)?;
    preflight::writable(&path)
}
