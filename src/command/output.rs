//! Words out: the answer on stdout, errors on stderr, objects where they were asked for.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
};
use serde::Serialize;

use super::log_format;
use process::signals;
use seqbac_header::without_keys;
use volume::error::{Code, Error, Result};

/// A pipe with space in it takes this much without blocking (PIPE_BUF).
const PAGE: usize = 4096;

/// How long a log that takes nothing is waited for at a time.
const PATIENCE: u16 = 100;

/// The container's log. That nobody reads it any more is not an error; that its reader has stopped reading is waited
/// out, but not once this process was asked to stop: PID 1 must not hang in a line of its log. While it attends to a
/// server the log is not waited for at all, and a line that it does not take is lost.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardError;

impl Write for StandardError {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let mut lock = stderr.lock();
        for piece in text.chunks(PAGE) {
            let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            let patience = if signals::attending() { 0 } else { PATIENCE };
            while matches!(poll(&mut fds, patience), Ok(0) | Err(Errno::EINTR)) {
                if signals::attending() || signals::asked_to_stop() {
                    return Ok(text.len());
                }
            }
            let _ = lock.write_all(piece);
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints the answer. That nobody reads it any more is not an error.
pub fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints the answer as one object.
///
/// # Errors
/// `Bug`, if it cannot be serialised.
pub fn object(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::new(Code::Bug, format!("the answer cannot be written as JSON: {cause}")))?;
    answer(&text);
    Ok(())
}

/// Reports a failure and chooses the exit code.
#[must_use]
pub fn fail(error: &Error, json: bool) -> ExitCode {
    let exit = report(error);
    if json {
        let _ = object(&error_object(error));
    }
    ExitCode::from(exit)
}

/// Says on stderr what failed and what to do. Its exit code.
pub fn report(error: &Error) -> u8 {
    let _ = StandardError.write_all(log_format::failure(error).as_bytes());
    error.code().exit()
}

/// A failure as `--json` shows it.
#[must_use]
pub fn error_object(error: &Error) -> serde_json::Value {
    serde_json::json!({
        "error": without_keys(error.message()),
        "code": error.code().to_string(),
        "exit": error.code().exit(),
        "hint": error.advice().map(without_keys),
    })
}

/// The text with control characters escaped (what a file is called must not move a terminal's cursor or forge a line),
/// and without secret keys.
#[must_use]
pub fn printable(text: &str) -> String {
    without_keys(text).chars().fold(String::with_capacity(text.len()), |mut shown, char| {
        if char.is_control() {
            shown.extend(char.escape_default())
        } else {
            shown.push(char)
        }
        shown
    })
}
