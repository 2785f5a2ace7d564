//! The result of a command that ran as a child: the JSON object on its stdout, or its error with code and hint.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use serde::Deserialize;
use serde_json::Value;

use volume::error::{Code, Error, Result};

#[derive(Debug)]
pub(super) struct CommandExit {
    /// The name of the command, for errors.
    pub command: String,
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// The error that it logged to stderr, if stderr was a pipe to us.
    pub error: Option<Error>,
}

/// An error in the format of `--json`.
#[derive(Debug, Deserialize)]
struct Failed {
    error: String,
    exit: u8,
    hint: Option<String>,
}

impl CommandExit {
    /// The error for an exit code or signal, if stdout has no error object.
    pub(super) fn failure(&self) -> Error {
        let command = &self.command;
        if let Some(signal) = self.status.signal() {
            return Error::new(Code::Unexpected, format!("`moorline {command}` was killed by signal {signal}"))
                .hint("read the console's log; signal 9 often means that the container ran out of memory");
        }
        let exit = self.status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        let code = Code::from_exit(exit).unwrap_or(Code::Unexpected);
        match &self.error {
            Some(error) => error.clone().with_code(code),
            None => Error::new(code, format!("`moorline {command}` failed with exit code {exit}"))
                .hint("read the console's log"),
        }
    }
}

/// The object on stdout. It is a result whatever the exit code is, unless it is itself an error object.
pub(super) fn parse(ended: &CommandExit) -> Result<Value> {
    let Ok(answer) = serde_json::from_slice::<Value>(&ended.stdout) else { return Err(ended.failure()) };
    let failed = Some(&answer).filter(|_| !ended.status.success()).and_then(|answer| Failed::deserialize(answer).ok());
    let Some(failed) = failed else { return Ok(answer) };
    let code = Code::from_exit(failed.exit).unwrap_or(Code::Unexpected);
    Err(with_hint(Error::new(code, failed.error), failed.hint.as_deref()))
}

/// The last error in lines of a log, which are `moorline: error: …` and `moorline: hint: …`.
pub(super) fn in_log(lines: &[String]) -> Option<Error> {
    let after = |prefix: &str| lines.iter().rev().find_map(|line| line.strip_prefix(prefix));
    let error = Error::new(Code::Unexpected, after("moorline: error: ")?);
    Some(with_hint(error, after("moorline: hint: ")))
}

fn with_hint(error: Error, hint: Option<&str>) -> Error {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit: i32, stdout: &str) -> CommandExit {
        let status = ExitStatus::from_raw(exit << 8);
        CommandExit { command: "backup".to_owned(), status, stdout: stdout.into(), error: None }
    }

    #[test]
    fn an_object_is_the_result_even_of_a_command_that_found_faults() {
        let answer = parse(&ended(0, "{\"file\": \"a\"}\n")).expect("an answer");
        assert_eq!(answer["file"], "a");
        let answer = parse(&ended(24, "{\"backups\": [{\"error\": {\"error\": \"x\"}}]}")).expect("an answer");
        assert_eq!(answer["backups"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn an_error_keeps_its_code_message_and_hint() {
        let text = r#"{"error": "the disk is full", "code": "TryAgain", "exit": 75, "hint": "free space"}"#;
        let error = parse(&ended(75, text)).expect_err("an error");
        assert_eq!(
            (error.code(), error.message(), error.advice()),
            (Code::TryAgain, "the disk is full", Some("free space"))
        );
    }

    #[test]
    fn without_an_object_the_exit_code_decides() {
        assert_eq!(parse(&ended(12, "")).expect_err("an error").code(), Code::WrongKey);
        assert_eq!(parse(&ended(0, "")).expect_err("an error").code(), Code::Unexpected);
        assert_eq!(parse(&ended(99, "half an obj")).expect_err("an error").code(), Code::Unexpected);
        let killed = CommandExit { status: ExitStatus::from_raw(9), ..ended(0, "{\"file\"") };
        assert!(parse(&killed).expect_err("an error").message().contains("signal 9"));
    }

    #[test]
    fn the_last_error_of_a_log_counts() {
        let lines = ["moorline: warning: x", "moorline: error: first", "moorline: error: second", "moorline: hint: do"];
        let error = in_log(&lines.map(str::to_owned)).expect("an error");
        assert_eq!((error.message(), error.advice()), ("second", Some("do")));
        assert!(in_log(&["moorline: backup complete".to_owned()]).is_none());
    }
}
