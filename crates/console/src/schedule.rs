//! When backups are due: one per slot. A slot is a fixed time of day in UTC.
//!
//! ```text
//! slot(D) = D at the time of day + the instance's offset
//! due     ⇔ no trustworthy backup was created in [latest slot ≤ now, …)
//! ```
//! The creation times are read from the backup folder each time, so that a restart of the console loses nothing. After
//! a gap of any length, or a jump of the clock, exactly one backup is due: the backup for the latest slot.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, ToSpan, civil::Time, tz::TimeZone};

use seqbac_header::Id;
use volume::error::{Error, Result};

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

    /// Parses `03:00` or `03:00:00`, the format of Seq's times of day.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("{text:?} is not a time of day"))
                .hint("enter hours and minutes in UTC, such as 03:00 or 14:30")
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
    /// Delays the slot by up to `jitter`. The delay is derived from the instance's id: it is the same on every day, and
    /// differs between instances.
    #[must_use]
    pub fn with_jitter(self, jitter: SignedDuration, instance: Id) -> Self {
        let hash = blake3::derive_key("moorline backup jitter v1", &instance.0);
        let random = u64::from_le_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]);
        let seconds = u64::try_from(jitter.as_secs()).unwrap_or(0).min(DAY.unsigned_abs() - 1);
        let offset = random.checked_rem(seconds + 1).and_then(|offset| i64::try_from(offset).ok()).unwrap_or(0);
        Self { offset: SignedDuration::from_secs(offset), ..self }
    }

    /// The time of day without the delay.
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

    /// Whether a backup is due if `newest` is the creation time of the newest trustworthy backup.
    #[must_use]
    pub fn is_due(&self, now: Timestamp, newest: Option<Timestamp>) -> bool {
        newest.is_none_or(|newest| newest < self.latest_slot(now))
    }

    /// The slot of the day that contains `now` minus the offset.
    fn slot_of_day(&self, now: Timestamp) -> Timestamp {
        let without = now.checked_sub(self.offset).unwrap_or(now);
        let day = TimeZone::UTC.to_datetime(without).date();
        let slot = TimeZone::UTC.to_timestamp(day.to_datetime(self.at)).unwrap_or(without);
        slot.checked_add(self.offset).unwrap_or(slot)
    }
}

/// Seconds per day. POSIX time has no leap seconds, so that all days have the same length.
const DAY: i64 = 86_400;

/// `today` and all days before it, latest first.
pub(crate) fn days_back(today: jiff::civil::Date) -> impl Iterator<Item = jiff::civil::Date> {
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
    fn the_latest_slot_is_today_or_yesterday_at_the_time_of_day() {
        let schedule: Schedule = "03:00".parse().expect("a time of day");
        assert_eq!(schedule, Schedule::default());
        assert_eq!(schedule.latest_slot(at("2026-03-01T02:59:59.999Z")), at("2026-02-28T03:00:00Z"));
        assert_eq!(schedule.latest_slot(at("2026-03-01T03:00:00Z")), at("2026-03-01T03:00:00Z"));
        assert_eq!(schedule.next_slot(at("2026-12-31T03:00:00Z")), at("2027-01-01T03:00:00Z"));
        assert_eq!(schedule.next_slot(at("2026-12-31T02:00:00Z")), at("2026-12-31T03:00:00Z"));
    }

    #[test]
    fn one_backup_is_due_however_many_slots_were_missed() {
        let schedule = Schedule::default();
        let now = at("2026-03-10T12:00:00Z");
        assert!(schedule.is_due(now, None));
        assert!(schedule.is_due(now, Some(at("2026-03-01T03:00:00Z"))));
        assert!(schedule.is_due(now, Some(at("2026-03-10T02:59:59Z"))));
        assert!(!schedule.is_due(now, Some(at("2026-03-10T03:00:00Z"))));
        assert!(!schedule.is_due(now, Some(at("2026-03-10T12:30:00Z"))), "a clock that was set back a little");
    }

    #[test]
    fn a_new_time_of_day_takes_effect_immediately() {
        let newest = Some(at("2026-03-10T03:00:01Z"));
        let later: Schedule = "12:00:00".parse().expect("a time of day");
        assert!(!later.is_due(at("2026-03-10T11:00:00Z"), newest));
        assert!(later.is_due(at("2026-03-10T12:00:00Z"), newest));
        let earlier: Schedule = "2:30".parse().expect("a time of day");
        assert!(!earlier.is_due(at("2026-03-10T11:00:00Z"), newest));
    }

    #[test]
    fn other_text_is_refused_with_an_example() {
        for text in ["", "3", "24:00", "12:60", "-1:00", "+1:00", "12:00:00:00", "noon", "1.5:00", "12:00 PM", "003:00"]
        {
            let error = Schedule::from_str(text).expect_err(text);
            assert!(error.advice().is_some_and(|hint| hint.contains("03:00")), "{text}");
        }
    }

    #[test]
    fn jitter_is_the_same_every_day_and_differs_between_instances() {
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
