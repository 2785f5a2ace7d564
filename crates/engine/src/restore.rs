//! Restores a backup onto the volume, atomically.
//!
//! ```text
//! open and authenticate the whole backup          nothing is written
//! preflight checks                                space, mounts, links, other processes
//! stage every store under .moorline/restores/ID/  flushed; a crash up to here leaves the old state
//! check each staged database
//! switch the apps off in the staged copy          unless a flag says otherwise
//! journal `commit`: a list of moves               after a crash from here on, the next start finishes the restore
//! carry out the moves                             an error reverses them: `undone`
//! journal `done`
//! ```
//!
//! The replaced state stays in the restore set until [`prune`] or [`discard`]; [`rollback`] brings it back by the same
//! means. The caller holds the volume's lock throughout.

mod apps_policy;
mod commit;
mod console;
pub(crate) mod events;
mod journal;
mod mounts;
mod only;
mod plan;
mod preflight;
mod preview;
mod rollback;
mod root;
mod set;
mod settings;
mod stage;
mod unpack;

use self::{
    apps_policy::Quarantine,
    journal::{Journal, Move},
    mounts::Mounts,
    plan::Scopes,
    set::RestoreSet,
    stage::Staged,
};
use crate::{
    backup::{Manifest, Progress, read_whole},
    metastore::MetastoreLock,
    prelude::*,
    quarantine::{App, QuarantineRecord},
    store::{Owner, OwnerMap, Owners, is_own},
};
use std::collections::BTreeSet;

use seqbac::DigestEntry;
use seqbac_header::relpath;
use volume::{AppsLock, Instance, restores::ScriptStep};

pub(crate) use self::preflight::no_database_in_use;
pub use self::{
    apps_policy::{AppsPolicy, AppsState},
    commit::recover,
    journal::{JournalState, RestoreSource},
    only::Only,
    preview::{DatabaseChange, DatabaseDiffers, Preview, preview},
    rollback::rollback,
    set::{PastRestore, discard, history, is_prunable, prune, refuse_unfinished},
};

/// The parameters of a restore.
#[derive(Debug)]
pub struct Request<'a> {
    /// The backup file to read.
    pub backup: &'a Path,
    /// How people know it: its path, or where it came from.
    pub name: &'a Path,
    /// The key that decrypts the backup.
    pub key: &'a SecretKey,
    /// The volume's own key after the restore. The console's secrets are sealed with it.
    pub own_key: &'a SecretKey,
    /// Whether the volume has no key yet and adopts `key`.
    pub adopt_key: bool,
    /// Which flag about apps was passed.
    pub apps: AppsPolicy,
    /// Whether to accept a backup that was taken with another profile.
    pub accept_other_profile: bool,
    /// The part of the state to restore; `None` restores all of it.
    pub only: Option<&'a Only>,
    /// Owner and group of all restored files; `None` takes them from the backup.
    pub owner: Option<Owner>,
    /// New ids for owners in the backup.
    pub owner_map: OwnerMap,
    /// Whether the files get nothing that only root can give: capabilities, and attributes that other users cannot set.
    pub unprivileged: bool,
    /// The names of moorline's own variables in the environment, which commands of the profile do not get.
    pub own_variables: Vec<String>,
    /// The command of an init script that requested this restore.
    pub script: Option<ScriptStep>,
}

impl Request<'_> {
    /// Whether to restore this path of the state.
    fn takes(&self, path: &RelPath) -> bool {
        self.only.is_none_or(|only| only.takes(path))
    }

    fn owners(&self, volume: &Volume) -> Owners {
        Owners {
            requested: self.owner,
            map: self.owner_map.clone(),
            live: Some(volume.root().to_owned()),
            unprivileged: self.unprivileged,
        }
    }
}

/// A finished restore.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The id of the restore set.
    pub id: Id,
    /// The path of the backup file.
    #[serde(serialize_with = "relpath::as_json")]
    pub backup: PathBuf,
    /// The id of the backup.
    pub backup_id: Id,
    /// When the backup was taken.
    pub backup_created: jiff::Timestamp,
    /// The volume's instance id after the restore.
    pub instance_id: Id,
    /// Whether the apps are off now.
    pub apps: AppsState,
    /// The apps that are off now.
    pub apps_off: Vec<App>,
    /// Whether the volume adopted the backup's key.
    pub key_adopted: bool,
    /// How many members were restored.
    pub restored: usize,
    /// How many paths were moved into the restore set, from where a rollback brings them back.
    pub replaced: usize,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// Restores a backup. The caller holds the volume's lock and has called [`recover`]. After any error the old state is
/// untouched, or back in place.
pub fn restore(volume: &Volume, profile: &Profile, request: Request, progress: &mut dyn Progress) -> Result<Restored> {
    let backup = request.name;
    put_in_place(volume, profile, &request, progress).inspect_err(|error| events::restore_failed(volume, backup, error))
}

fn put_in_place(
    volume: &Volume,
    profile: &Profile,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Restored> {
    let (manifest, contents) = read_whole(request.backup, request.key, progress)?;
    accept(&manifest, &contents.members, profile, request)?;
    // Otherwise `apps release` could accept a request for a record that this restore is about to replace.
    let _apps_lock = AppsLock::take(volume)?;
    let remembered = QuarantineRecord::load(volume)?;
    let quarantine = Quarantine::of(request, profile, &manifest, remembered.as_ref());
    quarantine.refuse_unknown(&contents.members)?;
    let all = scopes_of(&manifest, profile, request);
    let scopes = Scopes::all(&all)?;
    preflight::no_database_in_use(volume, &all)?;
    let mut mounts = Mounts::of(volume)?;
    preflight::space(volume, &contents.members, &manifest, request, &mounts)?;
    let set = RestoreSet::create(volume)?;
    let abandon = |error: Error| set.abandon(error);
    let mut staged =
        Staged::of(volume, &set, &quarantine, request, &mut mounts, MetastoreLock::alone, progress).map_err(abandon)?;
    let beyond = scopes.beyond(volume, &set.stage()).map_err(abandon)?;
    // Our own files move first: from the changed instance, a running backup learns that it may have read half of each
    // state.
    let mut moves = staged.own.clone();
    let scopes = scopes.and_all_in(whole_paths(remembered.as_ref(), &manifest, request));
    staged.notes.extend(notes_on_mounts(volume, &mounts, &scopes).map_err(abandon)?);
    moves.extend(plan::of_tree(volume, &set, &set.stage(), &scopes, &mounts).map_err(abandon)?);
    preflight::moves(volume, &moves, &mounts).map_err(abandon)?;
    let is_replaced = |path: &RelPath| {
        moves.iter().any(|change| change.old.is_some() && path.as_path().starts_with(change.path.as_path()))
    };
    quarantine.refuse_unreplaced_apps(volume, &staged.outcome, &is_replaced).map_err(abandon)?;
    let holds_state = moves.iter().any(|change| change.old.is_some() && !is_own(&change.path));
    let archived = manifest.root.clone().filter(|_| request.only.is_none());
    let root = root::change(volume, archived, request, holds_state, &mut staged.notes).map_err(abandon)?;
    let committed = set::time_of_next(volume, manifest.created).map_err(abandon)?;
    let source = RestoreSource::Backup {
        file: request.name.display().to_string(),
        created: manifest.created,
        apps: staged.outcome.after,
    };
    let journal = Journal {
        id: set.id(),
        state: JournalState::Commit,
        committed,
        source,
        script: request.script.clone(),
        scopes: all.clone(),
        beyond,
        root,
        moves,
    };
    let journal = commit::commit(volume, &set, journal, || preflight::no_database_in_use(volume, &all))?;
    Ok(Restored {
        id: set.id(),
        backup: request.name.to_owned(),
        backup_id: staged.backup_id,
        backup_created: manifest.created,
        instance_id: staged.instance.id,
        apps: staged.outcome.after,
        apps_off: staged.outcome.record.as_ref().map(|record| record.apps().collect()).unwrap_or_default(),
        key_adopted: staged.key_adopted,
        restored: staged.members,
        replaced: journal.moves.iter().filter(|change| change.old.is_some() && !is_own(&change.path)).count(),
        notes: staged.notes,
    })
}

/// Warnings about the mount points that this restore leaves as they are.
fn notes_on_mounts(volume: &Volume, mounts: &Mounts, scopes: &Scopes) -> Result<Vec<String>> {
    let mut state = BTreeSet::new();
    for path in mounts.paths() {
        let meta = presence::entry(&path.under(volume.root()))?;
        let kind = if meta.is_some_and(|meta| meta.is_dir()) { PathKind::Directory } else { PathKind::File };
        if scopes.take(path, kind) {
            state.insert(path.clone());
        }
    }
    Ok(mounts.notes(|path| state.contains(path)))
}

/// The scopes within which the restore is exact. A path is in it if every scope includes it.
fn scopes_of(manifest: &Manifest, profile: &Profile, request: &Request) -> Vec<Scope> {
    let both = [manifest.scope.clone(), profile.scope.clone()];
    both.into_iter().chain(request.only.map(Only::scope)).collect()
}

/// The paths that are replaced as a whole, whatever the scopes say: what quarantine changed, and what a capture command wrote,
/// because a database must not find files of another copy of itself.
fn whole_paths(record: Option<&QuarantineRecord>, manifest: &Manifest, request: &Request) -> Vec<RelPath> {
    let captured = manifest.captures.iter().flat_map(|capture| capture.replaces.clone());
    quarantined_files(record).into_iter().chain(captured).filter(|path| request.takes(path)).collect()
}

/// Files that quarantine renamed belong to the state from which they were taken, even if no glob matches their new
/// names.
fn quarantined_files(record: Option<&QuarantineRecord>) -> Vec<RelPath> {
    record.map(QuarantineRecord::files).unwrap_or_default()
}

fn accept(manifest: &Manifest, members: &[DigestEntry], profile: &Profile, request: &Request) -> Result<()> {
    if manifest.profile != profile.name && !request.accept_other_profile {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        let (theirs, ours) = (name(&manifest.profile), name(&profile.name));
        return Err(Error::usage(format!(
            "the backup was taken with the profile {theirs}, but this volume has {ours}"
        ))
        .hint("use the backup's profile, or pass --profile-mismatch=accept to restore it anyway"));
    }
    request.only.map_or(Ok(()), |only| only.accept(request.name, manifest, members))
}

fn instance_after(volume: &Volume, request: &Request, backup_id: Id) -> Result<Instance> {
    let mut instance = Instance::load(volume)?.map_or_else(Instance::new, Ok)?;
    if request.apps == AppsPolicy::Copy && request.only.is_none() {
        // A copy is a new instance, so that it neither prunes nor overwrites the backups of its original.
        instance.id = Id::random()?;
    }
    instance.restore_epoch += 1;
    instance.restored_backup = Some(backup_id);
    instance.restored = Some(jiff::Timestamp::now());
    if request.adopt_key {
        instance.key_fingerprint = Some(request.key.fingerprint());
    }
    Ok(instance)
}
