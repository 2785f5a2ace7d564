//! The backups in a folder: what each one's header and manifest say, and which is the newest of an instance.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use volume::backups::{files, has_one_since, header, is_in_the_future, named};
use volume::presence;

use serde::Serialize;

use super::{Kind, Manifest, name};
use crate::{metastore, store::holds_state};
use profile::Profile;
use seqbac::{Header, Reader};
use seqbac_header::{Id, SecretKey, relpath};
use volume::{
    Instance, Volume,
    error::{Code, Error, IoContext, Result},
};

/// One backup, as `--json` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Where it is.
    #[serde(serialize_with = "relpath::as_json")]
    pub file: PathBuf,
    /// Its id.
    pub id: Id,
    /// When its transactions were open.
    pub created: jiff::Timestamp,
    /// Why it was made. Without the key, what its name says.
    pub kind: Kind,
    /// Its length.
    pub bytes: u64,
    /// Whether its databases were found sound; unknown without its key.
    pub verified: Option<bool>,
    /// Fingerprint of the key that opens it.
    pub key_fingerprint: Id,
    /// The instance that made it.
    pub instance_id: Option<Id>,
    /// The profile's name.
    pub profile: Option<String>,
    /// Whether its apps were in quarantine; unknown without its key.
    pub quarantined: Option<bool>,
    /// Whether a store was suddenly empty; unknown without its key.
    pub suspect: Option<bool>,
}

/// A file that is called as a backup, and could not be taken for one.
#[derive(Debug, Clone)]
pub struct Skipped {
    /// Where it is.
    pub file: PathBuf,
    /// What is wrong with it.
    pub error: Error,
}

/// What a folder of backups holds, newest first.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Those that can be read as far as the key reaches.
    pub backups: Vec<Summary>,
    /// Those that cannot.
    pub skipped: Vec<Skipped>,
}

/// Lists a folder.
///
/// # Errors
/// Where the folder cannot be read. A damaged backup in it is listed as such.
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

/// The backups of a volume. Where the folder that was named for them is not there, none can be seen; that it is missing
/// is said by [`Volume::refuse_missing_backups`].
///
/// # Errors
/// Where the folder is there and cannot be read, or cannot be looked at.
pub fn in_sight(volume: &Volume, key: Option<&SecretKey>) -> Result<Listed> {
    match volume.refuse_missing_backups() {
        Ok(()) => list(&volume.backups(), key),
        // It is asked again, because settings that make no sense are no reason to see an error here.
        Err(_) => presence::is_dir(&volume.backups()).map(|_| Listed::default()),
    }
}

/// The newest backup of this instance, by the time in its authenticated header, of those that can be believed `now`.
///
/// # Errors
/// `NotFound` where there is none. A damaged file in the folder is an error: it may be the newest.
pub fn newest_of_instance(folder: &Path, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Result<PathBuf> {
    let mut newest: Option<(jiff::Timestamp, PathBuf)> = None;
    let mut in_the_future = 0;
    for file in files(folder)? {
        let advice = "move it out of Backups/ to have the newest of the others, or name the one you want with --backup";
        let damaged = |error: Error| error.context("the newest backup cannot be told").hint(advice);
        let header = header(&file).map_err(damaged)?;
        if header.instance != Some(instance) {
            log::info!("{} is a backup of another instance", file.display());
            continue;
        }
        header.authenticate(key).map_err(|error| damaged(named(&file, error)))?;
        if is_in_the_future(header.created, now) {
            in_the_future += 1;
            log::warn!("{} says it was made in the future, at {}; it is passed over", file.display(), header.created);
            continue;
        }
        if newest.as_ref().is_none_or(|(created, _)| header.created > *created) {
            newest = Some((header.created, file));
        }
    }
    newest.map(|(_, file)| file).ok_or_else(|| {
        if in_the_future > 0 {
            return Error::new(
                Code::TryAgain,
                format!("every backup of this instance in {} says it was made in the future", folder.display()),
            )
            .hint("set this machine's clock; or name one with --backup");
        }
        Error::new(Code::NotFound, format!("there is no backup of this instance ({instance}) in {}", folder.display()))
            .hint("name one with --backup; one of another instance needs its --secret-key too")
    })
}

/// When the newest scheduled backup of this instance was made, of those that can be believed `now`. One that is damaged
/// is none. Where the key does not open it, its name says whether it is scheduled.
///
/// # Errors
/// Where the folder cannot be read.
pub fn newest_scheduled(
    folder: &Path,
    key: &SecretKey,
    instance: Id,
    now: jiff::Timestamp,
) -> Result<Option<jiff::Timestamp>> {
    let headers = files(folder)?.into_iter().filter_map(|file| Some((header(&file).ok()?, file)));
    let ours = |header: &Header| header.instance == Some(instance) && !is_in_the_future(header.created, now);
    let mut backups: Vec<_> = headers.filter(|(header, _)| ours(header)).collect();
    backups.sort_by_key(|(header, _)| std::cmp::Reverse(header.created));
    let is_scheduled = |file: &Path| summary(file, Some(key)).is_ok_and(|backup| backup.kind == Kind::Scheduled);
    Ok(backups.into_iter().find(|(_, file)| is_scheduled(file)).map(|(header, _)| header.created))
}

/// Whether this key is the one that seals a backup, as far as its header says.
#[must_use]
pub fn opens(file: &Path, key: &SecretKey) -> bool {
    header(file).is_ok_and(|header| header.key_fingerprint == key.fingerprint())
}

/// Whether the volume's newest backup is older than `age`, and there is state to back up: the server's, or the console's.
///
/// # Errors
/// Where the volume cannot be read.
pub fn is_due(volume: &Volume, profile: &Profile, age: jiff::SignedDuration, now: jiff::Timestamp) -> Result<bool> {
    let instance = Instance::load(volume)?;
    if has_one_since(volume, instance.as_ref(), age, now)? {
        return Ok(false);
    }
    Ok(metastore::is_there(volume)? || holds_state(volume.root(), &profile.scope.compile()?)?)
}

/// What is to be said of one backup.
///
/// # Errors
/// The format's errors, by name, with the file's name.
pub fn summary(file: &Path, key: Option<&SecretKey>) -> Result<Summary> {
    let header = header(file)?;
    let opens = key.filter(|key| key.fingerprint() == header.key_fingerprint);
    let manifest = opens.map(|key| manifest(file, key)).transpose()?;
    Ok(Summary {
        file: file.to_owned(),
        id: header.id,
        created: header.created,
        kind: manifest
            .as_ref()
            .map_or_else(|| name::kind_of(file).unwrap_or(Kind::Immediate), |manifest| manifest.kind),
        bytes: fs::metadata(file).on("look at", file)?.len(),
        verified: manifest.as_ref().map(Manifest::is_sound),
        key_fingerprint: header.key_fingerprint,
        instance_id: header.instance,
        quarantined: manifest.as_ref().map(|manifest| manifest.quarantined),
        suspect: manifest.as_ref().map(|manifest| !manifest.suspect.is_empty()),
        profile: manifest.and_then(|manifest| manifest.profile),
    })
}

/// What it says it holds.
pub(super) fn manifest(file: &Path, key: &SecretKey) -> Result<Manifest> {
    let open = File::open(file).on("open", file)?;
    let reader = Reader::open(open, key, 1).map_err(|error| named(file, error))?;
    Manifest::parse(reader.manifest()).map_err(|error| error.context(file.display()))
}
