//! A backup onto the volume, whole or not at all.
//!
//! ```text
//! open and authenticate the whole backup          nothing is written
//! look for what stands in the way                 space, mounts, links, other processes
//! stage every store under .moorline/restores/ID/  flushed; a crash up to here leaves the old state
//! check each staged database
//! switch the apps off in the staged copy          unless a flag says otherwise
//! journal `commit`: a list of moves               a crash from here on is finished at the next start
//! make the moves                                  an error reverses them: `undone`
//! journal `done`
//! ```
//!
//! What it replaced stays in the restore set until [`prune`] or [`discard`]; [`rollback`] brings it back by the same
//! machinery. The caller holds the volume's lock throughout.

mod apps_policy;
mod commit;
mod console;
pub mod events;
mod journal;
mod plan;
mod preflight;
mod preview;
mod rollback;
mod set;
mod settings;
mod stage;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::{apps_policy::Quarantine, journal::Journal, plan::Scopes, set::RestoreSet, stage::Staged};
pub use self::{
    apps_policy::{AppsPolicy, AppsState},
    commit::recover,
    journal::{Move, JournalState, RestoreSource},
    preflight::no_database_in_use,
    preview::{DatabaseChange, DatabaseDiffers, FileChanges, Preview, SwitchedOff, preview},
    rollback::{RolledBack, rollback},
    set::{PastRestore, discard, history, prune, refuse_unfinished},
};
use crate::{
    backup::{Manifest, Progress, read_whole},
    metastore::MetastoreLock,
    quarantine::{App, QuarantineRecord},
};
use profile::Profile;
use seqbac_header::{Id, RelPath, SecretKey, relpath};
use volume::restores::ScriptStep;
use volume::{
    AppsLock, Instance, Volume,
    error::{Error, Result},
};

/// What is to be restored, and how.
#[derive(Debug)]
pub struct Request<'a> {
    /// The backup.
    pub backup: &'a Path,
    /// The key that opens it.
    pub key: &'a SecretKey,
    /// The volume's own key once the restore is done: what the console keeps sealed is sealed with it.
    pub own_key: &'a SecretKey,
    /// Whether the volume, having no key at all, takes this one as its own.
    pub adopt_key: bool,
    /// What was said about the apps.
    pub apps: AppsPolicy,
    /// Whether a backup of another profile is accepted.
    pub accept_other_profile: bool,
    /// Who owns what is restored, unless the archive says.
    pub owner: Option<(u32, u32)>,
    /// The init script's command that asked, if one did.
    pub script: Option<ScriptStep>,
}

/// A restore that is done.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The restore set.
    pub id: Id,
    /// The backup's file.
    #[serde(serialize_with = "relpath::as_json")]
    pub backup: PathBuf,
    /// The backup's id.
    pub backup_id: Id,
    /// When it was made.
    pub backup_created: jiff::Timestamp,
    /// The volume's instance id.
    pub instance_id: Id,
    /// What became of the apps.
    pub apps: AppsState,
    /// The apps that are off.
    pub apps_off: Vec<App>,
    /// Whether the volume took the backup's key as its own.
    pub key_adopted: bool,
    /// How many members were put in place.
    pub restored: usize,
    /// How many paths were moved aside, and can be brought back.
    pub replaced: usize,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Restores a backup. The volume's lock is held by the caller, and interrupted restores are recovered.
///
/// # Errors
/// Whatever fails, the old state is untouched or has been put back, and the error says what to do.
pub fn restore(volume: &Volume, profile: &Profile, request: Request, progress: &mut dyn Progress) -> Result<Restored> {
    let backup = request.backup;
    put_in_place(volume, profile, &request, progress).inspect_err(|error| events::restore_failed(volume, backup, error))
}

fn put_in_place(
    volume: &Volume,
    profile: &Profile,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<Restored> {
    let (manifest, contents) = read_whole(request.backup, request.key, progress)?;
    accept(&manifest, profile, request)?;
    // Nobody asks for a release of what is about to be replaced, and is told that it will be carried out.
    let _memory = AppsLock::take(volume)?;
    let remembered = QuarantineRecord::load(volume)?;
    let quarantine = Quarantine { policy: request.apps, profile, manifest: &manifest, volume: remembered.as_ref() };
    quarantine.refuse_unknown(&contents.members)?;
    let scopes = Scopes::new(&manifest.scope, &profile.scope)?;
    let both = [manifest.scope.clone(), profile.scope.clone()];
    preflight::no_database_in_use(volume, &both)?;
    preflight::space(volume, contents.members.iter().map(|member| member.size))?;
    let set = RestoreSet::create(volume)?;
    let abandon = |error: Error| set.abandon(error);
    let staged = Staged::of(volume, &set, &quarantine, request, MetastoreLock::alone, progress).map_err(abandon)?;
    let beyond = scopes.beyond(volume, &set.stage()).map_err(abandon)?;
    // Ours first: a backup that is being made tells by the instance that it may have read half of each state.
    let mut moves = staged.own_files();
    let scopes = scopes.and_all_in(put_away(remembered.as_ref()));
    moves.extend(plan::of_tree(volume, &set, &set.stage(), &scopes).map_err(abandon)?);
    preflight::moves(volume, &moves).map_err(abandon)?;
    let is_replaced = |path: &RelPath| {
        moves.iter().any(|change| change.old.is_some() && path.as_path().starts_with(change.path.as_path()))
    };
    quarantine.refuse_unreplaced_apps(volume, &staged.outcome, &is_replaced).map_err(abandon)?;
    let committed = set::time_of_next(volume, manifest.created).map_err(abandon)?;
    let source = RestoreSource::Backup {
        file: request.backup.display().to_string(),
        created: manifest.created,
        apps: staged.outcome.after,
    };
    let journal = Journal {
        id: set.id(),
        state: JournalState::Commit,
        committed,
        source,
        script: request.script.clone(),
        scopes: both.to_vec(),
        beyond,
        moves,
    };
    let journal = commit::commit(volume, &set, journal, || preflight::no_database_in_use(volume, &both))?;
    Ok(Restored {
        id: set.id(),
        backup: request.backup.to_owned(),
        backup_id: staged.backup_id,
        backup_created: manifest.created,
        instance_id: staged.instance.id,
        apps: staged.outcome.after,
        apps_off: staged.outcome.memory.as_ref().map(|memory| memory.apps().collect()).unwrap_or_default(),
        key_adopted: staged.key_adopted,
        restored: staged.members,
        replaced: journal.moves.iter().filter(|change| change.old.is_some() && !set::is_own(&change.path)).count(),
        notes: staged.notes,
    })
}

/// What quarantine took away and keeps under other names goes with the state that it was taken from, whatever the globs
/// say.
fn put_away(memory: Option<&QuarantineRecord>) -> Vec<RelPath> {
    memory.map(QuarantineRecord::files).unwrap_or_default()
}

/// Whether this backup may be restored here at all.
fn accept(manifest: &Manifest, profile: &Profile, request: &Request) -> Result<()> {
    if manifest.profile != profile.name && !request.accept_other_profile {
        let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".to_owned());
        return Err(Error::usage(format!(
            "the backup was made with the profile {}, and this volume has {}",
            name(&manifest.profile),
            name(&profile.name)
        ))
        .hint("use the backup's profile, or add --profile-mismatch=accept to restore it all the same"));
    }
    Ok(())
}

/// The instance that the volume is once the restore is done.
fn instance_after(volume: &Volume, request: &Request, backup_id: Id) -> Result<Instance> {
    let mut instance = Instance::load(volume)?.map_or_else(Instance::new, Ok)?;
    if request.apps == AppsPolicy::Copy {
        // A copy is somebody else: it neither prunes nor uploads over what its original made.
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
