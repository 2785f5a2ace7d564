//! When backups are due: one for each slot, which is a time of day in UTC, on every day.
//!
//! ```text
//! slot(D) = D at the time of day + the instance's offset
//! due     ⇔ no backup that can be believed was made in [latest slot ≤ now, …)
//! ```
//! What was made is asked of the folder each time, so a restart forgets nothing; after any gap, and any jump of the
//! clock, exactly one backup is due, for the latest slot.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Time, tz::TimeZone};

use seqbac_header::Id;
use volume::error::{Error, Result};

/// When nobody has said.
const DEFAULT: Time = jiff::civil::time(3, 0, 0, 0);

/// The daily slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    at: Time,
    offset: SignedDuration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self { at: DEFAULT, offset: SignedDuration::ZERO }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    /// `03:00`, or `03:00:00`; what Seq has for a time of day.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("{text:?} is no time of day"))
                .hint("say hours and minutes of UTC, such as 03:00 or 14:30")
        };
        let parts: Vec<&str> = text.trim().split(':').collect();
        if !(2..=3).contains(&parts.len()) {
            return Err(wrong());
        }
        let two_digits = |part: &&str| (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        if !parts.iter().all(two_digits) {
            return Err(wrong());
        }
        let mut numbers = parts.iter().map(|part| part.parse::<i8>().unwrap_or(i8::MAX)).chain([0]);
        let mut next = || numbers.next().unwrap_or(0);
        let at = Time::new(next(), next(), next(), 0).map_err(|_| wrong())?;
        Ok(Self { at, offset: SignedDuration::ZERO })
    }
}

impl Schedule {
    /// The same, later by up to `jitter`: by as much on every day, and by another time for every instance.
    #[must_use]
    pub fn with_jitter(self, jitter: SignedDuration, instance: Id) -> Self {
        let hash = blake3::derive_key("moorline backup jitter v1", &instance.0);
        let random = u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]);
        let seconds = u64::try_from(jitter.as_secs()).unwrap_or(0).min(DAY.unsigned_abs() - 1);
        let offset = random.checked_rem(seconds + 1).and_then(|offset| i64::try_from(offset).ok()).unwrap_or(0);
        Self { offset: SignedDuration::from_secs(offset), ..self }
    }

    /// The time of day that was asked for.
    #[must_use]
    pub const fn at(&self) -> Time {
        self.at
    }

    /// The latest slot that is not after `now`.
    #[must_use]
    pub fn latest_slot(&self, now: Timestamp) -> Timestamp {
        let slot = self.slot_of_day(now);
        if slot <= now { slot } else { slot.checked_sub(SignedDuration::from_secs(DAY)).unwrap_or(Timestamp::MIN) }
    }

    /// The first slot after `now`.
    #[must_use]
    pub fn next_slot(&self, now: Timestamp) -> Timestamp {
        self.latest_slot(now).checked_add(SignedDuration::from_secs(DAY)).unwrap_or(Timestamp::MAX)
    }

    /// Whether a backup is due, where the newest that can be believed is this.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, newest: Option<Timestamp>) -> bool {
        newest.is_none_or(|newest| newest < self.latest_slot(now))
    }

    /// The slot on the day that `now`, without the offset, is on.
    fn slot_of_day(&self, now: Timestamp) -> Timestamp {
        let without = now.checked_sub(self.offset).unwrap_or(now);
        let day = TimeZone::UTC.to_datetime(without).date();
        let slot = TimeZone::UTC.to_timestamp(day.to_datetime(self.at)).unwrap_or(without);
        slot.checked_add(self.offset).unwrap_or(slot)
    }
}

/// UTC as POSIX counts it: every day has as many seconds.
const DAY: i64 = 86_400;

/// Days, the latest first: `today` and those before it.
pub fn days_back(today: jiff::civil::Date) -> impl Iterator<Item = jiff::civil::Date> {
    (0..).map_while(move |days: i64| today.checked_sub(days.days()).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_slot_is_the_time_of_day_of_today_or_of_yesterday() {
        let schedule: Schedule = "03:00".parse().expect("a time of day");
        assert_eq!(schedule, Schedule::default());
        assert_eq!(schedule.latest_slot(at("2026-03-01T02:59:59.999Z")), at("2026-02-28T03:00:00Z"));
        assert_eq!(schedule.latest_slot(at("2026-03-01T03:00:00Z")), at("2026-03-01T03:00:00Z"));
        assert_eq!(schedule.next_slot(at("2026-12-31T03:00:00Z")), at("2027-01-01T03:00:00Z"));
        assert_eq!(schedule.next_slot(at("2026-12-31T02:00:00Z")), at("2026-12-31T03:00:00Z"));
    }

    #[test]
    fn one_backup_is_due_for_a_slot_however_many_were_missed() {
        let schedule = Schedule::default();
        let now = at("2026-03-10T12:00:00Z");
        assert!(schedule.is_due(now, None));
        assert!(schedule.is_due(now, Some(at("2026-03-01T03:00:00Z"))));
        assert!(schedule.is_due(now, Some(at("2026-03-10T02:59:59Z"))));
        assert!(!schedule.is_due(now, Some(at("2026-03-10T03:00:00Z"))));
        assert!(!schedule.is_due(now, Some(at("2026-03-10T12:30:00Z"))), "a clock that was set back a little");
    }

    #[test]
    fn another_time_of_day_holds_at_once() {
        let newest = Some(at("2026-03-10T03:00:01Z"));
        let later: Schedule = "12:00:00".parse().expect("a time of day");
        assert!(!later.is_due(at("2026-03-10T11:00:00Z"), newest));
        assert!(later.is_due(at("2026-03-10T12:00:00Z"), newest));
        let earlier: Schedule = "2:30".parse().expect("a time of day");
        assert!(!earlier.is_due(at("2026-03-10T11:00:00Z"), newest));
    }

    #[test]
    fn what_is_no_time_of_day_is_said_to_be_none() {
        for text in ["", "3", "24:00", "12:60", "-1:00", "+1:00", "12:00:00:00", "noon", "1.5:00", "12:00 PM", "003:00"]
        {
            let error = Schedule::from_str(text).expect_err(text);
            assert!(error.advice().is_some_and(|hint| hint.contains("03:00")), "{text}");
        }
    }

    #[test]
    fn jitter_is_the_same_every_day_and_another_for_each_instance() {
        let jitter = SignedDuration::from_mins(30);
        let one = Schedule::default().with_jitter(jitter, Id([1; 16]));
        assert_eq!(one, Schedule::default().with_jitter(jitter, Id([1; 16])));
        let offsets: std::collections::BTreeSet<_> =
            (0..50).map(|id| Schedule::default().with_jitter(jitter, Id([id; 16])).offset).collect();
        assert!(offsets.len() > 40 && offsets.iter().all(|offset| *offset <= jitter));
        assert_eq!(Schedule::default().with_jitter(SignedDuration::ZERO, Id([1; 16])), Schedule::default());
    }

    proptest! {
        #[test]
        fn slots_are_a_day_apart_and_enclose_now(
            second in 0_i64..4_102_444_800, minute in 0_i64..1440, jitter in 0_i64..200_000, id in any::<[u8; 16]>()
        ) {
            let text = format!("{:02}:{:02}", minute / 60, minute % 60);
            let schedule = text.parse::<Schedule>().expect("a time of day");
            let schedule = schedule.with_jitter(SignedDuration::from_secs(jitter), Id(id));
            let now = Timestamp::from_second(second).expect("a time");
            let (latest, next) = (schedule.latest_slot(now), schedule.next_slot(now));
            prop_assert!(latest <= now && now < next);
            prop_assert_eq!(next.duration_since(latest).as_secs(), DAY);
            prop_assert_eq!(schedule.latest_slot(latest), latest);
            prop_assert_eq!(schedule.next_slot(latest), next);
            prop_assert!(!schedule.is_due(now, Some(now)));
        }
    }
}
