//! What is to be done next: a decision over what is there and what time it is. It has no clock, and touches nothing.

use jiff::{SignedDuration, Timestamp};

use super::Sight;
use crate::schedule::Schedule;
use volume::error::Result;

/// How long after a failure it is tried again; then always as long as the last.
const RETRIES: [SignedDuration; 3] =
    [SignedDuration::from_mins(5), SignedDuration::from_mins(15), SignedDuration::from_hours(1)];

/// A slot with no backup for this long was missed. (`/health` is degraded two hours after a slot as well.)
const MISSED_AFTER: SignedDuration = SignedDuration::from_hours(2);

/// How often what is kept is verified in full.
const VERIFY_EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What was seen is believed for so long.
const BELIEVED: SignedDuration = SignedDuration::from_hours(1);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take the scheduled backup.
    BackUp,
    /// Verify what is kept.
    Verify,
    /// Tell that there is no backup for a slot.
    Missed {
        /// The slot.
        due: Timestamp,
        /// The newest backup.
        newest: Option<Timestamp>,
    },
    /// Nothing.
    Rest,
}

/// What it remembers: failures, and what it needs not look at again. Nothing of it has to outlive a restart.
#[derive(Debug, Default)]
pub struct Decider {
    failures: usize,
    retry_at: Option<Timestamp>,
    verify_at: Option<Timestamp>,
    missed: Option<Timestamp>,
    /// The newest backup that was ever seen.
    seen: Option<Timestamp>,
    /// When the instance was made.
    created: Option<Timestamp>,
    /// Since when it cannot be seen what is there.
    blind_since: Option<Timestamp>,
    /// When and for which slot nothing was to be done.
    rested: Option<(Timestamp, Timestamp)>,
}

impl Decider {
    /// Whether nothing has changed since it was last seen that nothing is to be done.
    #[must_use]
    pub fn may_rest(&self, now: Timestamp, schedule: &Schedule) -> bool {
        self.rested.is_some_and(|(at, slot)| {
            let age = now.duration_since(at);
            slot == schedule.latest_slot(now) && age >= SignedDuration::ZERO && age < BELIEVED
        })
    }

    /// What is to be done now.
    ///
    /// # Errors
    /// Where it cannot be seen what is there. When that has been so for as long as a slot may be late, the slot is missed.
    pub fn next(&mut self, now: Timestamp, schedule: &Schedule, look: impl FnOnce() -> Result<Sight>) -> Result<Step> {
        self.rested = None;
        let sight = match look() {
            Ok(sight) => sight,
            Err(error) => return self.missed_in_the_dark(now, schedule).ok_or(error),
        };
        self.blind_since = None;
        self.seen = sight.newest.or(self.seen);
        self.created = sight.created.or(self.created);
        let slot = schedule.latest_slot(now);
        if sight.has_state && schedule.is_due(now, sight.newest) {
            if !sight.unfinished && !is_ahead(self.retry_at, now) {
                return Ok(Step::BackUp);
            }
            return Ok(self.missed(now, schedule).unwrap_or(Step::Rest));
        }
        if sight.unverified_since.is_some_and(|since| verification_is_due(since, now)) && !is_ahead(self.verify_at, now)
        {
            return Ok(Step::Verify);
        }
        // State may appear at any moment, and is then to be backed up.
        self.rested = sight.has_state.then_some((now, slot));
        Ok(Step::Rest)
    }

    /// That the latest slot was missed, if that is news. (What was seen in a folder that is gone was made all the same.)
    fn missed(&mut self, now: Timestamp, schedule: &Schedule) -> Option<Step> {
        let slot = schedule.latest_slot(now);
        let is_late = now.duration_since(slot) > MISSED_AFTER && schedule.is_due(now, self.seen);
        let is_older = self.created.is_some_and(|created| created > slot);
        if !is_late || is_older || self.missed == Some(slot) {
            return None;
        }
        self.missed = Some(slot);
        Some(Step::Missed { due: slot, newest: self.seen })
    }

    fn missed_in_the_dark(&mut self, now: Timestamp, schedule: &Schedule) -> Option<Step> {
        // A clock may have been set back.
        let since = self.blind_since.filter(|since| *since <= now).unwrap_or(now);
        self.blind_since = Some(since);
        if now.duration_since(since) > MISSED_AFTER { self.missed(now, schedule) } else { None }
    }

    /// A backup was taken, or was not.
    pub fn backed_up(&mut self, now: Timestamp, done: bool) {
        if done {
            (self.failures, self.retry_at) = (0, None);
            return;
        }
        let delay = RETRIES[self.failures.min(RETRIES.len() - 1)];
        self.failures += 1;
        self.retry_at = now.checked_add(delay).ok();
    }

    /// What is kept was verified, or could not be.
    pub fn verified(&mut self, now: Timestamp, done: bool) {
        self.verify_at = if done { None } else { now.checked_add(BELIEVED).ok() };
    }

    /// When a backup that failed is tried again.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// When there is next something to look for, as far as is known.
    #[must_use]
    pub fn next_look(&self, now: Timestamp, schedule: &Schedule) -> Timestamp {
        let retry = self.retry_at.filter(|at| *at > now);
        schedule.next_slot(now).min(retry.unwrap_or(Timestamp::MAX))
    }

    /// Something has changed: what was seen is not believed any more.
    pub const fn look_again(&mut self) {
        self.rested = None;
    }
}

/// Whether that time is still to come. One that is further away than any retry is of a clock that was set back.
fn is_ahead(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at > now && at.duration_since(now) <= BELIEVED)
}

fn verification_is_due(since: Timestamp, now: Timestamp) -> bool {
    // Of a clock that was wrong: nobody knows when it was.
    now.duration_since(since) >= VERIFY_EVERY || since.duration_since(now) > BELIEVED
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGHT: Sight =
        Sight { newest: None, has_state: true, unfinished: false, created: None, unverified_since: None };

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn next(decider: &mut Decider, now: &str, sight: Sight) -> Step {
        decider.next(at(now), &Schedule::default(), || Ok(sight)).expect("a step")
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later_and_told_of_once() {
        let mut decider = Decider::default();
        let mut tries = Vec::new();
        let mut told = Vec::new();
        let mut now = at("2026-03-10T03:00:00Z");
        while now < at("2026-03-10T07:00:00Z") {
            match next(&mut decider, &now.to_string(), SIGHT) {
                Step::BackUp => {
                    tries.push(now.strftime("%H:%M").to_string());
                    decider.backed_up(now, false);
                }
                Step::Missed { due, newest: None } => told.push((due, now.strftime("%H:%M").to_string())),
                Step::Rest => now = now.checked_add(SignedDuration::from_mins(1)).expect("a time"),
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(tries, ["03:00", "03:05", "03:20", "04:20", "05:20", "06:20"]);
        assert_eq!(told, [(at("2026-03-10T03:00:00Z"), "05:01".to_owned())]);
        decider.backed_up(now, true);
        assert_eq!(decider.retry_at(), None);
    }

    #[test]
    fn nothing_is_backed_up_without_state_or_while_a_restore_is_unfinished() {
        let mut decider = Decider::default();
        assert_eq!(next(&mut decider, "2026-03-10T04:00:00Z", Sight { has_state: false, ..SIGHT }), Step::Rest);
        let unfinished = Sight { unfinished: true, ..SIGHT };
        assert_eq!(next(&mut decider, "2026-03-10T04:00:00Z", unfinished), Step::Rest);
        assert!(matches!(next(&mut decider, "2026-03-10T06:00:00Z", unfinished), Step::Missed { .. }));
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", unfinished), Step::Rest, "told once");
        assert_eq!(next(&mut decider, "2026-03-10T06:01:00Z", SIGHT), Step::BackUp);
    }

    #[test]
    fn a_slot_of_before_the_instance_was_not_missed_by_it() {
        let mut decider = Decider::default();
        let young = Sight { unfinished: true, created: Some(at("2026-03-10T05:00:00Z")), ..SIGHT };
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", young), Step::Rest);
        assert!(matches!(next(&mut decider, "2026-03-11T06:00:00Z", young), Step::Missed { .. }));
    }

    #[test]
    fn a_slot_is_missed_where_nothing_can_be_seen_for_two_hours() {
        let mut decider = Decider::default();
        let mut blind = |now: &str| {
            let look = || Err(volume::error::Error::new(volume::error::Code::Unexpected, "stale file handle"));
            decider.next(at(now), &Schedule::default(), look)
        };
        assert!(blind("2026-03-10T06:00:00Z").is_err());
        assert!(blind("2026-03-10T08:00:00Z").is_err());
        let missed = Step::Missed { due: at("2026-03-10T03:00:00Z"), newest: None };
        assert_eq!(blind("2026-03-10T08:01:00Z").expect("a step"), missed);
        assert!(blind("2026-03-10T08:02:00Z").is_err(), "told once");
        let missed = Step::Missed { due: at("2026-03-11T03:00:00Z"), newest: None };
        assert_eq!(blind("2026-03-11T05:00:01Z").expect("a step"), missed);
        assert_eq!(next(&mut decider, "2026-03-11T05:01:00Z", SIGHT), Step::BackUp);
    }

    #[test]
    fn a_backup_that_was_seen_was_not_missed_when_its_folder_goes() {
        let mut decider = Decider::default();
        let newest = Some(at("2026-03-10T03:00:01Z"));
        assert_eq!(next(&mut decider, "2026-03-10T03:01:00Z", Sight { newest, ..SIGHT }), Step::Rest);
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", SIGHT), Step::BackUp);
        decider.backed_up(at("2026-03-10T06:00:00Z"), false);
        assert_eq!(next(&mut decider, "2026-03-10T06:01:00Z", SIGHT), Step::Rest);
        decider.backed_up(at("2026-03-11T05:00:01Z"), false);
        let missed = Step::Missed { due: at("2026-03-11T03:00:00Z"), newest };
        assert_eq!(next(&mut decider, "2026-03-11T05:00:02Z", SIGHT), missed);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_hold_up_a_retry() {
        let mut decider = Decider::default();
        decider.backed_up(at("2027-03-10T04:00:00Z"), false);
        assert_eq!(next(&mut decider, "2026-03-10T04:00:00Z", SIGHT), Step::BackUp);
    }

    #[test]
    fn what_is_kept_is_verified_every_week_after_the_backup_of_the_day() {
        let mut decider = Decider::default();
        let made = Sight { newest: Some(at("2026-03-10T03:00:01Z")), ..SIGHT };
        let since = |text| Sight { unverified_since: Some(at(text)), ..made };
        let now = "2026-03-10T04:00:00Z";
        assert_eq!(next(&mut decider, now, made), Step::Rest, "nothing is kept");
        assert_eq!(next(&mut decider, now, since("2026-03-03T04:00:01Z")), Step::Rest);
        assert_eq!(next(&mut decider, now, since("2026-03-03T04:00:00Z")), Step::Verify);
        assert_eq!(next(&mut decider, now, since("2027-01-01T00:00:00Z")), Step::Verify, "of a wrong clock");
        assert_eq!(next(&mut decider, now, Sight { newest: None, ..since("2026-01-01T00:00:00Z") }), Step::BackUp);
        decider.verified(at(now), false);
        assert_eq!(next(&mut decider, now, since("2026-01-01T00:00:00Z")), Step::Rest);
        assert_eq!(next(&mut decider, "2026-03-10T05:00:00Z", since("2026-01-01T00:00:00Z")), Step::Verify);
    }

    #[test]
    fn what_was_seen_is_believed_for_an_hour_of_the_same_slot() {
        let mut decider = Decider::default();
        let schedule = Schedule::default();
        let made = Sight { newest: Some(at("2026-03-10T03:00:01Z")), ..SIGHT };
        assert_eq!(next(&mut decider, "2026-03-11T02:30:00Z", made), Step::Rest);
        assert!(decider.may_rest(at("2026-03-11T02:59:00Z"), &schedule));
        assert!(!decider.may_rest(at("2026-03-11T03:00:00Z"), &schedule), "another slot");
        assert!(!decider.may_rest(at("2026-03-11T02:29:00Z"), &schedule), "a clock that was set back");
        decider.look_again();
        assert!(!decider.may_rest(at("2026-03-11T02:59:00Z"), &schedule));
    }
}
