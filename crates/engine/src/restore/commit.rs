//! Carries out the moves of a journal, finishes them after a crash, and reverses them after an error.
//!
//! ```text
//! for each move:  live path -> set/replaced/…    done exactly when the latter exists
//!                 set/stage/… -> live path       done exactly when the former is gone
//! ```
//! Only this module changes a committed restore set, so the set alone shows which renames are done, whatever happened to
//! the live path meanwhile. The old state is complete until the first rename, and the new one after the last.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{
    Move, console, events,
    journal::{Journal, JournalState},
    preflight, root,
    set::{RestoreSet, journals},
};
use crate::{metastore::MetastoreLock, prelude::*, store::is_own};
use volume::{folders, xattrs};

/// Commits: once the journal is written, the restore will be finished. `last_check` is the last chance to refuse.
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

/// Finishes or undoes interrupted restores, and deletes stages that were never committed. Returns a log line for each.
/// Fails if a restore can be neither finished nor undone. Nothing may run on the volume then.
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
                done.push(format!("finished the interrupted restore {id}"));
            }
            JournalState::Undoing => {
                undo(volume, &mut journal)?;
                let cause = Error::new(Code::Unexpected, "interrupted while it was being undone");
                events::failed(volume, &journal.source, &cause);
                done.push(format!("undid the restore {id}, which had failed and was interrupted"));
            }
            JournalState::Done | JournalState::Undone => {}
        }
    }
    Ok(done)
}

/// Carries out the remaining moves. An error reverses all of them.
fn finish(volume: &Volume, journal: &mut Journal) -> Result<()> {
    let moved = journal.moves.iter().try_for_each(|change| apply_move(volume, change));
    let moved = moved.and_then(|()| journal.root.as_ref().map_or(Ok(()), |change| root::set(volume, &change.new)));
    match moved.and_then(|()| durable::sync_filesystem(volume.root())) {
        Ok(()) => {
            let set = RestoreSet::of(volume, journal);
            let unsaid = "the new state is in place, but not recorded as such; the next start records it";
            journal.save(set.folder(), JournalState::Done).map_err(|error| error.context(unsaid))?;
            remove_emptied(&set.stage());
            events::done(volume, journal);
            Ok(())
        }
        Err(error) => {
            let unfinished = format!("the restore failed ({error}), and the next start continues to undo it");
            undo(volume, journal).map_err(|second| second.context(unfinished))?;
            Err(error.context("the restore failed and was undone; the old state is in place"))
        }
    }
}

fn undo(volume: &Volume, journal: &mut Journal) -> Result<()> {
    let set = RestoreSet::of(volume, journal);
    journal.save(set.folder(), JournalState::Undoing)?;
    journal.root.as_ref().map_or(Ok(()), |change| root::set(volume, &change.old))?;
    journal.moves.iter().rev().try_for_each(|change| reverse_move(volume, change))?;
    durable::sync_filesystem(volume.root())?;
    journal.save(set.folder(), JournalState::Undone)?;
    // Everything in the stage existed when the moves began (`refuse_other`), so the backup still contains it. If every
    // failed attempt kept its stage, the disk would fill up.
    drop(durable::remove_tree(&set.stage()));
    Ok(())
}

fn apply_move(volume: &Volume, change: &Move) -> Result<()> {
    exchange(volume, change, change.old.as_ref(), change.new.as_ref())
}

fn reverse_move(volume: &Volume, change: &Move) -> Result<()> {
    exchange(volume, change, change.new.as_ref(), change.old.as_ref())
}

/// Moves the live path to `away` and then `back` to the live path, each unless it is done already.
fn exchange(volume: &Volume, change: &Move, away: Option<&RelPath>, back: Option<&RelPath>) -> Result<()> {
    let live = change.path.under(volume.root());
    let (to, from) = (away.map(|path| path.under(&volume.restores())), back.map(|path| path.under(&volume.restores())));
    if let Some(to) = &to
        && !presence::exists(to)?
    {
        rename(&live, to)?;
    }
    if let Some(from) = &from
        && presence::exists(from)?
    {
        place(from, &live, change, to.is_some())?;
    }
    Ok(())
}

/// While the old `instance.json` is moved away and the new one not yet in place, a backup that just started may create
/// one. It belongs to neither state, so we overwrite it. If there was no old file to keep, the existing one may be the
/// only copy.
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
    let what = format!("{} is in the way of the restore: something created it meanwhile", to.display());
    Err(Error::new(Code::Unexpected, what).hint("make sure that nothing else writes to the volume"))
}

/// Refuses a move whose source is missing or whose target exists. After the commit we infer from existing files which
/// renames are done, so we would lose a file that the plan does not know.
fn refuse_other(volume: &Volume, change: &Move, all: &[Move]) -> Result<()> {
    let in_sets = |path: &RelPath| path.under(&volume.restores());
    let live = change.path.under(volume.root());
    let mut there = vec![(live, change.old.is_some())];
    there.extend(change.old.as_ref().map(|old| (in_sets(old), false)));
    there.extend(change.new.as_ref().map(|new| (in_sets(new), true)));
    // Another move may clear the target first.
    let is_cleared = |path: &Path| {
        let clears = |other: &Move| other.old.is_some() && other.path.under(volume.root()) == *path;
        change.old.is_none() && all.iter().any(clears)
    };
    for (path, expected) in there {
        if presence::exists(&path)? != expected && !is_cleared(&path) {
            let what = if expected { "disappeared" } else { "appeared" };
            let path = path.display();
            let what = format!("{path} {what} while the restore was being prepared; nothing was changed");
            return Err(Error::new(Code::TryAgain, what)
                .hint("make sure that nothing else writes to the volume, and try again"));
        }
    }
    Ok(())
}

/// Deletes a set without a journal. If it contains replaced files nevertheless, its journal was lost, and we keep them
/// because they may be the only copy.
fn remove_uncommitted(folder: &Path) -> Result<String> {
    durable::remove_tree(&folder.join("stage"))?;
    if let Some(left) = folders::remove_empty(&folder.join("replaced"))?.first() {
        log::warn!("{} has no journal, so {} is kept; move it to where it belongs", folder.display(), left.display());
        return Ok(format!("{} has no journal and was left as it is", folder.display()));
    }
    durable::remove_tree(folder)?;
    Ok("removed an interrupted restore that had not changed anything".to_owned())
}

/// Removes the empty folders of a tree whose files were moved away. A failure is only logged.
pub fn remove_emptied(folder: &Path) {
    match folders::remove_empty(folder) {
        Ok(left) => {
            left.iter().for_each(|path| log::warn!("{} was not moved to its place, and is kept", path.display()))
        }
        Err(error) => log::warn!("cannot remove empty folders: {error}"),
    }
}

/// Creates the folders that replaced paths move into, with the owner, mode, attributes and times of the originals, so that a
/// rollback restores those as well.
fn make_folders(volume: &Volume, moves: &[Move]) -> Result<()> {
    for change in moves {
        make_folder(volume, change.path.parent().as_ref(), change.old.as_ref().and_then(RelPath::parent).as_ref())?;
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
    let meta = fs::metadata(&model).on("access", &model)?;
    fs::create_dir(&path).on("create", &path)?;
    let is_root = nix::unistd::geteuid().is_root();
    // Root may write to a folder of any mode; other users need the permission.
    let mode = if is_root { meta.mode() } else { meta.mode() | 0o700 };
    let attributes = xattrs::kept(&model).on("read the extended attributes of", &model)?;
    let mode = xattrs::narrowed(mode, &attributes);
    let changed = fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777));
    volume::warn_if_mode_refused(&path, changed).on("change the mode of", &path)?;
    if is_root {
        let given = std::os::unix::fs::chown(&path, Some(meta.uid()), Some(meta.gid()));
        volume::warn_if_refused(&path, given).on("change the owner of", &path)?;
    }
    let open = fs::File::open(&path).on("open", &path)?;
    xattrs::remove_lists(&open).on("remove the access list of", &path)?;
    drop(xattrs::give(&open, &attributes));
    let times = fs::FileTimes::new().set_modified(meta.modified().on("access", &model)?);
    open.set_times(times).on("change the time of", &path)?;
    preflight::writable(&path)
}
