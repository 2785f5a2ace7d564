//! `moorline health`: for a HEALTHCHECK, and for exec probes, in an image that has no shell.

use std::process::ExitCode;

use serde::Serialize;

use super::{Context, container, output, parse::Parsed};
use crate::entrypoint::{
    Health as Check,
    health::{State, state},
};
use volume::error::{Code, Result};

/// The answer, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Answer {
    healthy: bool,
    state: &'static str,
    check: Option<String>,
    reason: Option<String>,
}

/// Carries out `health`.
///
/// # Errors
/// Where an option or a variable makes no sense.
pub fn health(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let check = container::health(parsed.text("health")?, context)?;
    // A probe knows two answers: whatever keeps this one from being given is unhealthy.
    let answer = look(check.as_ref(), parsed.has("startup"), context).unwrap_or_else(|error| Answer {
        healthy: false,
        state: "unknown",
        check: check.as_ref().map(Check::to_string),
        reason: Some(error.message().to_owned()),
    });
    if parsed.has("json") {
        output::object(&answer)?;
    } else {
        let what = if answer.healthy { "healthy" } else { "unhealthy" };
        let reason = answer.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        output::answer(&output::printable(&format!("{what} ({}){reason}", answer.state)));
    }
    Ok(ExitCode::from(if answer.healthy { 0 } else { Code::Unexpected.exit() }))
}

fn look(check: Option<&Check>, startup: bool, context: &Context) -> Result<Answer> {
    let answer = |state: &'static str, outcome: std::result::Result<(), String>| Answer {
        healthy: outcome.is_ok(),
        state,
        check: check.map(Check::to_string),
        reason: outcome.err(),
    };
    // A port is looked at without the volume, which the probe need not see; but while the server is being prepared
    // nothing listens, and only the volume says so.
    let asks_volume = startup || !matches!(check, Some(Check::Http { .. } | Check::Tcp(..)));
    let found = if asks_volume { state(&context.volume()?)? } else { State::Up(std::time::Duration::ZERO) };
    Ok(match found {
        State::Starting(what) if startup => answer("starting", Ok(())).with_reason(what),
        State::Starting(what) => answer("starting", Err(what)),
        State::Down(what) => answer("down", Err(what)),
        State::Up(time) => answer("up", check.map_or(Ok(()), |kind| crate::entrypoint::health::check(kind, time))),
    })
}

impl Answer {
    fn with_reason(mut self, reason: String) -> Self {
        self.reason = Some(reason);
        self
    }
}
