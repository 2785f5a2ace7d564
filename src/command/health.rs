//! `moorline health`: for a HEALTHCHECK and for exec probes, also in an image without a shell.

use std::process::ExitCode;

use serde::Serialize;

use super::{Context, container, output, parse::Parsed};
use crate::entrypoint::{
    Health as Check,
    health::{ContainerState, state},
};
use volume::{
    BackupRecord, Instance, Volume, backups,
    error::{Code, Result},
};

/// The result, in the shape of `--json`.
#[derive(Debug, Serialize)]
struct Answer {
    healthy: bool,
    state: &'static str,
    check: Option<String>,
    reason: Option<String>,
    /// Something to know of a healthy container.
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

pub fn health(parsed: &Parsed, context: &Context) -> Result<ExitCode> {
    let check = match container::health(parsed.text("health")?, context)? {
        None => context.profile.read()?.and_then(|profile| profile.health),
        given => given,
    };
    // A probe has two results, so an error counts as unhealthy.
    let answer = inspect(check.as_ref(), parsed.has("startup"), context).unwrap_or_else(|error| Answer {
        healthy: false,
        state: "unknown",
        check: check.as_ref().map(Check::to_string),
        reason: Some(error.message().to_owned()),
        warning: None,
    });
    if parsed.has("json") {
        output::object(&answer)?;
    } else {
        let what = if answer.healthy { "healthy" } else { "unhealthy" };
        let reason = answer.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let warning = answer.warning.map_or_else(String::new, |warning| format!("; {warning}"));
        output::answer(&output::printable(&format!("{what} ({}){reason}{warning}", answer.state)));
    }
    Ok(ExitCode::from(if answer.healthy { 0 } else { Code::Unexpected.exit() }))
}

fn inspect(check: Option<&Check>, startup: bool, context: &Context) -> Result<Answer> {
    let answer = |state: &'static str, outcome: std::result::Result<(), String>| Answer {
        healthy: outcome.is_ok(),
        state,
        check: check.map(Check::to_string),
        reason: outcome.err(),
        warning: None,
    };
    // A port can be checked without the volume, which the probe may not see. A startup probe needs the volume, because
    // nothing listens until the server has started.
    let asks_volume = startup || !matches!(check, Some(Check::Http { .. } | Check::Tcp(..)));
    let found = if asks_volume { state(&context.volume()?)? } else { ContainerState::Up(std::time::Duration::ZERO) };
    Ok(match found {
        ContainerState::Starting(what) if startup => answer("starting", Ok(())).with_reason(what),
        ContainerState::Starting(what) => answer("starting", Err(what)),
        ContainerState::Down(what) => answer("down", Err(what)),
        ContainerState::Up(time) => {
            let mut up = answer("up", check.map_or(Ok(()), |kind| crate::entrypoint::health::check(kind, time)));
            up.warning = if asks_volume { warning(&context.volume()?)? } else { None };
            up
        }
    })
}

/// The warning if nothing takes daily backups, or if nothing may remove any.
fn warning(volume: &Volume) -> Result<Option<String>> {
    let now = jiff::Timestamp::now();
    let instance = Instance::load(volume)?;
    // Trouble with the backup folder is reported by everything that uses it.
    let Ok(newest) = backups::newest(volume, instance.as_ref(), now) else { return Ok(None) };
    let no_daily = (!backups::are_daily(volume, &newest, now)).then_some(backups::NO_DAILY);
    let has_twin = instance.is_some_and(|instance| BackupRecord::has_twin(volume, instance.id).unwrap_or(true));
    let warnings: Vec<&str> = no_daily.into_iter().chain(has_twin.then_some(TWIN)).collect();
    Ok((!warnings.is_empty()).then(|| warnings.join("; ")))
}

const TWIN: &str = "another volume may be taking backups with this instance id: see `moorline instance show`";

impl Answer {
    fn with_reason(mut self, reason: String) -> Self {
        self.reason = Some(reason);
        self
    }
}
