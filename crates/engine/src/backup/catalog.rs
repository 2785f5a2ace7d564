//! The backups in a folder: their headers and manifests, the newest one of an instance, and the damaged ones.

use std::{fs::File, io::Read};

use super::{Assessment, BackupKind, Manifest, Soundness, name, twins::is_of_twin};
use crate::{
    metastore,
    prelude::*,
    store::{Matcher, holds_state},
};
use seqbac::{Archive, Header, Reader};
use seqbac_header::{Fingerprint, relpath};
use volume::{
    BackupRecord, Instance,
    backups::{files, has_one_since, header, is_in_the_future, named},
};

const LONGEST_HEADER: u64 = 4096;

/// One backup, as shown by `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Path of the backup file.
    #[serde(serialize_with = "relpath::as_json")]
    pub file: PathBuf,
    /// Random id in the header.
    pub id: Id,
    /// When its transactions began.
    pub created: jiff::Timestamp,
    /// From the manifest. Without the key, derived from the file name.
    pub kind: BackupKind,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Whether it is sound. Unknown without its key.
    pub verified: Option<bool>,
    /// Fingerprint of the secret key that opens it.
    pub key_fingerprint: Id,
    /// The instance that took it.
    pub instance_id: Option<Id>,
    /// Name of the profile.
    pub profile: Option<String>,
    /// Whether the instance was in quarantine. Unknown without its key.
    pub quarantined: Option<bool>,
    /// Whether a store was suddenly empty. Unknown without its key.
    pub suspect: Option<bool>,
    /// How far it can be relied on. Unknown without its key.
    pub soundness: Option<Soundness>,
    /// Why it is not sound.
    pub reasons: Vec<String>,
}

/// A file with the name of a backup that cannot be read as one.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Path of the file.
    pub file: PathBuf,
    /// Why it cannot be read.
    pub error: Error,
}

/// The content of a folder of backups.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The readable backups, newest first.
    pub backups: Vec<Summary>,
    /// The unreadable ones.
    pub skipped: Vec<Skipped>,
}

impl Skipped {
    /// `Damaged`, or `None` if it is not known, because the file cannot be read.
    #[must_use]
    pub const fn soundness(&self) -> Option<Soundness> {
        if is_damage(self.error.code()) { Some(Soundness::Damaged) } else { None }
    }
}

/// Lists the backups in a folder. A damaged backup is not an error, but [`Skipped`].
pub fn list(folder: &Path, key: Option<&SecretKey>) -> Result<Listed> {
    let mut listed = Listed::default();
    for file in files(folder)? {
        match summary(&file, key) {
            Ok(summary) => listed.backups.push(summary),
            Err(error) => listed.skipped.push(Skipped { file, error }),
        }
    }
    listed.backups.sort_by_key(|backup| std::cmp::Reverse(backup.created));
    Ok(listed)
}

/// Lists the backups of a volume. If the configured folder does not exist, the list is empty, because
/// [`Volume::refuse_missing_backups`] reports the missing folder.
pub fn list_volume(volume: &Volume, key: Option<&SecretKey>) -> Result<Listed> {
    match volume.refuse_missing_backups() {
        Ok(()) => list(&volume.backups(), key),
        // The settings may be invalid, which is not an error here, so we only check that the folder is accessible.
        Err(_) => presence::is_dir(&volume.backups()).map(|_| Listed::default()),
    }
}

/// The creation time of the newest scheduled backup of this instance. Ignores damaged backups, those of a twin, and backups
/// from the future, as seen at `now`. If the key does not open a backup, its file name tells whether it is scheduled.
pub fn newest_scheduled(
    volume: &Volume,
    key: &SecretKey,
    instance: Id,
    now: jiff::Timestamp,
) -> Result<Option<jiff::Timestamp>> {
    let backups = of_instance(files(&volume.backups())?, instance, now);
    let record = BackupRecord::load(volume, instance)?;
    let is_ours =
        |header: &Header, file: &Path| record.as_ref().is_none_or(|record| !is_of_twin(record, header, file, key));
    let is_scheduled = |file: &Path| summary(file, Some(key)).is_ok_and(|backup| backup.kind == BackupKind::Scheduled);
    let found = backups.into_iter().find(|(header, file)| is_scheduled(file) && is_ours(header, file));
    Ok(found.map(|(header, _)| header.created))
}

/// The backups of an instance with a readable header, newest first. Ignores backups from the future.
pub(super) fn of_instance(files: Vec<PathBuf>, instance: Id, now: jiff::Timestamp) -> Vec<(Header, PathBuf)> {
    let headers = files.into_iter().filter_map(|file| Some((header(&file).ok()?, file)));
    let ours = |header: &Header| header.instance == Some(instance) && !is_in_the_future(header.created, now);
    let mut backups: Vec<_> = headers.filter(|(header, _)| ours(header)).collect();
    backups.sort_by_key(|(header, _)| std::cmp::Reverse(header.created));
    backups
}

/// Whether the header of a backup has the fingerprint of this key.
#[must_use]
pub fn opens(file: &Path, key: &SecretKey) -> bool {
    header(file).is_ok_and(|header| header.key_fingerprint == key.fingerprint())
}

/// Whether the volume's newest backup is older than `age`, and the server or the console has state to back up.
pub fn is_due(volume: &Volume, profile: &Profile, age: jiff::SignedDuration, now: jiff::Timestamp) -> Result<bool> {
    let instance = Instance::load(volume)?;
    if has_one_since(volume, instance.as_ref(), age, now)? {
        return Ok(false);
    }
    Ok(metastore::is_there(volume)? || holds_state(volume.root(), &Matcher::of(&profile.scope)?)?)
}

/// Reads the header of a backup, and with its key the manifest.
pub fn summary(file: &Path, key: Option<&SecretKey>) -> Result<Summary> {
    let header = header(file)?;
    let opens = key.filter(|key| key.fingerprint() == header.key_fingerprint);
    let manifest = opens.map(|key| manifest(file, key)).transpose()?;
    let assessed = opens.zip(manifest.as_ref()).map(|(key, manifest)| assess(file, key, manifest)).transpose()?;
    let kind = manifest.as_ref().map(|manifest| manifest.kind);
    Ok(Summary {
        file: file.to_owned(),
        id: header.id,
        created: header.created,
        kind: kind.or_else(|| name::kind_of(file)).unwrap_or(BackupKind::Immediate),
        bytes: fs::metadata(file).on("read the metadata of", file)?.len(),
        verified: assessed.as_ref().map(|assessed| assessed.soundness == Soundness::Sound),
        key_fingerprint: header.key_fingerprint,
        instance_id: header.instance,
        quarantined: manifest.as_ref().map(|manifest| manifest.quarantined),
        suspect: manifest.as_ref().map(|manifest| !manifest.suspect.is_empty()),
        soundness: assessed.as_ref().map(|assessed| assessed.soundness),
        reasons: assessed.map(|assessed| assessed.reasons).unwrap_or_default(),
        profile: manifest.and_then(|manifest| manifest.profile),
    })
}

/// The soundness that the file itself records. This does not read the whole backup. Fails if its end is missing.
pub(super) fn assess(file: &Path, key: &SecretKey, manifest: &Manifest) -> Result<Assessment> {
    let open = File::open(file).on("open", file)?;
    Ok(match Archive::open_at_once(open, key).map_err(|error| named(file, error))? {
        Some(archive) => Assessment::of(manifest, archive.members(), archive.doubts()),
        None => Assessment::of(manifest, &[], &[]),
    })
}

pub(super) fn manifest(file: &Path, key: &SecretKey) -> Result<Manifest> {
    let open = File::open(file).on("open", file)?;
    let reader = Reader::open(open, key, 1).map_err(|error| named(file, error))?;
    Manifest::parse(reader.manifest()).map_err(|error| error.context(file.display()))
}

/// A damaged backup of this instance.
#[derive(Debug, Clone, Copy)]
pub struct Damaged<'a> {
    /// The file and its error.
    pub skipped: &'a Skipped,
    /// The backup's id. Unknown if its header is damaged.
    pub id: Option<Id>,
}

/// Finds the damaged backups of this instance that are encrypted with this key among the skipped files. Listing a backup
/// reads its header and its first segment: if one of them is damaged, the list skips the file, although a backup was lost.
pub fn damaged(listed: &Listed, instance: Id, key: Fingerprint) -> impl Iterator<Item = Damaged<'_>> {
    let is_damage = |skipped: &&Skipped| is_damage(skipped.error.code());
    listed.skipped.iter().filter(is_damage).filter_map(move |skipped| {
        let id = match header(&skipped.file) {
            Ok(header) if header.instance == Some(instance) && header.key_fingerprint == key => Some(header.id),
            Ok(_) => return None,
            Err(_) if mentions(&skipped.file, instance) => None,
            Err(_) => return None,
        };
        Some(Damaged { skipped, id })
    })
}

/// A backup is not damaged if a newer moorline wrote it, if it cannot be read, or if it was removed meanwhile.
pub(super) const fn is_damage(code: Code) -> bool {
    matches!(
        code,
        Code::NotABackup
            | Code::HeaderCorrupt
            | Code::HeaderTampered
            | Code::Corrupt
            | Code::Truncated
            | Code::Incomplete
    )
}

/// Whether a header that cannot be parsed contains this instance's id. The id is random, so no other file contains it.
fn mentions(file: &Path, instance: Id) -> bool {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|open| open.take(LONGEST_HEADER).read_to_end(&mut head));
    read.is_ok() && head.windows(instance.0.len()).any(|window| window == instance.0)
}
