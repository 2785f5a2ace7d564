//! Init scripts as the entrypoint runs them: their environment, and one function per stage.

use std::{
    cell::{OnceCell, RefCell},
    collections::BTreeMap,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use super::{End, Settings, ownership::ChownPlan, state, stopped, with_commands};
use crate::init::{self, Stage, server_env};
use process::{Signals, Variables};
use seqbac_header::RelPath;
use volume::{
    Lock, Volume,
    error::{Code, Error, Result},
    script_lock::{self, ScriptToken},
};

/// The pause between two checks whether a command that a script left running has ended.
const PAUSE: Duration = Duration::from_millis(100);

/// The functions that differ between the stages.
struct Hooks<'a> {
    holds_state: &'a dyn Fn() -> Result<bool>,
    /// Takes the variables that a script of `Init/start.d/` hands to the server.
    at_start: &'a dyn Fn(BTreeMap<String, String>),
    /// Called before a script runs as the server's user.
    before_user: &'a dyn Fn() -> Result<()>,
}

/// Runs the scripts of `/seqinit` and `Init/`, once each. Returns whether one has run.
pub(super) fn run_once(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    owner: &ChownPlan<'_>,
    signals: &mut Signals,
) -> Result<ControlFlow<End, bool>> {
    if settings.scripts.is_none() {
        log::info!("skipping all init scripts, because MOORLINE_SKIP_INIT is set");
    }
    let mut ran = false;
    let holds_state = || state::holds_state(settings, volume);
    let end = with(
        settings,
        volume,
        lock,
        &Hooks { holds_state: &holds_state, at_start: &|_| {}, before_user: &|| owner.apply() },
        signals,
        |init, signals| init::run(init, signals, &mut ran),
    )?;
    Ok(end.map_or(ControlFlow::Continue(ran), ControlFlow::Break))
}

/// Runs the scripts of `Init/start.d/`. Returns the variables that all scripts hand to the server.
pub(super) fn run_at_start(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<ControlFlow<End, BTreeMap<String, String>>> {
    let started = RefCell::new(BTreeMap::new());
    let collect = |variables| started.borrow_mut().extend(variables);
    let holds_state = || state::holds_state(settings, volume);
    if let Some(end) = with(
        settings,
        volume,
        lock,
        &Hooks { holds_state: &holds_state, at_start: &collect, before_user: &|| Ok(()) },
        signals,
        init::run_at_start,
    )? {
        return Ok(ControlFlow::Break(end));
    }
    let mut variables = match settings.scripts {
        Some(_) => server_env::kept(volume)?,
        None => BTreeMap::new(),
    };
    variables.extend(started.into_inner());
    Ok(ControlFlow::Continue(variables))
}

/// Runs the scripts of `Init/ready.d/`, once each. The guard for empty volumes is off, because the server runs by then.
pub(super) fn run_after_start(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<Option<End>> {
    with(
        settings,
        volume,
        lock,
        &Hooks { holds_state: &|| Ok(true), at_start: &|_| {}, before_user: &|| Ok(()) },
        signals,
        init::run_after_start,
    )
}

fn with(
    settings: &Settings,
    volume: &Volume,
    lock: &Lock,
    hooks: &Hooks<'_>,
    signals: &mut Signals,
    run: impl FnOnce(&init::Settings<'_>, &mut Signals) -> Result<init::End>,
) -> Result<Option<End>> {
    let Some(scripts) = &settings.scripts else { return Ok(None) };
    let environment = || environment(settings, volume);
    let issued = OnceCell::new();
    let token = || token(volume, &issued);
    let for_server = |stage, script: &RelPath, variables| match stage {
        Stage::Once => server_env::keep(volume, script, variables),
        Stage::EveryStart | Stage::AfterStart => {
            (hooks.at_start)(variables);
            Ok(())
        }
    };
    let end = run(
        &init::Settings {
            volume,
            lock,
            own: &settings.own,
            arguments_variable: settings.arguments_variable,
            seqinit: scripts.seqinit.clone(),
            environment: &environment,
            token: &token,
            for_server: &for_server,
            user: settings.user.as_ref(),
            log: settings.log,
            grace: scripts.grace,
            timeout: scripts.timeout,
            on_failure: scripts.on_failure,
            allow_empty: scripts.allow_empty,
            strict_permissions: scripts.strict_permissions,
            holds_state: hooks.holds_state,
            before_user: hooks.before_user,
        },
        signals,
    )?;
    if let Some(token) = issued.get()
        && !wait_for(settings.lock_wait, signals, || token.try_revoke())?
    {
        return Ok(Some(stopped(signals)));
    }
    Ok(match end {
        init::End::Ready => None,
        init::End::Stopped(signal) => Some(End::Stopped(signal)),
        init::End::Failed { exit, error } => Some(End::Failed { exit, error }),
    })
}

/// The token of this start's scripts, created for the first of them.
fn token(volume: &Volume, issued: &OnceCell<ScriptToken>) -> Result<String> {
    if issued.get().is_none() {
        let _ = issued.set(ScriptToken::issue(volume)?);
    }
    Ok(issued.get().map(|token| token.text().to_owned()).unwrap_or_default())
}

/// Waits for commands that the scripts of an earlier start left running. Returns `false` if a stop signal comes first.
pub(super) fn wait_for_earlier(settings: &Settings, volume: &Volume, signals: &mut Signals) -> Result<bool> {
    wait_for(settings.lock_wait, signals, || script_lock::try_clear(volume))
}

/// Waits until no command of a script changes the volume. Returns `false` if a stop signal comes first.
fn wait_for(longest: Duration, signals: &mut Signals, mut is_free: impl FnMut() -> Result<bool>) -> Result<bool> {
    let deadline = Instant::now() + longest;
    let mut is_logged = false;
    while !is_free()? {
        if signals.stop().is_some() {
            return Ok(false);
        }
        if Instant::now() >= deadline {
            return Err(Error::new(
                Code::TryAgain,
                "a command that an init script has left running still changes the volume",
            )
            .hint("the next start waits again; MOORLINE_LOCK_WAIT is the longest wait"));
        }
        if !std::mem::replace(&mut is_logged, true) {
            log::info!("waiting for a command that an init script has left running and that changes the volume");
        }
        signals.wait(&[], Some(Instant::now() + PAUSE))?;
    }
    Ok(true)
}

/// The environment of scripts, as docs/cli.md describes it.
fn environment(settings: &Settings, volume: &Volume) -> Variables {
    // Readiness and sockets are for the server only.
    let theirs = settings.environment.clone().without(&["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]);
    with_commands(theirs, &settings.own, volume, &settings.profile)
}
