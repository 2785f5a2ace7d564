//! `.moorline/backups.json`: the backups that this volume has taken. A backup of this instance that is not recorded was taken
//! by another volume with the same id: a clone, or this volume before a snapshot set it back.
//!
//! ```text
//! { "INSTANCE": { "since": "…", "home": "…", "folder": "…", "backups": { "ID": { "created": 1767225600000 } }, "unrecorded": ["ID"] } }
//! ```
//! An id is recorded durably before its backup gets a name. The oldest ids are forgotten: backups from before `since` count as
//! recorded. `home` and `folder` are the times at which `.moorline/` and the backup folder were created: a copy of the files of
//! a volume has another `.moorline/`, but may still use the same backup folder.
//!
//! Limitation: a copy of a whole file system or disk keeps these times, and is recognised by its backups only.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use seqbac_header::{Header, Id};
use serde::{Deserialize, Serialize};

use crate::{
    Volume,
    backups::{files, header, is_in_the_future},
    durable,
    error::{Code, Error, Result},
    lock::RecordLock,
    presence,
};

/// Ids recorded for one instance. With a backup every hour, these are ten days.
const MOST: usize = 256;

/// Instances recorded for one volume: a rollback may bring back an earlier one.
const MOST_INSTANCES: usize = 8;

/// File systems that may invent the time of creation, because a server or another program answers: NFS, SMB (3 versions),
/// FUSE, 9P.
const INVENTIVE: [u32; 6] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997];

/// The backups of one instance that this volume has taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// Backups that were created before this time count as recorded.
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    home: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<Timestamp>,
    /// The recorded backups. Not all of them exist.
    pub backups: BTreeMap<Id, Recorded>,
    /// Unrecorded backups that the last backup found, for programs that do not have the key.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unrecorded: BTreeSet<Id>,
}

/// A recorded backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The time in its header, in milliseconds.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub created: Timestamp,
    /// Whether a user of the console uploaded it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uploaded: bool,
}

impl BackupRecord {
    /// Loads the record of an instance; `None` if it has none yet.
    pub fn load(volume: &Volume, instance: Id) -> Result<Option<Self>> {
        Ok(load_all(volume)?.remove(&instance))
    }

    /// Records a backup that was taken or uploaded, durably. A new record begins with all backups of the instance that exist.
    pub fn add(volume: &Volume, instance: Id, backup: Id, recorded: Recorded, now: Timestamp) -> Result<()> {
        let _lock = RecordLock::take(volume)?;
        let mut all = load_all(volume)?;
        let mut record = all.remove(&instance).unwrap_or_else(|| Self::begin(volume, instance, now));
        if !record.is_copy(volume) {
            record.observe(volume);
        }
        record.backups.insert(backup, recorded);
        record.forget(now);
        save(volume, all, instance, record)
    }

    /// Takes all existing backups of the instance as this volume's.
    pub fn adopt(volume: &Volume, instance: Id, now: Timestamp) -> Result<()> {
        let _lock = RecordLock::take(volume)?;
        // A damaged record ends here, too.
        save(volume, load_all(volume).unwrap_or_default(), instance, Self::begin(volume, instance, now))
    }

    /// Keeps the ids of unrecorded backups for [`Self::has_twin`].
    pub fn note_unrecorded(volume: &Volume, instance: Id, unrecorded: BTreeSet<Id>) -> Result<()> {
        let _lock = RecordLock::take(volume)?;
        let mut all = load_all(volume)?;
        match all.remove(&instance) {
            Some(record) => save(volume, all, instance, Self { unrecorded, ..record }),
            None => Ok(()),
        }
    }

    /// Whether this volume has taken the backup, as far as its header shows.
    #[must_use]
    pub fn knows(&self, header: &Header) -> bool {
        header.created <= self.since || self.backups.contains_key(&header.id)
    }

    /// Whether the files of this volume were copied from the volume that began the record, and the backup folder was not.
    #[must_use]
    pub fn is_copy(&self, volume: &Volume) -> bool {
        let differ = |then: Option<Timestamp>, now| then.zip(now).is_some_and(|(then, now)| then != now);
        differ(self.home, born(&volume.own())) && !differ(self.folder, born(&volume.backups()))
    }

    /// Whether another volume may be taking backups with the id of this instance, as far as this can be found without the key.
    pub fn has_twin(volume: &Volume, instance: Id) -> Result<bool> {
        let Some(record) = Self::load(volume, instance)? else { return Ok(false) };
        let exists = || {
            let headers =
                files(&volume.backups()).unwrap_or_default().into_iter().filter_map(|file| header(&file).ok());
            headers.into_iter().any(|header| record.unrecorded.contains(&header.id))
        };
        Ok(record.is_copy(volume) || (!record.unrecorded.is_empty() && exists()))
    }

    fn begin(volume: &Volume, instance: Id, now: Timestamp) -> Self {
        // Those that cannot be read are from before `since`, unless a clock is wrong.
        let headers = files(&volume.backups()).unwrap_or_default().into_iter().filter_map(|file| header(&file).ok());
        let ours = headers.filter(|header| header.instance == Some(instance));
        let backups = ours.map(|header| (header.id, Recorded { created: header.created, uploaded: false })).collect();
        let mut record = Self { since: now, home: None, folder: None, backups, unrecorded: BTreeSet::new() };
        record.observe(volume);
        record
    }

    fn observe(&mut self, volume: &Volume) {
        self.home = born(&volume.own()).or(self.home);
        self.folder = born(&volume.backups());
    }

    fn forget(&mut self, now: Timestamp) {
        // The clock was wrong when the record began. The backups that existed then are recorded.
        if is_in_the_future(self.since, now) {
            self.since = now;
        }
        while self.backups.len() > MOST {
            let Some((id, created)) = self.backups.iter().map(|(id, one)| (*id, one.created)).min_by_key(|one| one.1)
            else {
                break;
            };
            self.backups.remove(&id);
            self.since = self.since.max(created.min(now));
        }
    }
}

fn path(volume: &Volume) -> PathBuf {
    volume.own().join("backups.json")
}

fn load_all(volume: &Volume) -> Result<BTreeMap<Id, BackupRecord>> {
    let path = path(volume);
    let Some(text) = presence::read(&path)? else { return Ok(BTreeMap::new()) };
    serde_json::from_slice(&text).map_err(|cause| {
        Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
            .hint("to take all backups in the folder as this volume's: `moorline instance adopt`")
    })
}

fn save(volume: &Volume, mut all: BTreeMap<Id, BackupRecord>, instance: Id, record: BackupRecord) -> Result<()> {
    while all.len() >= MOST_INSTANCES {
        let Some(oldest) = all.iter().min_by_key(|(_, record)| record.since).map(|(id, _)| *id) else { break };
        all.remove(&oldest);
    }
    all.insert(instance, record);
    let text = serde_json::to_vec(&all)
        .map_err(|cause| Error::new(Code::Bug, format!("cannot serialise backups.json: {cause}")))?;
    durable::write(&path(volume), &text, 0o600)
}

/// When a folder was created; `None` if the file system does not say so reliably.
fn born(folder: &Path) -> Option<Timestamp> {
    let kind = rustix::fs::statfs(folder).ok()?.f_type;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "magic numbers have 32 bits")]
    if INVENTIVE.contains(&(kind as u32)) {
        return None;
    }
    let found = rustix::fs::statx(CWD, folder, AtFlags::empty(), StatxFlags::BTIME).ok()?;
    let is_known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let nanoseconds = i32::try_from(found.stx_btime.tv_nsec).ok()?;
    Timestamp::new(found.stx_btime.tv_sec, nanoseconds).ok().filter(|_| is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANCE: Id = Id([1; 16]);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn the_oldest_ids_are_forgotten_and_still_count_as_recorded() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        let backups = (0..MOST as u128).map(|number| {
            let created = at(i64::try_from(number).expect("small"));
            (Id(number.to_be_bytes()), Recorded { created, uploaded: false })
        });
        let mut record = BackupRecord::begin(&volume, INSTANCE, at(0));
        record.backups = backups.collect();
        save(&volume, BTreeMap::new(), INSTANCE, record).expect("writes");
        let newest = Recorded { created: at(5_000), uploaded: false };
        BackupRecord::add(&volume, INSTANCE, Id([9; 16]), newest, at(5_000)).expect("adds");
        let record = BackupRecord::load(&volume, INSTANCE).expect("loads").expect("is there");
        assert_eq!((record.backups.len(), record.since), (MOST, at(0)));
        BackupRecord::add(&volume, INSTANCE, Id([8; 16]), newest, at(5_000)).expect("adds");
        let record = BackupRecord::load(&volume, INSTANCE).expect("loads").expect("is there");
        assert_eq!((record.backups.len(), record.since), (MOST, at(1)));
    }

    #[test]
    fn a_record_that_began_under_a_wrong_clock_starts_to_count_when_the_clock_is_right() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        let year = 365 * 24 * 3600;
        let add = |id, second| {
            let recorded = Recorded { created: at(second), uploaded: false };
            BackupRecord::add(&volume, INSTANCE, Id([id; 16]), recorded, at(second)).expect("adds");
            BackupRecord::load(&volume, INSTANCE).expect("loads").expect("is there").since
        };
        assert_eq!(add(1, 2 * year), at(2 * year));
        assert_eq!(add(2, year), at(year));
        assert_eq!(add(3, 2 * year), at(year));
    }

    #[test]
    fn only_so_many_instances_of_a_volume_are_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        for number in 1..=20 {
            BackupRecord::adopt(&volume, Id([number; 16]), at(number.into())).expect("adopts");
        }
        let all = load_all(&volume).expect("loads");
        assert_eq!(all.keys().map(|id| id.0[0]).collect::<Vec<_>>(), (13..=20).collect::<Vec<_>>());
    }
}
