//! The scheduler: takes the daily backup, and verifies in full what is kept, every week.
//!
//! ```text
//! look: latest slot, newest backup, state, unfinished restore → a step → do it by a child → look again
//! ```
//! What to do next is decided by [`Decider`], from what is there and what time it is; here is only the doing. It wakes up
//! once a minute at least, because a clock may have been set. What the backup itself has to tell (complete, failed) is
//! recorded by the child that makes it; that there is none, here.

mod decide;
mod sight;
mod verification;

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

pub use self::{
    decide::{Decider, Step},
    sight::Sight,
};
use super::{Console, schedule::Schedule};
use engine::metastore;
use profile::duration;
use volume::{
    Instance, Settings,
    error::{Error, Result},
    events::{self, Event, Kind},
};

/// The setting that says when, as `api/settings` calls it.
pub const TIME_OF_DAY: &str = "BackupUtcTimeOfDay";

/// The variable with the longest that a slot may be late, so that many instances do not back up in the same second.
pub const JITTER: &str = "MOORLINE_BACKUP_JITTER";

/// The longest time without a look at the clock.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_mins(1);

/// Looked back in events to see whether a missed slot was told of already.
const TOLD: usize = 1;

/// Runs until it is dropped.
pub async fn run(console: Arc<Console>) {
    let mut changed = console.settings.subscribe();
    let mut decider = Decider::default();
    let mut schedule = Schedule::default();
    loop {
        let now = Timestamp::now();
        let step = if decider.may_rest(now, &schedule) {
            Step::Rest
        } else {
            changed.mark_unchanged();
            schedule = schedule_now(&console).await;
            let (back, step) = look(Arc::clone(&console), decider, schedule, now).await;
            decider = back;
            step
        };
        match step {
            Step::BackUp => back_up(&console, &mut decider).await,
            Step::Verify => verify(&console, &mut decider).await,
            Step::Missed { due, newest } => missed(&console, due, newest),
            Step::Rest => {
                let until = decider.next_look(now, &schedule).duration_since(now).min(LONGEST_SLEEP);
                let sleep = Duration::try_from(until).unwrap_or_default().max(Duration::from_secs(1));
                tokio::select! {
                    () = tokio::time::sleep(sleep) => {}
                    _ = changed.changed() => decider.look_again(),
                }
            }
        }
    }
}

/// When the next scheduled backup is due.
pub async fn next_run(console: &Console) -> Timestamp {
    schedule_now(console).await.next_slot(Timestamp::now())
}

/// The volume's schedule: what the environment says, else the setting, else 03:00; and its jitter.
pub async fn schedule_now(console: &Console) -> Schedule {
    schedule_of(console).await.unwrap_or_else(|error| {
        log::warn!("the daily backup is taken at 03:00 UTC: {error}");
        Schedule::default()
    })
}

async fn schedule_of(console: &Console) -> Result<Schedule> {
    let value = match console.fixed.get(TIME_OF_DAY) {
        Some(fixed) => Some(fixed.clone()),
        None => stored_time_of_day(console).await.or_else(|error| {
            log::warn!("the schedule is as it last was: {error}");
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
    let path = metastore::file(&console.volume);
    let text = console
        .database
        .call(move |connection| {
            metastore::setting(connection, TIME_OF_DAY).map_err(|cause| metastore::explain(&path, &cause))
        })
        .await?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn mirrored_time_of_day(console: &Console) -> Result<Option<Value>> {
    Ok(Settings::load(&console.volume)?.backup_utc_time_of_day.map(Value::String))
}

/// By how much the slot may be late.
///
/// # Errors
/// `Usage` where the setting is no duration.
pub fn jitter(console: &Console) -> Result<SignedDuration> {
    let Some(text) = console.environment.get(JITTER) else { return Ok(SignedDuration::ZERO) };
    let wrong = || Error::usage(format!("{JITTER} is {:?}: say a duration, such as 30m", text.display()));
    duration::parse_duration(text.to_str().ok_or_else(wrong)?).map_err(|_| wrong())
}

/// Files are looked at on a thread of their own: a volume may be a slow network's.
async fn look(console: Arc<Console>, mut decider: Decider, schedule: Schedule, now: Timestamp) -> (Decider, Step) {
    let fresh = Decider::default();
    let looked = tokio::task::spawn_blocking(move || {
        let step = decider.next(now, &schedule, || Sight::of(&console.volume, &console.profile, &console.key, now));
        let step = step.unwrap_or_else(|error| {
            log::warn!("it cannot be told whether a backup is due: {error}");
            Step::Rest
        });
        (decider, step)
    });
    looked.await.unwrap_or((fresh, Step::Rest))
}

async fn back_up(console: &Console, decider: &mut Decider) {
    let done = console.jobs.back_up(console, true).await;
    decider.backed_up(Timestamp::now(), done.is_ok());
    if let (Err(error), Some(again)) = (done, decider.retry_at()) {
        log::error!("the scheduled backup failed, and is tried again at {again:.0}: {error}");
    }
}

async fn verify(console: &Console, decider: &mut Decider) {
    let done = verification::run(console).await;
    decider.verified(Timestamp::now(), done.is_ok());
    if let Err(error) = done {
        log::warn!("what is kept was not verified, and is tried again in an hour: {error}");
    }
}

/// Tells of a slot without a backup, once, whatever restarts there are.
fn missed(console: &Console, due: Timestamp, newest: Option<Timestamp>) {
    let due = due.to_string();
    let same = |event: &events::Stored| {
        event.kind() == Kind::BackupMissed.name() && event.fields.get("Due").and_then(Value::as_str) == Some(&due)
    };
    if events::read_before(&console.volume, None, TOLD, &same).is_ok_and(|told| !told.is_empty()) {
        return;
    }
    let newest = newest.map_or_else(|| "never".to_owned(), |newest| newest.to_string());
    log::error!("no backup was made for {due}: the newest is of {newest}");
    events::record(&console.volume, &Event::new(Kind::BackupMissed).with("Due", due).with("Newest", newest));
}
