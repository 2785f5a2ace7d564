//! `Init/ready.d/`: a child of PID 1 runs its scripts once the server is healthy.
//!
//! The child is this program with the command `after-start`, because PID 1 must not wait for anything but its children.
//! Its settings are in its environment, and it inherits the volume's lock. While it waits for the server, signals have
//! their default action. If no script is waiting, no child is started.

use super::{End, Health, Settings, child_environment, health, scripts};
use crate::init;
use process::{
    Signals,
    exec::{self, Prepared},
};
use volume::{
    Lock, Volume,
    error::{Error, Result},
    lock::LOCK_FD,
};

/// The hidden command of the child.
pub const COMMAND: &str = "after-start";

/// The child that runs the waiting scripts of `Init/ready.d/`; `None` if none is waiting. Start it right after the server,
/// detached from the server's terminal and process group, with the descriptor of the lock.
pub fn child(settings: &Settings, volume: &Volume, lock: &Lock) -> Result<Option<Prepared>> {
    let Some(scripts) = settings.scripts.as_ref() else { return Ok(None) };
    if init::waiting_after_start(volume)?.is_empty() {
        return Ok(None);
    }
    let mut environment = child_environment(settings.environment.clone(), volume, &settings.profile);
    environment = environment.with(LOCK_FD, lock.fd().to_string());
    environment = environment.with(health::VARIABLE, health_of(settings)?.to_string());
    if scripts.strict_permissions {
        environment = environment.with("MOORLINE_STRICT_PERMISSIONS", "1");
    }
    if let Some(user) = &settings.user {
        environment = environment.with("MOORLINE_USER", user.spec());
    }
    let command = [settings.own.run().as_os_str().to_owned(), COMMAND.into()];
    exec::prepare(&command, environment).map(Some).map_err(|refused| refused.error)
}

fn health_of(settings: &Settings) -> Result<Health> {
    if let Some(health) = &settings.health {
        return Ok(health.clone());
    }
    Ok(settings.profile.read()?.and_then(|profile| profile.health).unwrap_or_default())
}

/// Fails if a script waits in `Init/ready.d/`, because a server that replaces this process leaves no process to run it.
pub fn refuse_without_supervisor(settings: &Settings, volume: &Volume) -> Result<()> {
    if settings.scripts.is_none() {
        return Ok(());
    }
    match init::waiting_after_start(volume)?.first() {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "{} can only run beside a supervised server, and --supervise is off",
            name.under(&volume.init()).display()
        ))
        .hint("pass --supervise (or set MOORLINE_SUPERVISE=1), or move the script to Init/")),
    }
}

/// The work of the child: waits until the server is healthy, however long that takes, then runs the scripts.
pub fn run(settings: &Settings) -> Result<End> {
    let volume = Volume::open_in(&settings.storage, &settings.places)?;
    volume.prepare()?;
    let volume = if init::trust::distrusts(settings.user.as_ref()) {
        init::trust::refuse_links(&volume)?;
        init::held::distrust(&volume);
        volume.holding_own()?
    } else {
        volume
    };
    let lock = Lock::take(&volume, COMMAND, settings.inherited_lock(&volume))?;
    health::wait(&health_of(settings)?);
    let mut signals = Signals::hold(&settings.stop_signals)?;
    exec::close_on_exec_except(&[]);
    Ok(scripts::run_after_start(settings, &volume, &lock, &mut signals)?.unwrap_or(End::Ready))
}
