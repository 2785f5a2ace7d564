//! Decides the scheduler's next step from an observation and the time. Pure: it reads neither the clock nor files.

use jiff::{SignedDuration, Timestamp};

use super::Observation;
use crate::schedule::Schedule;
use volume::error::Result;

/// Delays after consecutive failures. The last one repeats.
const RETRIES: [SignedDuration; 3] =
    [SignedDuration::from_mins(5), SignedDuration::from_mins(15), SignedDuration::from_hours(1)];

/// A slot that has no backup after this time is missed. `/health` becomes degraded after the same time.
const MISSED_AFTER: SignedDuration = SignedDuration::from_hours(2);

const VERIFY_EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Maximum age of an observation, and the longest retry delay.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(1);

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Take the scheduled backup.
    BackUp,
    /// Verify all kept backups in full.
    Verify,
    /// Report that a slot has no backup.
    Missed {
        /// The slot.
        due: Timestamp,
        /// Creation time of the newest backup.
        newest: Option<Timestamp>,
    },
    /// Wait.
    Rest,
}

/// Memory of failures and of the last observation. It need not survive a restart.
#[derive(Debug, Default)]
pub struct Decider {
    failures: usize,
    retry_at: Option<Timestamp>,
    verify_at: Option<Timestamp>,
    /// The slot last reported as missed.
    missed: Option<Timestamp>,
    /// Creation time of the newest backup in any observation.
    newest_seen: Option<Timestamp>,
    /// Creation time of the instance.
    created: Option<Timestamp>,
    /// Time of the first of the consecutive failed observations.
    blind_since: Option<Timestamp>,
    /// Time and slot of the last decision to rest.
    rested: Option<(Timestamp, Timestamp)>,
}

impl Decider {
    /// Whether the last decision to rest still applies, so that no new observation is needed.
    #[must_use]
    pub fn may_rest(&self, now: Timestamp, schedule: &Schedule) -> bool {
        self.rested.is_some_and(|(at, slot)| {
            let age = now.duration_since(at);
            slot == schedule.latest_slot(now) && age >= SignedDuration::ZERO && age < MAX_AGE
        })
    }

    /// Decides the next step from what `observe` returns.
    ///
    /// # Errors
    /// `observe` fails. If it keeps failing for two hours, the result is `Step::Missed` instead, once per slot.
    pub fn next(
        &mut self,
        now: Timestamp,
        schedule: &Schedule,
        observe: impl FnOnce() -> Result<Observation>,
    ) -> Result<Step> {
        self.rested = None;
        let observed = match observe() {
            Ok(observed) => observed,
            Err(error) => return self.missed_while_blind(now, schedule).ok_or(error),
        };
        self.blind_since = None;
        self.newest_seen = observed.newest.or(self.newest_seen);
        self.created = observed.created.or(self.created);
        let slot = schedule.latest_slot(now);
        if observed.has_state && schedule.is_due(now, observed.newest) {
            if !observed.unfinished && !is_ahead(self.retry_at, now) {
                return Ok(Step::BackUp);
            }
            return Ok(self.missed(now, schedule).unwrap_or(Step::Rest));
        }
        let verify = observed.unverified_since.is_some_and(|since| verification_is_due(since, now));
        if verify && !is_ahead(self.verify_at, now) {
            return Ok(Step::Verify);
        }
        // Without state we must observe again soon, because state may appear at any moment.
        self.rested = observed.has_state.then_some((now, slot));
        Ok(Step::Rest)
    }

    /// Reports the latest slot as missed, once. Backups in a folder that has disappeared since count, because they were
    /// taken.
    fn missed(&mut self, now: Timestamp, schedule: &Schedule) -> Option<Step> {
        let slot = schedule.latest_slot(now);
        let is_late = now.duration_since(slot) > MISSED_AFTER && schedule.is_due(now, self.newest_seen);
        let is_older = self.created.is_some_and(|created| created > slot);
        if !is_late || is_older || self.missed == Some(slot) {
            return None;
        }
        self.missed = Some(slot);
        Some(Step::Missed { due: slot, newest: self.newest_seen })
    }

    fn missed_while_blind(&mut self, now: Timestamp, schedule: &Schedule) -> Option<Step> {
        // The clock may have been set back.
        let since = self.blind_since.filter(|since| *since <= now).unwrap_or(now);
        self.blind_since = Some(since);
        if now.duration_since(since) > MISSED_AFTER { self.missed(now, schedule) } else { None }
    }

    /// Notes the result of `Step::BackUp`.
    pub fn backed_up(&mut self, now: Timestamp, done: bool) {
        if done {
            (self.failures, self.retry_at) = (0, None);
            return;
        }
        let delay = RETRIES[self.failures.min(RETRIES.len() - 1)];
        self.failures += 1;
        self.retry_at = now.checked_add(delay).ok();
    }

    /// Notes the result of `Step::Verify`.
    pub fn verified(&mut self, now: Timestamp, done: bool) {
        self.verify_at = if done { None } else { now.checked_add(MAX_AGE).ok() };
    }

    /// Time of the next attempt after a failed backup.
    #[must_use]
    pub const fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// The time by which a new observation is useful: the next retry or the next slot.
    #[must_use]
    pub fn next_observation(&self, now: Timestamp, schedule: &Schedule) -> Timestamp {
        let retry = self.retry_at.filter(|at| *at > now);
        schedule.next_slot(now).min(retry.unwrap_or(Timestamp::MAX))
    }

    /// Forces a new observation, for example after a changed setting.
    pub const fn forget_observation(&mut self) {
        self.rested = None;
    }
}

/// Whether a retry is still to come. A time further ahead than any retry delay means that the clock was set back.
fn is_ahead(at: Option<Timestamp>, now: Timestamp) -> bool {
    at.is_some_and(|at| at > now && at.duration_since(now) <= MAX_AGE)
}

fn verification_is_due(since: Timestamp, now: Timestamp) -> bool {
    // A time in the future comes from a wrong clock, so that the real time of the verification is unknown.
    now.duration_since(since) >= VERIFY_EVERY || since.duration_since(now) > MAX_AGE
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBSERVATION: Observation =
        Observation { newest: None, has_state: true, unfinished: false, created: None, unverified_since: None };

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn next(decider: &mut Decider, now: &str, observed: Observation) -> Step {
        decider.next(at(now), &Schedule::default(), || Ok(observed)).expect("a step")
    }

    #[test]
    fn a_failed_backup_is_retried_with_growing_delays_and_reported_as_missed_once() {
        let mut decider = Decider::default();
        let mut tries = Vec::new();
        let mut missed = Vec::new();
        let mut now = at("2026-03-10T03:00:00Z");
        while now < at("2026-03-10T07:00:00Z") {
            match next(&mut decider, &now.to_string(), OBSERVATION) {
                Step::BackUp => {
                    tries.push(now.strftime("%H:%M").to_string());
                    decider.backed_up(now, false);
                }
                Step::Missed { due, newest: None } => missed.push((due, now.strftime("%H:%M").to_string())),
                Step::Rest => now = now.checked_add(SignedDuration::from_mins(1)).expect("a time"),
                other => unreachable!("{other:?}"),
            }
        }
        assert_eq!(tries, ["03:00", "03:05", "03:20", "04:20", "05:20", "06:20"]);
        assert_eq!(missed, [(at("2026-03-10T03:00:00Z"), "05:01".to_owned())]);
        decider.backed_up(now, true);
        assert_eq!(decider.retry_at(), None);
    }

    #[test]
    fn nothing_is_backed_up_without_state_or_while_a_restore_is_unfinished() {
        let mut decider = Decider::default();
        assert_eq!(
            next(&mut decider, "2026-03-10T04:00:00Z", Observation { has_state: false, ..OBSERVATION }),
            Step::Rest
        );
        let unfinished = Observation { unfinished: true, ..OBSERVATION };
        assert_eq!(next(&mut decider, "2026-03-10T04:00:00Z", unfinished), Step::Rest);
        assert!(matches!(next(&mut decider, "2026-03-10T06:00:00Z", unfinished), Step::Missed { .. }));
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", unfinished), Step::Rest, "reported once");
        assert_eq!(next(&mut decider, "2026-03-10T06:01:00Z", OBSERVATION), Step::BackUp);
    }

    #[test]
    fn slots_before_the_creation_of_the_instance_are_not_missed() {
        let mut decider = Decider::default();
        let young = Observation { unfinished: true, created: Some(at("2026-03-10T05:00:00Z")), ..OBSERVATION };
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", young), Step::Rest);
        assert!(matches!(next(&mut decider, "2026-03-11T06:00:00Z", young), Step::Missed { .. }));
    }

    #[test]
    fn a_slot_is_missed_after_two_hours_of_failed_observations() {
        let mut decider = Decider::default();
        let mut blind = |now: &str| {
            let observe = || Err(volume::error::Error::new(volume::error::Code::Unexpected, "stale file handle"));
            decider.next(at(now), &Schedule::default(), observe)
        };
        assert!(blind("2026-03-10T06:00:00Z").is_err());
        assert!(blind("2026-03-10T08:00:00Z").is_err());
        let missed = Step::Missed { due: at("2026-03-10T03:00:00Z"), newest: None };
        assert_eq!(blind("2026-03-10T08:01:00Z").expect("a step"), missed);
        assert!(blind("2026-03-10T08:02:00Z").is_err(), "reported once");
        let missed = Step::Missed { due: at("2026-03-11T03:00:00Z"), newest: None };
        assert_eq!(blind("2026-03-11T05:00:01Z").expect("a step"), missed);
        assert_eq!(next(&mut decider, "2026-03-11T05:01:00Z", OBSERVATION), Step::BackUp);
    }

    #[test]
    fn a_backup_that_was_seen_counts_after_its_folder_has_disappeared() {
        let mut decider = Decider::default();
        let newest = Some(at("2026-03-10T03:00:01Z"));
        assert_eq!(next(&mut decider, "2026-03-10T03:01:00Z", Observation { newest, ..OBSERVATION }), Step::Rest);
        assert_eq!(next(&mut decider, "2026-03-10T06:00:00Z", OBSERVATION), Step::BackUp);
        decider.backed_up(at("2026-03-10T06:00:00Z"), false);
        assert_eq!(next(&mut decider, "2026-03-10T06:01:00Z", OBSERVATION), Step::Rest);
        decider.backed_up(at("2026-03-11T05:00:01Z"), false);
        let missed = Step::Missed { due: at("2026-03-11T03:00:00Z"), newest };
        assert_eq!(next(&mut decider, "2026-03-11T05:00:02Z", OBSERVATION), missed);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_delay_a_retry() {
        let mut decider = Decider::default();
        decider.backed_up(at("2027-03-10T04:00:00Z"), false);
        assert_eq!(next(&mut decider, "2026-03-10T04:00:00Z", OBSERVATION), Step::BackUp);
    }

    #[test]
    fn kept_backups_are_verified_every_week_after_the_daily_backup() {
        let mut decider = Decider::default();
        let backed_up = Observation { newest: Some(at("2026-03-10T03:00:01Z")), ..OBSERVATION };
        let since = |text| Observation { unverified_since: Some(at(text)), ..backed_up };
        let now = "2026-03-10T04:00:00Z";
        assert_eq!(next(&mut decider, now, backed_up), Step::Rest, "no kept backups");
        assert_eq!(next(&mut decider, now, since("2026-03-03T04:00:01Z")), Step::Rest);
        assert_eq!(next(&mut decider, now, since("2026-03-03T04:00:00Z")), Step::Verify);
        assert_eq!(next(&mut decider, now, since("2027-01-01T00:00:00Z")), Step::Verify, "a wrong clock");
        assert_eq!(
            next(&mut decider, now, Observation { newest: None, ..since("2026-01-01T00:00:00Z") }),
            Step::BackUp
        );
        decider.verified(at(now), false);
        assert_eq!(next(&mut decider, now, since("2026-01-01T00:00:00Z")), Step::Rest);
        assert_eq!(next(&mut decider, "2026-03-10T05:00:00Z", since("2026-01-01T00:00:00Z")), Step::Verify);
    }

    #[test]
    fn an_observation_is_valid_for_an_hour_within_the_same_slot() {
        let mut decider = Decider::default();
        let schedule = Schedule::default();
        let backed_up = Observation { newest: Some(at("2026-03-10T03:00:01Z")), ..OBSERVATION };
        assert_eq!(next(&mut decider, "2026-03-11T02:30:00Z", backed_up), Step::Rest);
        assert!(decider.may_rest(at("2026-03-11T02:59:00Z"), &schedule));
        assert!(!decider.may_rest(at("2026-03-11T03:00:00Z"), &schedule), "another slot");
        assert!(!decider.may_rest(at("2026-03-11T02:29:00Z"), &schedule), "a clock that was set back");
        decider.forget_observation();
        assert!(!decider.may_rest(at("2026-03-11T02:59:00Z"), &schedule));
    }
}
