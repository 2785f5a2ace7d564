//! Init scripts as the entrypoint runs them: their environment, and one function per stage.

use std::ops::ControlFlow;

use super::{End, Settings, state, with_commands};
use crate::init;
use process::{Signals, Variables};
use volume::{Lock, Volume, error::Result};

/// Runs the scripts of `/seqinit` and `Init/`, once each. Returns whether one has run.
pub(super) fn run_once(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<ControlFlow<End, bool>> {
    if settings.scripts.is_none() {
        log::info!("skipping all init scripts, because MOORLINE_SKIP_INIT is set");
    }
    let mut ran = false;
    let end = with(settings, volume, lock, &|| state::holds_state(settings, volume), |init| {
        init::run(init, signals, &mut ran)
    })?;
    Ok(end.map_or(ControlFlow::Continue(ran), ControlFlow::Break))
}

/// Runs the scripts of `Init/start.d/`.
pub(super) fn run_at_start(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<Option<End>> {
    with(settings, volume, lock, &|| state::holds_state(settings, volume), |init| init::run_at_start(init, signals))
}

/// Runs the scripts of `Init/ready.d/`, once each. The guard for empty volumes is off, because the server runs by then.
pub(super) fn run_after_start(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<Option<End>> {
    with(settings, volume, lock, &|| Ok(true), |init| init::run_after_start(init, signals))
}

fn with(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    holds_state: &dyn Fn() -> Result<bool>,
    run: impl FnOnce(&init::Settings<'_>) -> Result<init::End>,
) -> Result<Option<End>> {
    let Some(scripts) = &settings.scripts else { return Ok(None) };
    let environment = || environment(settings, volume);
    let end = run(&init::Settings {
        volume,
        lock,
        own: &settings.own,
        arguments_variable: settings.arguments_variable,
        seqinit: scripts.seqinit.clone(),
        environment: &environment,
        user: settings.user.as_ref(),
        log: settings.log,
        grace: scripts.grace,
        on_failure: scripts.on_failure,
        allow_empty: scripts.allow_empty,
        strict_permissions: scripts.strict_permissions,
        holds_state,
    })?;
    Ok(match end {
        init::End::Ready => None,
        init::End::Stopped(signal) => Some(End::Stopped(signal)),
        init::End::Failed { exit, error } => Some(End::Failed { exit, error }),
    })
}

/// The environment of scripts, as docs/cli.md describes it.
fn environment(settings: &Settings, volume: &Volume) -> Variables {
    // Readiness and sockets are for the server only.
    let theirs = settings.environment.clone().without(&["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]);
    with_commands(theirs, &settings.own, volume, &settings.profile)
}
