//! The steps that the engine carries out as a child: recovery, the secret key of a provider, the boot backup. Each looks
//! first whether the engine is needed.

use std::{ops::ControlFlow, path::Path, process::Command, time::Duration};

use super::{End, KeySettings, Server, Settings, child_environment, state::is_bare};
use crate::{
    command::{engine, output},
    init,
};
use process::{
    Ended, Isolation, NotExecuted, Signals,
    child::{self, Limits},
};
use volume::{
    Instance, Lock, Volume, backups,
    error::{Code, Error, Result},
    lock::LOCK_FD,
    presence,
    quarantine::QuarantineStatus,
    restores,
};

/// The maximum age of the newest backup for a start without a boot backup. `back_up` passes the same age to the engine.
const BOOT_BACKUP_AGE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What a missing engine means for a start.
#[derive(Debug)]
pub(super) enum MissingEngine {
    /// No backups are taken.
    Warning(Error),
    /// The start ends.
    Refusal(End),
}

impl MissingEngine {
    pub(super) fn warning(self) -> Option<Error> {
        match self {
            Self::Warning(error) => Some(error),
            Self::Refusal(_) => None,
        }
    }
}

/// Looks for the engine, before the start has changed anything. It reads the volume without its lock: whatever changes
/// meanwhile is reported by the step that needs the engine.
pub(super) fn missing_engine(settings: &Settings, volume: &Volume) -> Result<Option<MissingEngine>> {
    let Err(missing) = engine::find(&settings.own, settings.environment.get("PATH")) else { return Ok(None) };
    let script = match &settings.scripts {
        Some(scripts) => init::report(volume, &scripts.seqinit)?.waiting.into_iter().next(),
        None => None,
    };
    let needs_it = if Instance::load(volume)?.is_none() {
        "the first start of a volume needs the engine".to_owned()
    } else if restores::need_recovery(volume)? {
        "an interrupted restore has to be finished or undone".to_owned()
    } else if QuarantineStatus::load(volume)?.is_some_and(|status| status.needs_engine()) {
        "apps have to be switched off or released".to_owned()
    } else if let Some(script) = script {
        format!("the init script {script} has to run")
    } else {
        return Ok(Some(MissingEngine::Warning(missing.error)));
    };
    let end = End::Failed { exit: missing.exit, error: missing.error.context(needs_it) };
    Ok(Some(MissingEngine::Refusal(end)))
}

/// Runs the engine to finish or undo an interrupted restore, if the journals show one.
pub(super) fn recover(settings: &Settings, volume: &Volume, lock: &Lock, signals: &mut Signals) -> Result<Option<End>> {
    if !restores::need_recovery(volume)? {
        return Ok(None);
    }
    let failed = "an interrupted restore could not be finished or undone, so the server does not start";
    Ok(match own_command(settings, volume, &["recover"], Some(lock), signals)? {
        Ended::Exited(0) => None,
        Ended::Stopped(signal) => Some(End::Stopped(signal)),
        other => Some(End::of_child(other, failed)),
    })
}

/// Creates or checks the secret key. With a provider, the engine does it, because this process must react to a stop
/// signal while the provider's program runs.
pub(super) fn ensure_key(
    settings: &Settings,
    key: &KeySettings,
    volume: &Volume,
    signals: &mut Signals,
) -> Result<ControlFlow<End, Instance>> {
    if key.sources.provider.is_none() {
        let instance = Instance::load(volume)?;
        return Ok(ControlFlow::Continue(key.sources.ensure_for(volume, instance, key.accept_new)?.1));
    }
    let accept = key.accept_new.then_some("--accept-new-key");
    let command: Vec<&str> = ["show-key"].into_iter().chain(accept).collect();
    Ok(match own_command(settings, volume, &command, None, signals)? {
        Ended::Exited(0) => ControlFlow::Continue(Instance::ensure(volume)?),
        Ended::Stopped(signal) => ControlFlow::Break(End::Stopped(signal)),
        other => ControlFlow::Break(End::of_child(
            other,
            "the secret key provider did not return a key that this volume accepts",
        )),
    })
}

/// Takes the boot backup. A failure is only a warning, because the server matters more than one backup.
pub(super) fn back_up(
    settings: &Settings,
    server: &Server,
    volume: &Volume,
    instance: &Instance,
    signals: &mut Signals,
) -> Option<End> {
    // Nearly always there is a recent backup, and its header shows that without starting the engine.
    let now = jiff::Timestamp::now();
    // What cannot be read is reported by the boot backup.
    let newest = backups::newest(volume, Some(instance), now).ok();
    let is_younger = |taken: Option<jiff::Timestamp>, age| taken.is_some_and(|taken| now.duration_since(taken) <= age);
    let mut taken_now = false;
    if server.boot_backup
        && !is_younger(newest.and_then(|newest| newest.any), BOOT_BACKUP_AGE)
        && may_hold_state(volume)
    {
        match own_command(settings, volume, &["backup", "--if-older", "24h", "--scheduled"], None, signals) {
            Ok(Ended::Exited(0)) => taken_now = true,
            Ok(Ended::Stopped(signal)) => return Some(End::Stopped(signal)),
            Ok(Ended::Exited(exit)) if exit == Code::Unverified.exit() => {
                taken_now = true;
                log::warn!("the boot backup is not sound (exit {exit}); the lines above say why");
            }
            Ok(other) => log::warn!("the boot backup failed (exit {}); the server starts without it", other.code()),
            Err(error) => log::warn!("the boot backup failed; the server starts without it: {error}"),
        }
    }
    let is_exec = server.supervision.is_none() && server.command.is_some();
    if is_exec && !taken_now && newest.is_some_and(|newest| !backups::are_daily(volume, &newest, now)) {
        log::warn!("{}", backups::NO_DAILY);
    }
    None
}

/// Whether there may be something to back up: state, or the console's database.
fn may_hold_state(volume: &Volume) -> bool {
    let has_console = || presence::exists(&volume.own().join("metastore.db"));
    !is_bare(volume).is_ok_and(|bare| bare) || has_console().unwrap_or(true)
}

/// Runs a command of the engine as a child, with its stdout discarded. A command that changes the state inherits the lock.
pub(super) fn own_command(
    settings: &Settings,
    volume: &Volume,
    command: &[&str],
    lock: Option<&Lock>,
    signals: &mut Signals,
) -> Result<Ended> {
    let mut child = match engine_command(settings, volume, command) {
        Ok(child) => child,
        Err(missing) => {
            output::report(&missing.error);
            return Ok(Ended::Exited(missing.exit));
        }
    };
    if let Some(lock) = lock {
        child.env(LOCK_FD, lock.fd().to_string());
    }
    let isolation = Isolation { keep: lock.map(Lock::fd).into_iter().collect(), ..Isolation::default() };
    let limits = Limits { grace: Duration::from_secs(5), ..Limits::default() };
    match child::run(child, None, isolation, limits, signals) {
        Ok(done) => Ok(done.ended),
        Err(child::Failure::NotStarted(cause)) => Err(Error::io("start", Path::new(engine::PROGRAM), &cause)),
        Err(child::Failure::Lost(error)) => Err(error),
    }
}

/// Prepares a command of the engine for the same volume and profile.
pub(super) fn engine_command(
    settings: &Settings,
    volume: &Volume,
    command: &[&str],
) -> std::result::Result<Command, NotExecuted> {
    let engine = engine::find(&settings.own, settings.environment.get("PATH"))?;
    let environment = engine::environment(&settings.own, settings.environment.clone());
    let environment = child_environment(environment.without(&[LOCK_FD]), volume, &settings.profile);
    let mut child = Command::new(engine);
    child.args(command).env_clear().envs(environment.pairs()).stdout(child::unheard());
    Ok(child)
}
