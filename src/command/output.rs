//! Output: results on stdout, errors on stderr, JSON for `--json`.

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

/// How many bytes a writable pipe accepts without blocking (PIPE_BUF).
const PAGE: usize = 4096;

/// How long one wait for a log that accepts no data takes, in milliseconds.
const LOG_WAIT: u16 = 100;

/// The container's log. A closed log is not an error. If the reader of the log stalls, a write waits for it, but only
/// until a stop signal arrives, because PID 1 must not hang in a log line. While this process supervises a server, it
/// never waits for the log: a line that the log cannot accept at once is lost.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardError;

impl Write for StandardError {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let mut lock = stderr.lock();
        for piece in text.chunks(PAGE) {
            let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
            let timeout = if signals::attending() { 0 } else { LOG_WAIT };
            while matches!(poll(&mut fds, timeout), Ok(0) | Err(Errno::EINTR)) {
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

/// Prints a result on stdout. A closed stdout is not an error.
pub fn answer(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints a result as one JSON object.
pub fn object(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Error::new(Code::Bug, format!("cannot write the result as JSON: {cause}")))?;
    answer(&text);
    Ok(())
}

/// Reports an error on stderr, and on stdout for `--json`. Returns its exit code.
#[must_use]
pub fn fail(error: &Error, json: bool) -> ExitCode {
    let exit = report(error);
    if json {
        let _ = object(&error_object(error));
    }
    ExitCode::from(exit)
}

/// Reports an error and its hint on stderr. Returns its exit code.
pub fn report(error: &Error) -> u8 {
    let _ = StandardError.write_all(log_format::failure(error).as_bytes());
    error.code().exit()
}

/// An error in the shape of `--json`.
#[must_use]
pub fn error_object(error: &Error) -> serde_json::Value {
    serde_json::json!({
        "error": without_keys(error.message()),
        "code": error.code().to_string(),
        "exit": error.code().exit(),
        "hint": error.advice().map(without_keys),
    })
}

/// The text without secret keys and with control characters escaped, so that a file name cannot move the cursor of a
/// terminal or forge a line.
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
