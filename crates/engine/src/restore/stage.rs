//! Unpacks the members of a backup into a restore set and checks them, before anything on the volume changes.

use super::{
    Move, Request,
    apps_policy::{Quarantine, QuarantineOutcome},
    console::{ConsoleDatabase, TakeLock, make_folder},
    instance_after,
    mounts::Mounts,
    set::RestoreSet,
    settings, unpack,
};
use crate::{
    backup::{
        Counted, Manifest, Progress, bytes_of_members, complete, open_file, quarantine_member, read_quarantine_record,
        state_of,
    },
    metastore,
    prelude::*,
    quarantine::{QuarantineRecord, record::FILE_NAME as QUARANTINE},
    store::{Stager, check_image, is_own},
};
use volume::{Instance, key as source};

pub struct Staged {
    pub backup_id: Id,
    pub instance: Instance,
    pub key_adopted: bool,
    pub members: usize,
    pub outcome: QuarantineOutcome,
    pub notes: Vec<String>,
    pub own: Vec<Move>,
    /// Keeps every other process from opening the console's database on the volume.
    _console: ConsoleDatabase,
}

impl Staged {
    /// Stages a backup into a set, checks every database in it, and applies the apps policy. Members below a mount point
    /// are skipped. `take_lock` locks the console's database.
    pub fn of(
        volume: &Volume,
        set: &RestoreSet,
        quarantine: &Quarantine,
        request: &Request,
        mounts: &mut Mounts,
        take_lock: TakeLock,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let mut unpacked = unpack_members(volume, set, quarantine.manifest, request, mounts, progress)?;
        let (backup_id, members) = (unpacked.backup_id, unpacked.members);
        unpack::run(volume, set, quarantine.profile, quarantine.manifest, request, mounts, progress)?;
        check(set, quarantine.manifest, request, mounts)?;
        let mut console = ConsoleDatabase::prepare(volume, set, quarantine, request, take_lock, &mut unpacked.record)?;
        let mut outcome = quarantine.apply(&set.stage(), set.id(), unpacked.record, console.staged)?;
        let notes = [unpacked.notes, std::mem::take(&mut console.notes), std::mem::take(&mut outcome.notes)].concat();
        let instance = instance_after(volume, request, backup_id)?;
        let mut own = vec![stage_own(volume, set, "instance.json", &instance.to_bytes()?, 0o644)?];
        if request.adopt_key {
            own.push(stage_own(volume, set, "secret.key", &source::file_content(request.key), 0o600)?);
        }
        own.extend(match &outcome.record {
            Some(record) => Some(stage_own(volume, set, QUARANTINE, &record.to_bytes()?, 0o600)?),
            None => remove_own(volume, set, QUARANTINE)?,
        });
        own.extend(console.moves(volume, set)?);
        if request.only.is_none() {
            own.extend(settings::restore_move(volume, set, outcome.after, console.staged)?);
        }
        let key_adopted = request.adopt_key;
        Ok(Self { backup_id, instance, key_adopted, members, outcome, notes, own, _console: console })
    }
}

struct Unpacked {
    backup_id: Id,
    members: usize,
    record: Option<QuarantineRecord>,
    notes: Vec<String>,
}

fn unpack_members(
    volume: &Volume,
    set: &RestoreSet,
    manifest: &Manifest,
    request: &Request,
    mounts: &mut Mounts,
    progress: &mut dyn Progress,
) -> Result<Unpacked> {
    let damaged = |error| complete(request.backup, request.key, error);
    let (mut reader, _) = open_file(request.backup, request.key)?;
    let backup_id = reader.header().id;
    let mut stager = Stager::new(&set.stage(), request.owners(volume))?.with_shapes(manifest.shapes(RelPath::clone));
    let (mut members, mut record) = (0, None);
    progress.begin("staging", bytes_of_members(request.backup, request.key, manifest));
    while let Some(mut member) = reader.next_member().map_err(damaged)? {
        let mut entry = member.entry().clone();
        if entry.path == quarantine_member() {
            record =
                Some(read_quarantine_record(request.backup, &entry, &mut Counted { inner: &mut member, progress })?);
            continue;
        }
        let is_ours_to_put = |path: &RelPath| !is_own(path) || *path == metastore::path();
        entry.path = state_of(&entry.path).filter(is_ours_to_put).ok_or_else(|| not_of_the_state(&entry.path))?;
        if !request.takes(&entry.path) || mounts.skips(&entry.path) {
            // The reader needs the bytes for the digest.
            io::copy(&mut Counted { inner: &mut member, progress }, &mut io::sink())
                .map_err(|cause| damaged(seqbac::Error::from_io(cause)))?;
            continue;
        }
        members += 1;
        stager.put(&entry, &mut Counted { inner: &mut member, progress })?;
    }
    let verified = reader.finish().map_err(damaged)?;
    if record.is_some() != manifest.quarantined {
        let what = "the backup's manifest and its members disagree on whether it is in quarantine; nothing was changed";
        return Err(Error::new(Code::ContentMismatch, what));
    }
    let torn = verified.members.iter().filter(|member| member.torn);
    let mut notes: Vec<String> = torn
        .filter_map(|member| state_of(&member.path).filter(|path| request.takes(path)))
        .map(|path| format!("{path} kept changing while it was backed up; the restored copy may be inconsistent"))
        .collect();
    let faulty = manifest
        .databases
        .iter()
        .filter(|facts| request.takes(&facts.path))
        .filter_map(|facts| Some((&facts.path, facts.findings.first()?)));
    notes.extend(faulty.map(|(path, finding)| format!("{path} had a fault when it was backed up: {finding}")));
    notes.extend(stager.finish()?);
    progress.end();
    Ok(Unpacked { backup_id, members, record, notes })
}

/// Checks that every database matches the manifest, and has only faults that were recorded when it was captured.
fn check(set: &RestoreSet, manifest: &Manifest, request: &Request, mounts: &Mounts) -> Result<()> {
    let is_staged = |path: &RelPath| request.takes(path) && !mounts.covers(path);
    for facts in manifest.databases.iter().filter(|facts| is_staged(&facts.path)) {
        let findings = check_image(&facts.path.under(&set.stage()), facts)?;
        if let Some(finding) = findings.first() {
            let what = format!("the backup's copy of {} is damaged: {finding}; nothing was changed", facts.path);
            return Err(Error::new(Code::ContentMismatch, what)
                .hint("restore another backup; `moorline verify --full` checks them"));
        }
    }
    Ok(())
}

/// Writes one of our own files into the stage, and returns its move.
pub fn stage_own(volume: &Volume, set: &RestoreSet, name: &str, content: &[u8], mode: u32) -> Result<Move> {
    let path = own_path(name);
    make_folder(set)?;
    durable::write(&path.under(&set.stage()), content, mode)?;
    let new = Some(set.staged(&path));
    Ok(Move { old: old_of(volume, set, &path)?, new, path })
}

/// The move that removes one of our own files; `None` if it does not exist.
pub fn remove_own(volume: &Volume, set: &RestoreSet, name: &str) -> Result<Option<Move>> {
    let path = own_path(name);
    Ok(old_of(volume, set, &path)?.map(|old| Move { path, old: Some(old), new: None }))
}

/// The move that brings back one of our own files that another restore replaced, or removes it if that restore created
/// it.
pub fn bring_back_own(volume: &Volume, set: &RestoreSet, from: &RestoreSet, name: &str) -> Result<Option<Move>> {
    let path = own_path(name);
    let replaced = from.replaced(&path);
    if !presence::exists(&replaced.under(&volume.restores()))? {
        return remove_own(volume, set, name);
    }
    Ok(Some(Move { old: old_of(volume, set, &path)?, new: Some(replaced), path }))
}

pub fn own_path(name: &str) -> RelPath {
    RelPath::new(Path::new(".moorline").join(name)).expect("two plain names make a relative path")
}

fn old_of(volume: &Volume, set: &RestoreSet, path: &RelPath) -> Result<Option<RelPath>> {
    Ok(presence::exists(&path.under(volume.root()))?.then(|| set.replaced(path)))
}

fn not_of_the_state(member: &RelPath) -> Error {
    Error::new(Code::ContentMismatch, format!("the backup has a member {member} that is not part of a server's state"))
        .hint("a newer moorline may have taken it; nothing was changed")
}
