//! The backup calendar: the outcome of each of the last 90 days, from the kept files and the events.

use std::{collections::BTreeMap, sync::Arc};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{Console, blocking, health::is_kept, schedule::days_back};
use engine::backup;
use volume::backups::is_in_the_future;
use volume::{
    Instance,
    error::Result,
    events::{self, Kind, Stored},
};

const DAYS: usize = 90;

/// Limit on the events that are read. A day on which every attempt fails has a few hundred.
const MOST_EVENTS: usize = 20_000;

/// Ordered from best to worst, because a day shows the best of its outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Complete,
    Failed,
    /// A backup was due, but the console recorded no attempt.
    Missed,
    /// The day left no record: no backup was due, or the console was not running.
    None,
}

/// The outcomes of the last 90 days in UTC, including today.
pub(crate) async fn of(console: &Arc<Console>) -> Result<BTreeMap<Date, Outcome>> {
    let console = Arc::clone(console);
    blocking(move || read_days(&console, Timestamp::now())).await
}

fn read_days(console: &Console, now: Timestamp) -> Result<BTreeMap<Date, Outcome>> {
    let volume = &console.volume;
    let instance = Instance::load(volume)?.map(|instance| instance.id);
    let listed = backup::list_volume(volume, None)?.backups;
    let ours = listed.iter().filter(|one| one.instance_id == instance && !is_in_the_future(one.created, now));
    let kinds = [Kind::BackupFailed, Kind::BackupMissed].map(Kind::name);
    let about = |event: &Stored| is_kept(event) || kinds.contains(&event.kind());
    let events = events::read_before(volume, None, MOST_EVENTS, &about)?;
    Ok(outcomes(now, ours.map(|one| one.created), &events))
}

/// `kept` are the times of the kept backups.
fn outcomes(now: Timestamp, kept: impl Iterator<Item = Timestamp>, events: &[Stored]) -> BTreeMap<Date, Outcome> {
    let day_of = |at: Timestamp| TimeZone::UTC.to_datetime(at).date();
    let mut days: BTreeMap<Date, Outcome> =
        days_back(day_of(now)).take(DAYS).map(|date| (date, Outcome::None)).collect();
    let of_events = events.iter().filter_map(|event| {
        let due = || event.fields.get("Due").and_then(Value::as_str)?.parse().ok();
        match event.kind() {
            kind if kind == Kind::BackupMissed.name() => Some((due()?, Outcome::Missed)),
            _ if is_kept(event) => Some((event.at()?, Outcome::Complete)),
            _ => Some((event.at()?, Outcome::Failed)),
        }
    });
    for (at, outcome) in kept.map(|at| (at, Outcome::Complete)).chain(of_events) {
        if let Some(day) = days.get_mut(&day_of(at)) {
            *day = outcome.min(*day);
        }
    }
    days
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
        let kept = [at("2026-03-10T03:00:00Z"), at("2020-01-01T00:00:00Z")];
        let events = [
            event("2026-03-10T02:00:00Z", "BackupFailed"),
            event("2026-03-09T23:59:59Z", "BackupFailed"),
            event("2026-03-09T03:05:00Z", "BackupFailed"),
            event("2026-03-08T03:00:00Z", "BackupComplete"),
            event("2026-03-08T05:00:00Z", "BackupMissed"),
        ];
        let days = outcomes(at("2026-03-10T12:00:00Z"), kept.into_iter(), &events);
        assert_eq!(days.len(), DAYS);
        let last: Vec<_> = days.values().skip(DAYS - 5).copied().collect();
        let expected = [Outcome::None, Outcome::Missed, Outcome::Complete, Outcome::Failed, Outcome::Complete];
        assert_eq!(last, expected);
        let ends = [days.keys().next(), days.keys().last()].map(|date| date.map(Date::to_string));
        assert_eq!(ends, [Some("2025-12-11".to_owned()), Some("2026-03-10".to_owned())]);
    }
}
