//! Retention: selects and removes expired scheduled backups.

use super::{BackupKind, Verifications, catalog::Summary, list, name};
use crate::prelude::*;
use volume::{
    Instance,
    backups::is_in_the_future,
    events::{Event, Kind as EventKind, record},
};

/// Selects the expired backups: scheduled ones of this instance that are older than its `keep` newest sound ones.
///
/// Some backups neither count nor expire:
///
/// - immediate backups, and files that do not have the name of a scheduled backup, because a user uploaded or renamed
///   them
/// - backups of other instances or with other keys
/// - backups from the future, as seen at `now`, because a wrong clock must not expire the new backup
/// - backups that are not verified, or failed a later verification
///
/// Suspect backups do not count, but expire with older ones. While the newest backup is suspect, none expires.
#[must_use]
fn expired<'a>(
    backups: &'a [Summary],
    verifications: &Verifications,
    instance: Id,
    keep: usize,
    now: jiff::Timestamp,
) -> Vec<&'a Summary> {
    let ours = |backup: &&Summary| {
        backup.instance_id == Some(instance)
            && backup.verified == Some(true)
            && !verifications.failed.contains_key(&backup.id)
            && !is_in_the_future(backup.created, now)
    };
    let is_suspect = |backup: &&Summary| backup.suspect == Some(true);
    if backups.iter().filter(ours).max_by_key(|backup| backup.created).as_ref().is_some_and(is_suspect) {
        return Vec::new();
    }
    let scheduled = backups.iter().filter(ours).filter(|backup| is_scheduled(backup));
    let (suspect, mut counted): (Vec<_>, Vec<_>) = scheduled.partition(is_suspect);
    counted.sort_by_key(|backup| std::cmp::Reverse(backup.created));
    let mut expired = counted.split_off(keep.max(1).min(counted.len()));
    // Suspect backups expire if they are older than every backup that is kept.
    let oldest = counted.last().filter(|_| counted.len() >= keep.max(1)).map(|backup| backup.created);
    expired.extend(suspect.into_iter().filter(|backup| oldest.is_some_and(|oldest| backup.created < oldest)));
    expired
}

/// Checks the manifest and the name, because an upload can have the manifest of a scheduled backup and the name of an
/// immediate one.
fn is_scheduled(backup: &Summary) -> bool {
    backup.kind == BackupKind::Scheduled && name::kind_of(&backup.file) == Some(BackupKind::Scheduled)
}

/// Removes the expired backups of the volume. Call this only after a new backup was verified.
pub fn prune(volume: &Volume, key: &SecretKey, keep: usize, now: jiff::Timestamp) -> Result<()> {
    let Some(instance) = Instance::load(volume)? else { return Ok(()) };
    volume.refuse_missing_backups()?;
    let listed = list(&volume.backups(), Some(key))?;
    let verifications = Verifications::load(volume)?;
    for backup in expired(&listed.backups, &verifications, instance.id, keep, now) {
        durable::remove_file(&backup.file)?;
        record(volume, &Event::new(EventKind::BackupRemoved).about(&backup.file).with("Keep", keep));
        log::info!("removed {}, because only the {keep} newest scheduled backups are kept", backup.file.display());
    }
    Ok(())
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
        };
        change(&mut backup);
        backup
    }

    fn days(backups: &[Summary], keep: usize) -> Vec<i64> {
        let now = jiff::Timestamp::from_second(500 * 86_400).expect("a day");
        let verifications =
            Verifications { failed: [(Id([8; 16]), "rot".to_owned())].into(), ..Verifications::default() };
        expired(backups, &verifications, OURS, keep, now)
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

    #[test]
    fn nothing_expires_while_the_newest_is_suspect() {
        let suspect = |backup: &mut Summary| backup.suspect = Some(true);
        let mut backups = vec![backup(1, |_| ()), backup(2, |_| ()), backup(3, suspect), backup(4, suspect)];
        assert_eq!(days(&backups, 1), [0_i64; 0]);
        backups.push(backup(5, |_| ()));
        assert_eq!(days(&backups, 3), [0_i64; 0], "suspect backups do not count");
        assert_eq!(days(&backups, 1), [2, 1, 3, 4]);
        // An immediate backup with `--not-suspect`.
        backups.pop();
        backups.push(backup(5, |backup| backup.kind = BackupKind::Immediate));
        assert_eq!(days(&backups, 1), [1]);
    }

    #[test]
    fn only_sound_scheduled_backups_of_this_instance_count_and_expire() {
        let mut backups = vec![backup(1, |_| ()), backup(2, |_| ())];
        backups.push(backup(3, |backup| backup.kind = BackupKind::Immediate));
        backups.push(backup(4, |backup| backup.instance_id = Some(Id([7; 16]))));
        backups.push(backup(5, |backup| backup.verified = Some(false)));
        backups.push(backup(6, |backup| backup.verified = None));
        backups.push(backup(7, |backup| backup.id = Id([8; 16])));
        backups.push(backup(8, |backup| backup.file = "immediate-20260101T030000.000Z.seqbac".into()));
        backups.push(backup(501, |_| ()));
        assert_eq!(days(&backups, 2), [0_i64; 0]);
        assert_eq!(days(&backups, 1), [1]);
    }
}
