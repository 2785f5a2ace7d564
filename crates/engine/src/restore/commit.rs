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

use super::{
    Move, console, events,
    journal::{Journal, State},
    obstacles,
    set::{RestoreSet, is_own, journals},
};
use crate::metastore::MetastoreLock;
use seqbac_header::RelPath;
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// Commits: from the moment that the journal is written, the restore will be finished. `last_look` may still refuse.
pub fn commit(
    volume: &Volume,
    set: &RestoreSet,
    mut journal: Journal,
    last_look: impl FnOnce() -> Result<()>,
) -> Result<Journal> {
    let prepare = || {
        make_folders(volume, &journal.moves)?;
        durable::sync_filesystem(set.folder())?;
        last_look()
    };
    prepare().map_err(|error| set.abandon(error))?;
    journal.save(set.folder(), State::Commit).map_err(|error| set.abandon(error))?;
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
            durable::remove_tree(&folder)?;
            done.push("removed a restore that was cut off before it changed anything".to_owned());
            continue;
        };
        let id = journal.id;
        let unfinished = matches!(journal.state, State::Commit | State::Undoing);
        let _held =
            (unfinished && console::is_moved(&journal.moves)).then(|| MetastoreLock::alone(volume)).transpose()?;
        match journal.state {
            State::Commit => {
                finish(volume, &mut journal).inspect_err(|error| events::failed(volume, &journal.source, error))?;
                done.push(format!("finished the restore {id}, which was cut off"));
            }
            State::Undoing => {
                undo(volume, &mut journal)?;
                let cause = Error::new(Code::Unexpected, "it was cut off while it was being undone");
                events::failed(volume, &journal.source, &cause);
                done.push(format!("undid the restore {id}, which had failed and was cut off"));
            }
            State::Done | State::Undone => {}
        }
    }
    Ok(done)
}

/// Makes the moves that are not made yet; an error reverses all of them.
fn finish(volume: &Volume, journal: &mut Journal) -> Result<()> {
    let made = journal.moves.iter().try_for_each(|change| make(volume, change));
    match made.and_then(|()| durable::sync_filesystem(volume.root())) {
        Ok(()) => {
            let set = RestoreSet::of(volume, journal);
            let unsaid = "the new state is in place, and the next start writes that down";
            journal.save(set.folder(), State::Done).map_err(|error| error.context(unsaid))?;
            // Only empty folders are left in it: that they cannot be removed is no failure of the restore.
            drop(durable::remove_tree(&set.stage()));
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
    journal.save(set.folder(), State::Undoing)?;
    journal.moves.iter().rev().try_for_each(|change| reverse(volume, change))?;
    durable::sync_filesystem(volume.root())?;
    journal.save(set.folder(), State::Undone)?;
    // The backup still has what was staged; kept at every attempt, it would fill the disk.
    drop(durable::remove_tree(&set.stage()));
    Ok(())
}

fn make(volume: &Volume, change: &Move) -> Result<()> {
    let live = change.path.under(volume.root());
    if let Some(old) = &change.old {
        let old = old.under(&volume.restores());
        if !exists(&old) {
            rename(&live, &old)?;
        }
    }
    if let Some(new) = &change.new {
        let new = new.under(&volume.restores());
        if exists(&new) {
            put(&new, &live, &change.path)?;
        }
    }
    Ok(())
}

fn reverse(volume: &Volume, change: &Move) -> Result<()> {
    let live = change.path.under(volume.root());
    if let Some(new) = &change.new {
        let new = new.under(&volume.restores());
        if !exists(&new) {
            rename(&live, &new)?;
        }
    }
    if let Some(old) = &change.old {
        let old = old.under(&volume.restores());
        if exists(&old) {
            put(&old, &live, &change.path)?;
        }
    }
    Ok(())
}

/// In the moment in which there is none, a backup that has just begun makes an `instance.json`: it is nobody's.
fn put(from: &Path, live: &Path, path: &RelPath) -> Result<()> {
    if !is_own(path) {
        return rename(from, live);
    }
    console::clear_beside(live, path)?;
    durable::rename(from, live)
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

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
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
    if exists(&path) {
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
    obstacles::writable(&path)
}
