//! A volume that a newer moorline has used: the server starts, unless its state needs work that only the newer moorline
//! can do. The older moorline, which runs this code, writes nothing except the lock.

use std::os::fd::RawFd;

use super::{End, Server, Serving, Settings, lock, quarantine, serve, stopped};
use crate::init::server_env;
use process::Signals;
use volume::{
    Instance, Volume,
    error::{Error, Result},
    quarantine::QuarantineStatus,
    restores,
};

/// The command `init`: nothing to do.
pub(super) fn init(volume: &Volume, refusal: Error) -> Result<End> {
    let _ = untouched(volume, &refusal)?;
    log::warn!("no init scripts run: {refusal}");
    Ok(End::Ready)
}

/// The command `run`: hands over to the server.
pub(super) fn run(
    settings: &Settings,
    server: &Server,
    volume: &Volume,
    refusal: Error,
    sockets: &[RawFd],
    signals: &mut Signals,
) -> Result<End> {
    let status = untouched(volume, &refusal)?;
    let Some(instance) = Instance::load(volume)? else {
        return Err(refusal.context("the volume has no instance"));
    };
    let Some(lock) = lock::wait_for(volume, settings, signals)? else { return Ok(stopped(signals)) };
    log::warn!("no init scripts and no backups: {refusal}");
    let additions = quarantine::additions(status);
    let variables = server_env::kept(volume)?;
    let serving = Serving { server, instance: &instance, variables: &variables, additions: &additions, sockets };
    serve(settings, &serving, volume, &lock, signals)
}

/// The quarantine of the volume, unless its state is unfinished.
fn untouched(volume: &Volume, refusal: &Error) -> Result<Option<QuarantineStatus>> {
    if restores::need_recovery(volume)? {
        return Err(refusal.clone().context("an interrupted restore has to be finished or undone"));
    }
    let status = QuarantineStatus::load(volume)?;
    if status.as_ref().is_some_and(QuarantineStatus::needs_engine) {
        return Err(refusal.clone().context("apps have to be switched off or released"));
    }
    Ok(status)
}
