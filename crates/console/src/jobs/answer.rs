//! What a child answered: its object, or its error with code and hint.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use serde::Deserialize;
use serde_json::Value;

use volume::error::{Code, Error, Result};

/// A child that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// The verb, for errors.
    pub verb: String,
    /// How.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr that was an error, where that was heard.
    pub error: Option<Error>,
}

/// An error as `--json` shows it.
#[derive(Debug, Deserialize)]
struct Failed {
    error: String,
    exit: u8,
    hint: Option<String>,
}

impl Ended {
    /// The failure that an exit code alone tells of.
    pub(super) fn failure(&self) -> Error {
        let verb = &self.verb;
        if let Some(signal) = self.status.signal() {
            return Error::new(Code::Unexpected, format!("`moorline {verb}` was ended by signal {signal}"))
                .hint("see the console's log; a container that is out of memory ends its processes so");
        }
        let exit = self.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        let code = Code::from_exit(exit).unwrap_or(Code::Unexpected);
        match &self.error {
            Some(error) => error.clone().with_code(code),
            None => Error::new(code, format!("`moorline {verb}` ended with exit code {exit}"))
                .hint("the console's log says why"),
        }
    }
}

/// The object that a child answered with.
pub(super) fn parse(ended: &Ended) -> Result<Value> {
    let Ok(answer) = serde_json::from_slice::<Value>(&ended.stdout) else { return Err(ended.failure()) };
    let failed = Some(&answer).filter(|_| !ended.status.success()).and_then(|answer| Failed::deserialize(answer).ok());
    let Some(failed) = failed else { return Ok(answer) };
    let code = Code::from_exit(failed.exit).unwrap_or(Code::Unexpected);
    let error = Error::new(code, failed.error);
    Err(match failed.hint {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

/// The error that lines of a log end in: `moorline: error: …`, `moorline: hint: …`.
pub(super) fn in_log(lines: &[String]) -> Option<Error> {
    let after = |prefix: &str| lines.iter().rev().find_map(|line| line.strip_prefix(prefix));
    let error = Error::new(Code::Unexpected, after("moorline: error: ")?);
    Some(match after("moorline: hint: ") {
        Some(hint) => error.hint(hint),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: i32, stdout: &str) -> Ended {
        let status = ExitStatus::from_raw(exit << 8);
        Ended { verb: "backup".to_owned(), status, stdout: stdout.into(), error: None }
    }

    #[test]
    fn an_object_is_the_answer_even_of_a_verb_that_found_faults() {
        let answer = parse(&ended(0, "{\"file\": \"a\"}\n")).expect("an answer");
        assert_eq!(answer["file"], "a");
        let answer = parse(&ended(24, "{\"backups\": [{\"error\": {\"error\": \"x\"}}]}")).expect("an answer");
        assert_eq!(answer["backups"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn an_error_is_the_same_error() {
        let text = r#"{"error": "the disk is full", "code": "TryAgain", "exit": 75, "hint": "free space"}"#;
        let error = parse(&ended(75, text)).expect_err("an error");
        assert_eq!(
            (error.code(), error.message(), error.advice()),
            (Code::TryAgain, "the disk is full", Some("free space"))
        );
    }

    #[test]
    fn no_object_is_an_error_by_the_exit_code() {
        assert_eq!(parse(&ended(12, "")).expect_err("an error").code(), Code::WrongKey);
        assert_eq!(parse(&ended(0, "")).expect_err("an error").code(), Code::Unexpected);
        assert_eq!(parse(&ended(99, "half an obj")).expect_err("an error").code(), Code::Unexpected);
        let killed = Ended { status: ExitStatus::from_raw(9), ..ended(0, "{\"file\"") };
        assert!(parse(&killed).expect_err("an error").message().contains("signal 9"));
    }

    #[test]
    fn the_error_of_a_log_is_its_last() {
        let lines = ["moorline: warning: x", "moorline: error: first", "moorline: error: second", "moorline: hint: do"];
        let error = in_log(&lines.map(str::to_owned)).expect("an error");
        assert_eq!((error.message(), error.advice()), ("second", Some("do")));
        assert!(in_log(&["moorline: backup complete".to_owned()]).is_none());
    }
}
