//! Retention: selects and removes expired backups.

use super::{
    BackupKind, Listed, Soundness, Twins, Verifications, catalog::Summary, damaged, list, name, twins::refuse_removal,
};
use crate::prelude::*;
use volume::{
    BackupRecord, Instance,
    backups::is_in_the_future,
    events::{Event, Kind as EventKind, record},
};

/// The number of backups to keep. `None`: all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// Scheduled backups.
    pub scheduled: Option<usize>,
    /// Immediate backups, except those that a user of the console uploaded.
    pub immediate: Option<usize>,
}

/// Selects the expired backups of one kind: those of this instance that are neither among its `keep` newest sound ones nor
/// needed while these are too few.
///
/// - The `keep` newest sound ones stay.
/// - Doubtful and suspect ones never count. One that is older than the oldest sound one of these expires, if there are
///   `keep` sound ones. Of the others, `keep` stay: the newest, and the oldest, which may be the last one before a fault
///   that has grown since.
/// - Damaged ones, and those that failed a later verification, expire once a sound one of a later day exists.
///
/// Some backups neither count nor expire:
///
/// - those of the other kind, and files that do not have the name of their kind, because a user uploaded or renamed them
/// - backups of other instances or with other keys
/// - backups from the future, as seen at `now`, because a wrong clock must not expire the new backup
///
/// While the newest backup is suspect, no sound one expires.
#[must_use]
fn expired<'a>(
    backups: &'a [Summary],
    verifications: &Verifications,
    instance: Id,
    (kind, keep): (BackupKind, usize),
    now: jiff::Timestamp,
) -> Vec<&'a Summary> {
    let keep = keep.max(1);
    let ours = |backup: &&Summary| {
        backup.instance_id == Some(instance) && backup.soundness.is_some() && !is_in_the_future(backup.created, now)
    };
    let is_sound = |backup: &&Summary| backup.soundness == Some(Soundness::Sound);
    let mut of_kind: Vec<_> = backups.iter().filter(ours).filter(|backup| is_of_kind(backup, kind)).collect();
    of_kind.sort_by_key(|backup| std::cmp::Reverse(backup.created));
    let (failed, readable): (Vec<_>, Vec<_>) =
        of_kind.into_iter().partition(|backup| verifications.failed.contains_key(&backup.id));
    let (mut sound, mut doubtful): (Vec<_>, Vec<_>) = readable.into_iter().partition(is_sound);
    let newest_sound = sound.first().map(|backup| backup.created);
    let mut expired = match backups.iter().filter(ours).max_by_key(|backup| backup.created) {
        Some(newest) if newest.suspect == Some(true) => Vec::new(),
        _ => sound.split_off(keep.min(sound.len())),
    };
    let oldest = sound.get(keep - 1).map(|backup| backup.created);
    expired.extend(doubtful.extract_if(.., |backup| oldest.is_some_and(|oldest| backup.created < oldest)));
    // The last one, which is the oldest, stays as well.
    doubtful.pop();
    expired.extend(doubtful.into_iter().skip(keep.saturating_sub(1).max(1)));
    expired.extend(
        failed.into_iter().filter(|backup| newest_sound.is_some_and(|sound| is_later_day(sound, backup.created))),
    );
    expired
}

/// Whether `this` is on a later day than `that`.
fn is_later_day(this: jiff::Timestamp, that: jiff::Timestamp) -> bool {
    this > that && this.strftime("%Y%m%d").to_string() > that.strftime("%Y%m%d").to_string()
}

/// Checks the manifest and the name, because an upload can have the manifest of a scheduled backup and the name of an
/// immediate one.
fn is_of_kind(backup: &Summary, kind: BackupKind) -> bool {
    backup.kind == kind && name::kind_of(&backup.file) == Some(kind)
}

/// Removes the expired backups of the volume, unless another volume may be using the same instance id. Call this only after
/// a new backup was read back.
pub fn prune(volume: &Volume, key: &SecretKey, keep: Keep, now: jiff::Timestamp) -> Result<()> {
    let Some(instance) = Instance::load(volume)? else { return Ok(()) };
    volume.refuse_missing_backups()?;
    if refuse_removal(volume, key, instance.id, now)? {
        return Ok(());
    }
    if keep.scheduled.is_none() && keep.immediate.is_none() {
        return Ok(());
    }
    let mut listed = list(&volume.backups(), Some(key))?;
    let verifications = Verifications::load(volume)?;
    if let Some(keep) = keep.scheduled {
        prune_kind(volume, &listed, &verifications, instance.id, (BackupKind::Scheduled, keep), now)?;
        let newest_sound = newest_sound(&listed, &verifications, instance.id, now);
        prune_damaged(volume, key, &listed, newest_sound, (instance.id, keep))?;
    }
    if let Some(keep) = keep.immediate {
        let record = BackupRecord::load(volume, instance.id)?;
        let uploaded = |id| record.as_ref().and_then(|record| record.backups.get(&id)).is_some_and(|one| one.uploaded);
        listed.backups.retain(|backup| !uploaded(backup.id));
        prune_kind(volume, &listed, &verifications, instance.id, (BackupKind::Immediate, keep), now)?;
    }
    Ok(())
}

fn prune_kind(
    volume: &Volume,
    listed: &Listed,
    verifications: &Verifications,
    instance: Id,
    (kind, keep): (BackupKind, usize),
    now: jiff::Timestamp,
) -> Result<()> {
    let word = if kind == BackupKind::Scheduled { "scheduled" } else { "immediate" };
    for backup in expired(&listed.backups, verifications, instance, (kind, keep), now) {
        let why = match backup.soundness {
            _ if verifications.failed.contains_key(&backup.id) => {
                "it is damaged and a newer backup is sound".to_owned()
            }
            Some(Soundness::Sound) => format!("only the {keep} newest {word} backups are kept"),
            _ => format!("only {keep} {word} backups that are not sound are kept"),
        };
        remove(volume, &backup.file, keep, &why)?;
    }
    Ok(())
}

/// Removes the scheduled backups that cannot be read, once a backup of a later day is sound.
fn prune_damaged(
    volume: &Volume,
    key: &SecretKey,
    listed: &Listed,
    newest_sound: Option<jiff::Timestamp>,
    (instance, keep): (Id, usize),
) -> Result<()> {
    let Some(sound) = newest_sound else { return Ok(()) };
    for damaged in damaged(listed, instance, key.fingerprint()) {
        // The header may be damaged, too, but the name has the day.
        let file = &damaged.skipped.file;
        let is_older = name::day(file).is_some_and(|day| day < sound.strftime("%Y%m%d").to_string());
        if is_older && name::kind_of(file) == Some(BackupKind::Scheduled) {
            remove(volume, file, keep, "it is damaged and a newer backup is sound")?;
        }
    }
    Ok(())
}

fn remove(volume: &Volume, file: &Path, keep: usize, why: &str) -> Result<()> {
    durable::remove_file(file)?;
    record(volume, &Event::new(EventKind::BackupRemoved).about(file).with("Keep", keep));
    log::info!("removed {}, because {why}", file.display());
    Ok(())
}

/// Whether the volume has a sound backup of this instance, so that the state that restores replaced is dispensable. It has
/// none to rely on while another volume may be using the same instance id.
pub fn has_sound(volume: &Volume, key: &SecretKey, instance: Id, now: jiff::Timestamp) -> Result<bool> {
    volume.refuse_missing_backups()?;
    if Twins::find(volume, key, instance, now)?.is_some() {
        return Ok(false);
    }
    let listed = list(&volume.backups(), Some(key))?;
    Ok(newest_sound(&listed, &Verifications::load(volume)?, instance, now).is_some())
}

fn newest_sound(
    listed: &Listed,
    verifications: &Verifications,
    instance: Id,
    now: jiff::Timestamp,
) -> Option<jiff::Timestamp> {
    let is_sound = |backup: &&Summary| {
        backup.instance_id == Some(instance)
            && backup.soundness == Some(Soundness::Sound)
            && !verifications.failed.contains_key(&backup.id)
            && !is_in_the_future(backup.created, now)
    };
    listed.backups.iter().filter(is_sound).map(|backup| backup.created).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Id = Id([1; 16]);

    fn backup(day: i64, change: impl Fn(&mut Summary)) -> Summary {
        let mut backup = Summary {
            file: format!("seq_{day:08}.seqbac").into(),
            id: Id([9; 16]),
            created: jiff::Timestamp::from_second(day * 86_400).expect("a day"),
            kind: BackupKind::Scheduled,
            bytes: 1,
            verified: Some(true),
            key_fingerprint: Id([2; 16]),
            instance_id: Some(OURS),
            profile: None,
            quarantined: Some(false),
            suspect: Some(false),
            soundness: Some(Soundness::Sound),
            reasons: Vec::new(),
        };
        change(&mut backup);
        if backup.suspect == Some(true) {
            backup.soundness = Some(Soundness::Suspect);
        }
        backup
    }

    fn days(backups: &[Summary], keep: usize) -> Vec<i64> {
        let now = jiff::Timestamp::from_second(500 * 86_400).expect("a day");
        let verifications =
            Verifications { failed: [(Id([8; 16]), "rot".to_owned())].into(), ..Verifications::default() };
        expired(backups, &verifications, OURS, (BackupKind::Scheduled, keep), now)
            .iter()
            .map(|backup| backup.created.as_second() / 86_400)
            .collect()
    }

    #[test]
    fn the_newest_are_kept_however_far_apart() {
        let backups: Vec<_> = [3, 1, 400, 2, 30].into_iter().map(|day| backup(day, |_| ())).collect();
        assert_eq!(days(&backups, 3), [2, 1]);
        assert_eq!(days(&backups, 7), [0_i64; 0]);
        assert_eq!(days(&backups, 0), [30, 3, 2, 1], "never below one");
    }

    fn suspect(backup: &mut Summary) {
        backup.suspect = Some(true);
    }

    fn doubtful(backup: &mut Summary) {
        backup.soundness = Some(Soundness::Doubtful);
    }

    #[test]
    fn no_sound_one_expires_while_the_newest_is_suspect() {
        let mut backups = vec![backup(1, |_| ()), backup(2, |_| ()), backup(3, suspect), backup(4, suspect)];
        assert_eq!(days(&backups, 1), [0_i64; 0]);
        backups.push(backup(5, |_| ()));
        assert_eq!(days(&backups, 3), [0_i64; 0], "suspect backups do not count");
        assert_eq!(days(&backups, 1), [2, 1, 4, 3]);
        // An immediate backup with `--not-suspect`.
        backups.pop();
        backups.push(backup(5, |backup| backup.kind = BackupKind::Immediate));
        assert_eq!(days(&backups, 1), [1]);
    }

    #[test]
    fn retention_ends_where_no_backup_is_sound() {
        let backups: Vec<_> = (1..=30).map(|day| backup(day, doubtful)).collect();
        assert_eq!(days(&backups, 7), (2..=24).rev().collect::<Vec<_>>(), "the six newest and the oldest stay");
        assert_eq!(days(&backups, 1), (2..=29).rev().collect::<Vec<_>>());
        let mut backups: Vec<_> = (1..=30).map(|day| backup(day, suspect)).collect();
        backups[9] = backup(10, |_| ());
        let expired = days(&backups, 7);
        assert!(!expired.contains(&10) && expired.len() == 22, "the sound one stays: {expired:?}");
    }

    #[test]
    fn a_sound_backup_is_never_removed_for_a_doubtful_one() {
        let mut backups: Vec<_> = (1..=7).map(|day| backup(day, |_| ())).collect();
        backups.extend((8..=30).map(|day| backup(day, doubtful)));
        assert!(days(&backups, 7).iter().all(|day| *day > 7));
        assert_eq!(days(&backups, 7).len(), 16);
        backups.extend((31..=37).map(|day| backup(day, |_| ())));
        assert_eq!(days(&backups, 7).len(), 30, "seven newer sound ones end all of them");
    }

    #[test]
    fn only_scheduled_backups_of_this_instance_count_and_expire() {
        let mut backups = vec![backup(1, |_| ()), backup(2, |_| ())];
        backups.push(backup(3, |backup| backup.kind = BackupKind::Immediate));
        backups.push(backup(4, |backup| backup.instance_id = Some(Id([7; 16]))));
        backups.push(backup(6, |backup| backup.soundness = None));
        backups.push(backup(7, |backup| backup.id = Id([8; 16])));
        backups.push(backup(8, |backup| backup.file = "immediate-20260101T030000.000Z.seqbac".into()));
        backups.push(backup(501, |_| ()));
        assert_eq!(days(&backups, 2), [0_i64; 0], "a damaged one is kept until a newer one is sound");
        assert_eq!(days(&backups, 1), [1]);
        backups.push(backup(9, |_| ()));
        assert_eq!(days(&backups, 2), [1, 7]);
    }
}
