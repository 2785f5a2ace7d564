//! The failure table: whether a failed script is retried or marked failed, and whether the container exits.
//!
//! A failing script is never retried for ever, and no server starts on an empty volume by accident.

use jiff::{SignedDuration, Timestamp};

use volume::error::Code;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It fails again unless the script, the backup or a setting is changed.
    Permanent,
    Transient,
    /// A program failed, and its exit code does not tell whether a retry can succeed.
    Program,
}

impl Failure {
    /// The kind of failure for an exit code of one of our own commands. An unexpected error, a bug or a kill counts like a
    /// program's failure, because the script may not be the cause.
    #[must_use]
    pub fn of_command(exit: u8) -> Self {
        match Code::from_exit(exit) {
            Some(code) if code.is_transient() => Self::Transient,
            Some(Code::Unexpected | Code::Bug) | None => Self::Program,
            Some(_) => Self::Permanent,
        }
    }

    /// The kind of failure for an exit code of a program. With 75 (`EX_TEMPFAIL`) it asks for a retry.
    #[must_use]
    pub fn of_program(exit: u8) -> Self {
        if exit == Code::TryAgain.exit() { Self::Transient } else { Self::Program }
    }
}

/// `MOORLINE_INIT_ON_FAILURE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// No script is marked failed, and the container always exits.
    Exit,
    /// The next script runs.
    Continue,
}

#[derive(Debug)]
pub struct Attempt {
    pub failure: Failure,
    pub attempts: u32,
    pub first_failure: Timestamp,
    /// Whether the volume holds no state and `MOORLINE_ALLOW_EMPTY` is not set.
    pub guard_empty: bool,
    pub on_failure: Option<OnFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the script is marked `.failed`.
    pub marks_failed: bool,
    pub exits: bool,
    /// Whether it exits because the volume is empty.
    pub guarded: bool,
}

impl Attempt {
    #[must_use]
    pub fn judge(&self, now: Timestamp) -> Verdict {
        if self.guard_empty || self.on_failure == Some(OnFailure::Exit) {
            return Verdict { marks_failed: false, exits: true, guarded: self.guard_empty };
        }
        let marks_failed = match self.failure {
            Failure::Permanent => true,
            Failure::Transient => {
                self.attempts >= 5 && now.duration_since(self.first_failure) >= SignedDuration::from_mins(30)
            }
            Failure::Program => {
                self.attempts >= 3 && now.duration_since(self.first_failure) >= SignedDuration::from_mins(2)
            }
        };
        Verdict { marks_failed, exits: self.on_failure != Some(OnFailure::Continue), guarded: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(failure: Failure, attempts: u32) -> Attempt {
        Attempt { failure, attempts, first_failure: Timestamp::UNIX_EPOCH, guard_empty: false, on_failure: None }
    }

    fn after_minutes(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    const KEPT: Verdict = Verdict { marks_failed: false, exits: true, guarded: false };
    const FAILED: Verdict = Verdict { marks_failed: true, exits: true, guarded: false };

    #[test]
    fn each_kind_of_failure_has_its_limit() {
        assert_eq!(attempt(Failure::Permanent, 1).judge(after_minutes(0)), FAILED);
        assert_eq!(attempt(Failure::Transient, 4).judge(after_minutes(600)), KEPT);
        assert_eq!(attempt(Failure::Transient, 500).judge(after_minutes(29)), KEPT);
        assert_eq!(attempt(Failure::Transient, 5).judge(after_minutes(30)), FAILED);
        assert_eq!(attempt(Failure::Program, 2).judge(after_minutes(600)), KEPT);
        assert_eq!(attempt(Failure::Program, 500).judge(after_minutes(1)), KEPT);
        assert_eq!(attempt(Failure::Program, 3).judge(after_minutes(2)), FAILED);
    }

    #[test]
    fn no_script_is_marked_failed_on_an_empty_volume() {
        for failure in [Failure::Permanent, Failure::Transient, Failure::Program] {
            for on_failure in [None, Some(OnFailure::Exit), Some(OnFailure::Continue)] {
                let attempt = Attempt { guard_empty: true, on_failure, ..attempt(failure, 100) };
                assert_eq!(attempt.judge(after_minutes(600)), Verdict { guarded: true, ..KEPT });
            }
        }
    }

    #[test]
    fn the_table_can_be_overridden() {
        let on = |on_failure| Attempt { on_failure, ..attempt(Failure::Permanent, 1) };
        assert_eq!(on(Some(OnFailure::Exit)).judge(after_minutes(0)), KEPT);
        assert_eq!(on(Some(OnFailure::Continue)).judge(after_minutes(0)), Verdict { exits: false, ..FAILED });
    }

    #[test]
    fn exit_codes_of_our_own_commands_are_classified() {
        for (exit, failure) in [
            (75, Failure::Transient),
            (2, Failure::Permanent),
            (11, Failure::Permanent),
            (12, Failure::Permanent),
            (24, Failure::Permanent),
            (1, Failure::Program),
            (70, Failure::Program),
            (137, Failure::Program),
        ] {
            assert_eq!(Failure::of_command(exit), failure, "{exit}");
        }
    }
}
