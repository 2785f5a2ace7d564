//! The state of the backups: `ok`, or `degraded` with reasons. It says nothing about the server, so orchestrators should
//! not restart anything because of it.
//!
//! | degraded | warning only |
//! | --- | --- |
//! | the newest verified backup is older than 26 h, and the volume has state | the secret key is not confirmed as saved elsewhere |
//! | the last scheduled backup failed | apps are in quarantine, because a user restored a copy |
//! | a kept backup is damaged | a file in `Backups/` is not a backup |
//! | the newest backup is doubtful or suspect | |
//! | a restore is unfinished | |
//! | another volume may be taking backups with the same instance id | |
//! | `after` of a capture has not succeeded | |
//! | the configured folder for backups is missing | |
//! | the metastore cannot be read | |

use std::{path::PathBuf, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::{Console, blocking, scheduler};
use engine::{
    backup::{self, Listed, Soundness, Summary, Twins, Verifications},
    metastore,
    quarantine::QuarantineRecord,
};
use seqbac_header::Id;
use volume::backups::is_in_the_future;
use volume::{
    Instance,
    error::{Code, Result},
    events::{self, Kind, Stored},
};

/// A day, and two hours for taking the backup.
const OLDEST: SignedDuration = SignedDuration::from_hours(26);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Health {
    /// Reasons; empty if the state is `ok`.
    pub degraded: Vec<String>,
    pub warnings: Vec<String>,
    /// The newest verified backup of this instance.
    pub newest: Option<Newest>,
    pub age_seconds: Option<i64>,
    /// How far the newest backup of this instance can be relied on, sound or not.
    pub soundness: Option<Soundness>,
    /// The number of scheduled backups of this instance.
    pub scheduled_kept: usize,
    /// The number of immediate backups of this instance.
    pub immediate_kept: usize,
    /// The number of damaged backups of this instance.
    pub damaged: usize,
    /// The time of the last full verification of all backups.
    pub verified_at: Option<Timestamp>,
    pub last_result: Option<LastResult>,
    /// The number of apps in quarantine.
    pub quarantined: usize,
    /// The time of the next scheduled backup.
    pub next_run: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newest {
    pub filename: PathBuf,
    pub created_at: Timestamp,
    pub file_size_bytes: u64,
}

/// The outcome of the last backup.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastResult {
    pub at: Timestamp,
    /// `None` if it succeeded.
    pub error: Option<String>,
    /// `None` if it failed.
    pub elapsed_seconds: Option<f64>,
}

impl Health {
    /// `ok` or `degraded`.
    pub(crate) const fn status(&self) -> &'static str {
        if self.degraded.is_empty() { "ok" } else { "degraded" }
    }
}

/// Checks the backups. Fails with `TryAgain` whatever the cause, because an unreadable volume is not a bug of the console.
pub(crate) async fn check(console: &Arc<Console>) -> Result<Health> {
    let key_is_saved = key_is_saved(console).await;
    let next_run = scheduler::next_run(console).await;
    let console = Arc::clone(console);
    let collected = blocking(move || Facts::collect(&console, Timestamp::now(), next_run, key_is_saved)).await;
    Ok(collected.map_err(|error| error.with_code(Code::TryAgain))?.evaluate())
}

async fn key_is_saved(console: &Console) -> Result<bool> {
    let value = console.database.read(|connection| metastore::setting(connection, "SecretKeyIsBackedUp")).await?;
    Ok(value.is_some_and(|value| value == "true"))
}

/// The input of the evaluation, read from the volume.
#[derive(Debug, Clone)]
struct Facts {
    now: Timestamp,
    next_run: Timestamp,
    /// The error if the metastore cannot be read.
    key_is_saved: Result<bool>,
    has_state: bool,
    unfinished: bool,
    /// Captures whose `after` is due.
    captures: Vec<backup::Unfinished>,
    instance: Option<Instance>,
    key: Id,
    /// Why the folder for backups cannot be used.
    no_folder: Option<String>,
    listed: Listed,
    /// The number of skipped files that are damaged backups of this instance.
    skipped_damaged: usize,
    verifications: Verifications,
    /// The signs of another volume with the same instance id.
    twins: Option<String>,
    last: Option<Stored>,
    quarantined: usize,
}

impl Facts {
    fn collect(console: &Console, now: Timestamp, next_run: Timestamp, key_is_saved: Result<bool>) -> Result<Self> {
        let volume = &console.volume;
        let sight = scheduler::Observation::of(volume, &console.profile, &console.key, now)?;
        let (instance, key) = (Instance::load(volume)?, console.key.fingerprint());
        let listed = backup::list_volume(volume, Some(&console.key))?;
        let damaged = instance.as_ref().map(|instance| backup::damaged(&listed, instance.id, key).count());
        let twins = match &instance {
            Some(instance) => Twins::find(volume, &console.key, instance.id, now)?.map(|twins| twins.in_words()),
            None => None,
        };
        Ok(Self {
            now,
            next_run,
            key_is_saved,
            has_state: sight.has_state,
            unfinished: sight.unfinished,
            captures: backup::unfinished_captures(volume)?,
            skipped_damaged: damaged.unwrap_or(0),
            instance,
            key,
            no_folder: volume.refuse_missing_backups().err().map(|error| error.message().to_owned()),
            listed,
            verifications: Verifications::load(volume)?,
            twins,
            last: events::read_before(volume, None, 1, &is_result)?.into_iter().next(),
            quarantined: QuarantineRecord::load(volume)?.map_or(0, |memory| memory.apps().count()),
        })
    }

    fn evaluate(&self) -> Health {
        let ours: Vec<&Summary> = self.ours().collect();
        let is_damaged = |one: &&&Summary| self.verifications.failed.contains_key(&one.id);
        let damaged = ours.iter().filter(is_damaged).count() + self.skipped_damaged;
        let sound = ours.iter().filter(|one| one.verified == Some(true) && !is_damaged(one));
        let newest = sound.filter(|one| !is_in_the_future(one.created, self.now)).max_by_key(|one| one.created);
        let age = newest.map(|newest| self.now.duration_since(newest.created));
        let last_result = self.last.as_ref().and_then(last_result);
        let of_kind = |kind| ours.iter().filter(|one| one.kind == kind).count();
        Health {
            degraded: self.reasons(age, damaged, last_result.as_ref()),
            warnings: self.warnings(),
            newest: newest.map(|newest| Newest {
                filename: newest.file.file_name().map(PathBuf::from).unwrap_or_default(),
                created_at: newest.created,
                file_size_bytes: newest.bytes,
            }),
            age_seconds: age.map(|age| age.as_secs().max(0)),
            soundness: self.newest().and_then(|newest| self.soundness(newest)),
            scheduled_kept: of_kind(backup::BackupKind::Scheduled),
            immediate_kept: of_kind(backup::BackupKind::Immediate),
            damaged,
            verified_at: self.verifications.at,
            last_result,
            quarantined: self.quarantined,
            next_run: self.next_run,
        }
    }

    fn ours(&self) -> impl Iterator<Item = &Summary> {
        let id = self.instance.as_ref().map(|instance| instance.id);
        let ours = move |one: &&Summary| one.instance_id == id && one.key_fingerprint == self.key;
        self.listed.backups.iter().filter(ours)
    }

    fn newest(&self) -> Option<&Summary> {
        self.ours().filter(|one| !is_in_the_future(one.created, self.now)).max_by_key(|one| one.created)
    }

    /// Also by the last verification.
    fn soundness(&self, backup: &Summary) -> Option<Soundness> {
        match self.verifications.failed.contains_key(&backup.id) {
            true => Some(Soundness::Damaged),
            false => backup.soundness,
        }
    }

    fn reasons(&self, age: Option<SignedDuration>, damaged: usize, last: Option<&LastResult>) -> Vec<String> {
        let mut reasons: Vec<String> = self.no_folder.iter().cloned().collect();
        // A new volume has the same time for its first backup.
        let since = self.instance.as_ref().map(|instance| self.now.duration_since(instance.created));
        match age.or(since) {
            Some(time) if self.has_state && time > OLDEST => reasons.push(match age {
                Some(age) => format!("the newest verified backup is {} hours old", age.as_hours()),
                None => "no verified backup exists".to_owned(),
            }),
            _ => {}
        }
        if let Some(error) = last.and_then(|last| last.error.as_ref()) {
            reasons.push(format!("the last backup failed: {error}"));
        }
        let reason = |newest: &Summary| newest.reasons.first().cloned().unwrap_or_default();
        match self.newest().map(|newest| (newest, newest.soundness)) {
            Some((newest, Some(Soundness::Suspect))) => {
                let why = reason(newest);
                reasons.push(format!("the newest backup is suspect: {why}; see `moorline backup --not-suspect`"));
            }
            Some((newest, Some(Soundness::Doubtful))) => {
                reasons.push(format!("the newest backup is doubtful: {}", reason(newest)));
            }
            _ => {}
        }
        if damaged > 0 {
            reasons.push(count(damaged, "kept backup is damaged", "kept backups are damaged"));
        }
        if let Some(twins) = &self.twins {
            reasons.push(format!("no backup is removed: {twins}; see `moorline instance show`"));
        }
        if let Err(error) = &self.key_is_saved {
            reasons.push(error.message().to_owned());
        }
        for capture in &self.captures {
            reasons.push(format!(
                "`after` of the capture {:?} has not succeeded since {:.0}; it is tried again every minute",
                capture.name, capture.since
            ));
        }
        if self.unfinished {
            reasons.push("a restore is unfinished: restart the container to finish it".to_owned());
        }
        reasons
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if matches!(self.key_is_saved, Ok(false)) {
            warnings.push("the secret key has not been confirmed as saved elsewhere".to_owned());
        }
        if self.quarantined > 0 {
            warnings.push(count(self.quarantined, "app is in quarantine", "apps are in quarantine"));
        }
        let others = self.listed.skipped.len().saturating_sub(self.skipped_damaged);
        if others > 0 {
            let (one, many) =
                ("file has the name of a backup but is not one", "files have names of backups but are none");
            warnings.push(count(others, one, many));
        }
        warnings
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A kept backup, or a failed scheduled one. Failed immediate backups do not count, because a user saw the error.
fn is_result(event: &Stored) -> bool {
    let of_person = event.fields.get("Kind").is_some_and(|kind| kind == "immediate");
    is_kept(event) || (event.kind() == Kind::BackupFailed.name() && !of_person)
}

/// Whether the event reports a backup that was taken and kept.
pub(super) fn is_kept(event: &Stored) -> bool {
    event.kind() == Kind::BackupComplete.name()
}

fn last_result(event: &Stored) -> Option<LastResult> {
    let failed = event.kind() == Kind::BackupFailed.name();
    let error = event.fields.get("Error").and_then(serde_json::Value::as_str).unwrap_or("unknown reason");
    Some(LastResult {
        at: event.at()?,
        error: failed.then(|| error.to_owned()),
        elapsed_seconds: event.fields.get("ElapsedSeconds").and_then(serde_json::Value::as_f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn instance(created: &str) -> Instance {
        let mut instance = Instance::new().expect("an instance");
        (instance.id, instance.created) = (Id([1; 16]), at(created));
        instance
    }

    fn facts() -> Facts {
        Facts {
            now: at("2026-03-10T12:00:00Z"),
            next_run: at("2026-03-11T03:00:00Z"),
            key_is_saved: Ok(true),
            has_state: true,
            unfinished: false,
            captures: Vec::new(),
            instance: Some(instance("2026-01-01T00:00:00Z")),
            key: Id([2; 16]),
            no_folder: None,
            listed: Listed { backups: vec![made("2026-03-10T03:00:00Z")], skipped: Vec::new() },
            skipped_damaged: 0,
            verifications: Verifications::default(),
            twins: None,
            last: None,
            quarantined: 0,
        }
    }

    fn made(created: &str) -> Summary {
        Summary {
            file: "/data/Backups/seq_20260310.seqbac".into(),
            id: Id([3; 16]),
            created: at(created),
            kind: backup::BackupKind::Scheduled,
            bytes: 10,
            verified: Some(true),
            key_fingerprint: Id([2; 16]),
            instance_id: Some(Id([1; 16])),
            profile: None,
            quarantined: None,
            suspect: None,
            soundness: Some(Soundness::Sound),
            reasons: Vec::new(),
        }
    }

    fn event(kind: &str) -> Stored {
        let event =
            serde_json::json!({"@t": "2026-03-10T03:00:00Z", "@i": kind, "Error": "disk full", "FileName": "a"});
        let fields = event.as_object().cloned().expect("an object");
        Stored { position: events::EventPosition { day: "20260310".to_owned(), offset: 0 }, fields }
    }

    #[test]
    fn a_verified_backup_of_today_is_ok() {
        let health = facts().evaluate();
        assert_eq!((health.status(), health.age_seconds, health.scheduled_kept), ("ok", Some(9 * 3600), 1));
        assert_eq!(health.newest.expect("a backup").filename, PathBuf::from("seq_20260310.seqbac"));
        assert!(health.warnings.is_empty());
    }

    #[test]
    fn each_reason_is_reported() {
        let with = |change: &dyn Fn(&mut Facts)| {
            let mut facts = facts();
            change(&mut facts);
            facts.evaluate().degraded.join("; ")
        };
        assert_eq!(with(&|facts| facts.no_folder = Some("it is not mounted".to_owned())), "it is not mounted");
        let old = |facts: &mut Facts| facts.listed.backups = vec![made("2026-03-09T09:59:00Z")];
        assert_eq!(with(&old), "the newest verified backup is 26 hours old");
        let limit = |facts: &mut Facts| facts.listed.backups = vec![made("2026-03-09T10:00:00Z")];
        assert_eq!(with(&limit), "");
        let unverified = |facts: &mut Facts| facts.listed.backups[0].verified = Some(false);
        assert_eq!(with(&unverified), "no verified backup exists");
        let foreign = |facts: &mut Facts| facts.listed.backups[0].instance_id = Some(Id([7; 16]));
        assert_eq!(with(&foreign), "no verified backup exists");
        let future = |facts: &mut Facts| facts.listed.backups = vec![made("2027-01-01T00:00:00Z")];
        assert_eq!(with(&future), "no verified backup exists");
        assert!(
            with(&|facts| drop(facts.verifications.failed.insert(Id([3; 16]), "rot".to_owned())))
                .contains("1 kept backup is damaged")
        );
        assert_eq!(with(&|facts| facts.last = Some(event("BackupFailed"))), "the last backup failed: disk full");
        assert_eq!(with(&|facts| facts.last = Some(event("BackupComplete"))), "");
        for (soundness, word) in [(Soundness::Suspect, "is suspect: a.db"), (Soundness::Doubtful, "is doubtful: a.db")]
        {
            let degraded = with(&|facts| {
                let newest = &mut facts.listed.backups[0];
                (newest.soundness, newest.reasons) = (Some(soundness), vec!["a.db".to_owned()]);
            });
            assert!(degraded.contains(word), "{degraded}");
        }
        let unreadable =
            |facts: &mut Facts| facts.key_is_saved = Err(volume::error::Error::new(Code::TryAgain, "no metastore"));
        assert_eq!(with(&unreadable), "no metastore");
        assert!(with(&|facts| facts.unfinished = true).contains("unfinished"));
    }

    #[test]
    fn a_new_volume_and_a_volume_without_state_may_have_no_backup() {
        let mut facts = facts();
        facts.listed.backups.clear();
        facts.instance = Some(instance("2026-03-10T00:00:00Z"));
        assert_eq!(facts.evaluate().status(), "ok");
        facts.instance = Some(instance("2026-01-01T00:00:00Z"));
        assert_eq!(facts.evaluate().status(), "degraded");
        facts.has_state = false;
        assert_eq!(facts.evaluate().status(), "ok");
    }

    #[test]
    fn quarantine_and_an_unconfirmed_secret_key_are_warnings() {
        let mut facts = facts();
        (facts.quarantined, facts.key_is_saved) = (2, Ok(false));
        let health = facts.evaluate();
        assert_eq!((health.status(), health.warnings.len(), health.quarantined), ("ok", 2, 2));
    }
}
