//! What a failed script means for the script and for the container: the failure table.
//!
//! Failure never loops for ever, and never starts an empty server by accident.

use jiff::{SignedDuration, Timestamp};

use volume::error::Code;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It can never succeed as it stands.
    Permanent,
    /// It may succeed later.
    Passing,
    /// A program: nobody but it knows.
    Program,
}

impl Failure {
    /// What an exit code of one of our own commands says. An unexpected error, a bug or a kill are nothing that the
    /// script could be blamed for at once: like a program's.
    #[must_use]
    pub fn of_command(exit: u8) -> Self {
        match Code::from_exit(exit) {
            Some(code) if code.may_pass() => Self::Passing,
            Some(Code::Unexpected | Code::Bug) | None => Self::Program,
            Some(_) => Self::Permanent,
        }
    }
}

/// What the person who runs the container wants instead of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// No failed script is set aside, and the container always exits.
    Exit,
    /// On with the next script.
    Continue,
}

/// One failed attempt.
#[derive(Debug)]
pub struct Attempt {
    /// What failed.
    pub failure: Failure,
    /// Attempts so far.
    pub attempts: u32,
    /// When one failed first.
    pub first_failure: Timestamp,
    /// Whether the volume holds no state yet, and nobody said that this is meant.
    pub guard_empty: bool,
    /// What was asked for.
    pub on_failure: Option<OnFailure>,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the script is renamed `.failed`.
    pub set_aside: bool,
    /// Whether the container exits.
    pub exits: bool,
    /// Whether that is so because the volume is empty.
    pub guarded: bool,
}

impl Attempt {
    /// The table.
    #[must_use]
    pub fn judge(&self, now: Timestamp) -> Verdict {
        if self.guard_empty || self.on_failure == Some(OnFailure::Exit) {
            return Verdict { set_aside: false, exits: true, guarded: self.guard_empty };
        }
        let set_aside = match self.failure {
            Failure::Permanent => true,
            Failure::Passing => {
                self.attempts >= 5 && now.duration_since(self.first_failure) >= SignedDuration::from_mins(30)
            }
            Failure::Program => self.attempts >= 3,
        };
        Verdict { set_aside, exits: self.on_failure != Some(OnFailure::Continue), guarded: false }
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

    const KEPT: Verdict = Verdict { set_aside: false, exits: true, guarded: false };
    const ASIDE: Verdict = Verdict { set_aside: true, exits: true, guarded: false };

    #[test]
    fn the_table() {
        assert_eq!(attempt(Failure::Permanent, 1).judge(after_minutes(0)), ASIDE);
        assert_eq!(attempt(Failure::Passing, 4).judge(after_minutes(600)), KEPT);
        assert_eq!(attempt(Failure::Passing, 500).judge(after_minutes(29)), KEPT);
        assert_eq!(attempt(Failure::Passing, 5).judge(after_minutes(30)), ASIDE);
        assert_eq!(attempt(Failure::Program, 2).judge(after_minutes(600)), KEPT);
        assert_eq!(attempt(Failure::Program, 3).judge(after_minutes(0)), ASIDE);
    }

    #[test]
    fn nothing_is_set_aside_on_an_empty_volume() {
        for failure in [Failure::Permanent, Failure::Passing, Failure::Program] {
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
        assert_eq!(on(Some(OnFailure::Continue)).judge(after_minutes(0)), Verdict { exits: false, ..ASIDE });
    }

    #[test]
    fn exit_codes_of_our_own_commands_are_told_apart() {
        for (exit, failure) in [
            (75, Failure::Passing),
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
