//! After the start: `Init/ready.d/`, run by a child of PID 1 once the server is healthy.
//!
//! The child is this program again (the verb `after-start`), because PID 1 itself opens no ledger and waits for
//! nothing but its children. What it needs to know is in its environment; the volume's lock is inherited. While it
//! waits for the server, signals do to it what they do by default. Where no script is waiting there is no child.

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

/// The hidden command that the child is started with.
pub const COMMAND: &str = "after-start";

/// The child that runs what is waiting in `Init/ready.d/`; `None` where nothing is. To be started right after the
/// server, apart from its terminal and its group, and to be given the descriptor of the lock.
///
/// # Errors
/// Where the folder or the ledger cannot be read.
pub fn child(settings: &Settings, volume: &Volume, lock: &Lock) -> Result<Option<Prepared>> {
    let Some(scripts) = settings.scripts.as_ref() else { return Ok(None) };
    if init::waiting_after_start(volume)?.is_empty() {
        return Ok(None);
    }
    let mut environment = child_environment(settings.environment.clone(), volume, &settings.profile);
    environment = environment.with(LOCK_FD, lock.fd().to_string());
    environment = environment.with(health::VARIABLE, health_of(settings).to_string());
    if scripts.strict_permissions {
        environment = environment.with("MOORLINE_STRICT_PERMISSIONS", "1");
    }
    if let Some(user) = &settings.user {
        environment = environment.with("MOORLINE_USER", user.spec());
    }
    let command = [settings.own.run().as_os_str().to_owned(), COMMAND.into()];
    exec::prepare(&command, &environment).map(Some).map_err(|refused| refused.error)
}

fn health_of(settings: &Settings) -> Health {
    settings.health.clone().unwrap_or_default()
}

/// Where the server replaces this process there is nobody who could run them.
///
/// # Errors
/// `Usage`, where a script is waiting in `Init/ready.d/`.
pub fn refuse_without_supervisor(settings: &Settings, volume: &Volume) -> Result<()> {
    if settings.scripts.is_none() {
        return Ok(());
    }
    match init::waiting_after_start(volume)?.first() {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!(
            "{} is to run after the server has started, and the server is to replace moorline, so nobody could run it",
            name.under(&volume.init()).display()
        ))
        .hint("say --supervise (or MOORLINE_SUPERVISE=1), or move the script away")),
    }
}

/// What the child does: waits until the server is healthy, however long that takes, and runs the scripts.
///
/// # Errors
/// Where the volume's lock was not left to this process, or the ledger cannot be used.
pub fn run(settings: &Settings) -> Result<End> {
    let volume = Volume::open(&settings.storage)?;
    volume.prepare()?;
    let lock = Lock::take(&volume, COMMAND, settings.inherited_lock(&volume))?;
    health::wait(&health_of(settings));
    let mut signals = Signals::hold()?;
    exec::close_on_exec_except(&[]);
    Ok(scripts::run_after_start(settings, &volume, &lock, &mut signals)?.unwrap_or(End::Ready))
}
