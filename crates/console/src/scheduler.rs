//! The scheduler: takes the daily backup, and verifies all kept backups in full every week.
//!
//! ```text
//! observe: latest slot, newest backup, state, unfinished restore → next step → child process → observe again
//! ```
//! [`Decider`] chooses the next step from an observation and the time; this module executes it. The loop wakes up at
//! least once a minute, because the clock may have been set. The child process that takes a backup records the events
//! `BackupComplete` and `BackupFailed`; this module records `BackupMissed`.

mod decide;
mod observation;
mod verification;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use self::{
    decide::{Decider, Step},
    observation::Observation,
};
use super::{Console, schedule::Schedule};
use engine::{backup, metastore};
use profile::duration;
use volume::{
    Instance, Settings,
    error::{Error, Result},
    events::{self, Event, Kind},
};

/// The name of the setting in `api/settings`.
const TIME_OF_DAY: &str = "BackupUtcTimeOfDay";

/// The maximum delay of a slot, so that many instances do not back up in the same second.
const JITTER: &str = "MOORLINE_BACKUP_JITTER";

/// The clock is read at least this often.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_mins(1);

/// Runs until it is dropped.
pub(crate) async fn run(console: Arc<Console>) {
    let mut changed = console.settings.subscribe();
    let mut decider = Decider::default();
    let mut schedule = Schedule::default();
    loop {
        finish_captures(&console).await;
        let now = Timestamp::now();
        let step = if decider.may_rest(now, &schedule) {
            Step::Rest
        } else {
            changed.mark_unchanged();
            schedule = schedule_now(&console).await;
            let (returned, step) = next_step(Arc::clone(&console), decider, schedule, now).await;
            decider = returned;
            step
        };
        match step {
            Step::BackUp => back_up(&console, &mut decider).await,
            Step::Verify => verify(&console, &mut decider).await,
            Step::Missed { due, newest } => report_missed(&console, due, newest),
            Step::Rest => {
                let until = decider.next_observation(now, &schedule).duration_since(now).min(LONGEST_SLEEP);
                let sleep = Duration::try_from(until).unwrap_or_default().max(Duration::from_secs(1));
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    _ = changed.changed() => decider.forget_observation(),
                }
            }
        }
    }
}

/// When the next scheduled backup is due.
pub(crate) async fn next_run(console: &Console) -> Timestamp {
    schedule_now(console).await.next_slot(Timestamp::now())
}

async fn schedule_now(console: &Console) -> Schedule {
    schedule_of(console).await.unwrap_or_else(|error| {
        log::warn!("cannot determine the schedule, using 03:00 UTC: {error}");
        Schedule::default()
    })
}

/// The time of day comes from the environment, else from the setting, else it is 03:00.
async fn schedule_of(console: &Console) -> Result<Schedule> {
    let value = match console.fixed.get(TIME_OF_DAY) {
        Some(fixed) => Some(fixed.clone()),
        None => stored_time_of_day(console).await.or_else(|error| {
            log::warn!("cannot read the schedule from the metastore, using its copy in settings.json: {error}");
            mirrored_time_of_day(console)
        })?,
    };
    let schedule = match value.as_ref().and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|error: Error| error.context(TIME_OF_DAY))?,
        None => Schedule::default(),
    };
    let jitter = jitter(console)?;
    let instance = Instance::load(&console.volume)?;
    Ok(instance.map_or(schedule, |instance| schedule.with_jitter(jitter, instance.id)))
}

async fn stored_time_of_day(console: &Console) -> Result<Option<Value>> {
    let text = console.database.read(|connection| metastore::setting(connection, TIME_OF_DAY)).await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn mirrored_time_of_day(console: &Console) -> Result<Option<Value>> {
    Ok(Settings::load(&console.volume)?.backup_utc_time_of_day.map(Value::String))
}

fn jitter(console: &Console) -> Result<SignedDuration> {
    let Some(text) = console.environment.get(JITTER) else { return Ok(SignedDuration::ZERO) };
    let wrong =
        || Error::usage(format!("{JITTER}={:?} is not a duration", text.display())).hint("set a duration such as 30m");
    duration::parse_duration(text.to_str().ok_or_else(wrong)?).map_err(|_| wrong())
}

/// Observes the volume on a blocking thread, because it may be on a slow network.
async fn next_step(console: Arc<Console>, mut decider: Decider, schedule: Schedule, now: Timestamp) -> (Decider, Step) {
    let fresh = Decider::default();
    let decided = tokio::task::spawn_blocking(move || {
        let observe = || Observation::of(&console.volume, &console.profile, &console.key, now);
        let step = decider.next(now, &schedule, observe).unwrap_or_else(|error| {
            log::warn!("cannot determine whether a backup is due: {error}");
            Step::Rest
        });
        (decider, step)
    });
    decided.await.unwrap_or((fresh, Step::Rest))
}

async fn back_up(console: &Console, decider: &mut Decider) {
    let done = console.jobs.back_up(console, true).await;
    decider.backed_up(Timestamp::now(), done.is_ok());
    if let (Err(error), Some(again)) = (done, decider.retry_at()) {
        log::error!("the scheduled backup failed, next attempt at {again:.0}: {error}");
    }
}

/// Runs `after` of captures whose backup and whose guard have died, until it succeeds.
async fn finish_captures(console: &Arc<Console>) {
    let volume = console.volume.clone();
    let due = tokio::task::spawn_blocking(move || backup::unfinished_captures(&volume)).await;
    if !matches!(due, Ok(Ok(due)) if !due.is_empty()) {
        return;
    }
    if let Err(error) = console.jobs.command(console, &["finish-captures", "--json"]).await {
        log::warn!("cannot undo what a capture has done, next attempt in a minute: {error}");
    }
}

async fn verify(console: &Console, decider: &mut Decider) {
    let done = verification::run(console).await;
    decider.verified(Timestamp::now(), done.is_ok());
    if let Err(error) = done {
        log::warn!("the weekly verification of the kept backups failed, next attempt in an hour: {error}");
    }
}

/// Records that a slot has no backup, once per slot, even if the console is restarted in between.
fn report_missed(console: &Console, due: Timestamp, newest: Option<Timestamp>) {
    let due = due.to_string();
    let same = |event: &events::Stored| {
        event.kind() == Kind::BackupMissed.name() && event.fields.get("Due").and_then(Value::as_str) == Some(&due)
    };
    if events::read_before(&console.volume, None, 1, &same).is_ok_and(|recorded| !recorded.is_empty()) {
        return;
    }
    let newest = newest.map_or_else(|| "never".to_owned(), |newest| newest.to_string());
    log::error!("the backup that was due at {due} was not taken; newest backup: {newest}");
    events::record(&console.volume, &Event::new(Kind::BackupMissed).with("Due", due).with("Newest", newest));
}
