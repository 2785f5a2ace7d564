//! Twins: volumes with the same instance id, because one is a copy of the other, or because a snapshot set this volume back
//! while its backups stayed. Each would remove and restore the other's backups, so a person decides who is who.

use super::catalog::{manifest, of_instance};
use crate::prelude::*;
use seqbac::Header;
use seqbac_header::relpath;
use volume::{
    BackupRecord,
    backups::files,
    events::{Event, Kind, record},
};

/// What makes a twin likely.
#[derive(Debug, Clone, Serialize)]
pub struct Twins {
    /// Whether the files of this volume are a copy that uses the backup folder of the original.
    pub is_copy: bool,
    /// Backups of this instance that this volume has not taken, newest first.
    pub unrecorded: Vec<Unrecorded>,
}

/// A backup with the id of this instance that is not in its record.
#[derive(Debug, Clone, Serialize)]
pub struct Unrecorded {
    /// Path of the backup file.
    #[serde(serialize_with = "relpath::as_json")]
    pub file: PathBuf,
    /// The id in its header.
    pub id: Id,
    /// The time in its header.
    pub created: jiff::Timestamp,
}

impl Twins {
    /// Looks for signs of a twin. Without a record there are none: the next backup begins it with all existing backups. A
    /// folder for backups that does not exist holds none either.
    pub fn find(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Result<Option<Self>> {
        Ok(Self::find_with_record(volume, key, instance, now)?.and_then(|(_, twins)| twins))
    }

    fn find_with_record(
        volume: &Volume,
        key: &SecretKey,
        instance: Id,
        now: jiff::Timestamp,
    ) -> Result<Option<(BackupRecord, Option<Self>)>> {
        let folder = volume.backups();
        let files = if presence::is_dir(&folder)? { files(&folder)? } else { Vec::new() };
        // Later than the list of files: a backup that ends meanwhile was recorded before it had a name.
        let Some(record) = BackupRecord::load(volume, instance)? else { return Ok(None) };
        let ours = of_instance(files, instance, now).into_iter();
        let unrecorded = ours.filter(|(header, file)| is_of_twin(&record, header, file, key));
        let unrecorded = unrecorded.map(|(header, file)| Unrecorded { file, id: header.id, created: header.created });
        let unrecorded: Vec<_> = unrecorded.collect();
        let is_copy = record.is_copy(volume);
        let twins = (is_copy || !unrecorded.is_empty()).then_some(Self { is_copy, unrecorded });
        Ok(Some((record, twins)))
    }

    /// The signs in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let copy = "this volume is a copy of the one that took its backups";
        match self.unrecorded.len() {
            0 => copy.to_owned(),
            1 => "a backup of this instance was not taken by this volume".to_owned(),
            many => format!("{many} backups of this instance were not taken by this volume"),
        }
    }

    /// What a person can do.
    #[must_use]
    pub fn advice(&self, folder: &Path) -> Vec<String> {
        let adopt = match self.unrecorded.is_empty() {
            true => "if this is the same volume, moved to another disk",
            false => "if this is the same volume, set back by a snapshot",
        };
        vec![
            format!("{adopt}: `moorline instance adopt`"),
            "if this volume is a clone: `moorline instance new`".to_owned(),
            format!(
                "if another volume is the clone: run `moorline instance new` there, and move its backups out of {}",
                folder.display()
            ),
        ]
    }
}

/// Whether another volume has taken a backup of this instance. A forged header does not count, nor does a backup that its
/// volume could not record.
pub(super) fn is_of_twin(record: &BackupRecord, header: &Header, file: &Path, key: &SecretKey) -> bool {
    !record.knows(header)
        && header.authenticate(key).is_ok()
        && !manifest(file, key).is_ok_and(|manifest| manifest.unrecorded)
}

/// Whether a twin is likely, so that no backup may be removed. Reports it, and leaves a note for programs without the key.
pub(super) fn refuse_removal(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Result<bool> {
    let Some((before, found)) = Twins::find_with_record(volume, key, instance, now)? else { return Ok(false) };
    let ids = found.iter().flat_map(|twins| &twins.unrecorded).map(|backup| backup.id).collect();
    if before.unrecorded != ids
        && let Err(error) = BackupRecord::note_unrecorded(volume, instance, ids)
    {
        log::debug!("{error}");
    }
    let Some(twins) = found else { return Ok(false) };
    let reason = twins.in_words();
    log::warn!("no backup is removed: {reason}; `moorline instance show` says what to do");
    record(
        volume,
        &Event::new(Kind::BackupTwinSuspected).with("InstanceId", instance.to_string()).with("Reason", reason),
    );
    Ok(true)
}
