//! The backup calendar: the outcome of each of the last 90 days, from the kept files and the events.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{Console, health::is_kept, schedule::days_back};
use engine::backup;
use volume::backups::is_in_the_future;
use volume::{
    Instance,
    error::{Code, Error, Result},
    events::{self, Kind, Stored},
};

const DAYS: usize = 90;

/// Limit on the events that are read. A day on which every attempt fails has a few hundred.
const MOST_EVENTS: usize = 20_000;

/// Ordered from best to worst, because a day shows the best of its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// At least one backup completed.
    Complete,
    /// Every attempt failed.
    Failed,
    /// A backup was due, but the console recorded no attempt.
    Missed,
    /// The day left no record: no backup was due, or the console was not running.
    None,
}

/// A day in UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Day {
    pub date: Date,
    pub outcome: Outcome,
    /// Names of the kept backup files that were created on this day.
    pub files: Vec<String>,
    /// Number of failed attempts.
    pub failures: usize,
}

impl Day {
    fn add(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.min(outcome);
    }
}

/// Returns the last 90 days, oldest first. The last entry is today.
pub(crate) async fn of(console: &Arc<Console>) -> Result<Vec<Day>> {
    let console = Arc::clone(console);
    let read = tokio::task::spawn_blocking(move || read_days(&console, Timestamp::now()));
    read.await.map_err(|_| Error::new(Code::TryAgain, "the console is stopping"))?
}

fn read_days(console: &Console, now: Timestamp) -> Result<Vec<Day>> {
    let volume = &console.volume;
    let instance = Instance::load(volume)?.map(|instance| instance.id);
    let listed = backup::list_volume(volume, None)?.backups;
    let ours = listed.iter().filter(|one| one.instance_id == instance && !is_in_the_future(one.created, now));
    let files = ours.filter_map(|one| Some((one.created, one.file.file_name()?.to_string_lossy().into_owned())));
    let kinds = [Kind::BackupFailed, Kind::BackupMissed].map(Kind::name);
    let about = |event: &Stored| is_kept(event) || kinds.contains(&event.kind());
    Ok(days(now, files, &events::read_before(volume, None, MOST_EVENTS, &about)?))
}

fn days(now: Timestamp, files: impl Iterator<Item = (Timestamp, String)>, events: &[Stored]) -> Vec<Day> {
    let day_of = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    let empty = |date| (date, Day { date, outcome: Outcome::None, files: Vec::new(), failures: 0 });
    let mut days: BTreeMap<Date, Day> = days_back(day_of(now)).take(DAYS).map(empty).collect();
    for (created, file) in files {
        if let Some(day) = days.get_mut(&day_of(created)) {
            day.add(Outcome::Complete);
            day.files.push(file);
        }
    }
    for event in events {
        let missed = event.kind() == Kind::BackupMissed.name();
        let due = || event.fields.get("Due").and_then(Value::as_str)?.parse().ok();
        let at = if missed { due() } else { event.at() };
        let Some(day) = at.and_then(|at| days.get_mut(&day_of(at))) else { continue };
        match event.kind() {
            _ if missed => day.add(Outcome::Missed),
            _ if is_kept(event) => day.add(Outcome::Complete),
            _ => {
                day.add(Outcome::Failed);
                day.failures += 1;
            }
        }
    }
    days.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: &str, kind: &str) -> Stored {
        let event = serde_json::json!({"@t": at, "@i": kind, "Due": "2026-03-07T03:00:00Z", "FileName": "a"});
        let fields = event.as_object().cloned().expect("an object");
        Stored { position: events::EventPosition { day: "20260310".to_owned(), offset: 0 }, fields }
    }

    #[test]
    fn a_day_shows_its_best_outcome() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let files = [
            (at("2026-03-10T03:00:00Z"), "seq_20260310.seqbac".to_owned()),
            (at("2020-01-01T00:00:00Z"), "old".to_owned()),
        ];
        let events = [
            event("2026-03-10T02:00:00Z", "BackupFailed"),
            event("2026-03-09T23:59:59Z", "BackupFailed"),
            event("2026-03-09T03:05:00Z", "BackupFailed"),
            event("2026-03-08T03:00:00Z", "BackupComplete"),
            event("2026-03-08T05:00:00Z", "BackupMissed"),
        ];
        let days = days(at("2026-03-10T12:00:00Z"), files.into_iter(), &events);
        assert_eq!(days.len(), DAYS);
        let last: Vec<_> = days[DAYS - 5..].iter().map(|day| (day.outcome, day.failures)).collect();
        let expected = [
            (Outcome::None, 0),
            (Outcome::Missed, 0),
            (Outcome::Complete, 0),
            (Outcome::Failed, 2),
            (Outcome::Complete, 1),
        ];
        assert_eq!(last, expected);
        assert_eq!(days[DAYS - 1].files, ["seq_20260310.seqbac"]);
        assert_eq!(days[0].date.to_string(), "2025-12-11");
    }
}
