//! How PID 1 starts the console (the engine's command `serve`): as the server, or beside another server.
//!
//! The console belongs to moorline, so it keeps the variables of the secret key and runs as moorline's user, whatever the
//! server's user is. It inherits the volume's lock only if it is the server.

use std::{ffi::OsString, time::Duration};

use super::{Settings, child_environment, supervise::Companion};
use crate::{command::engine, init};
use process::{
    NotExecuted, Own, Variables,
    exec::{self, Prepared},
};
use volume::{Volume, lock::LOCK_FD, script_lock::TOKEN};

/// The values of `serve --as`.
pub(super) const SERVER: &str = "server";
const COMPANION: &str = "companion";

/// Delay between the start of the server and the start of the console, so that the console neither slows down the
/// server's start nor starts for a server that exits at once.
pub const AFTER_THE_SERVER: Duration = Duration::from_secs(1);

/// Back-off between restarts: the first and the longest wait. A console that keeps crashing must not fill the log.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The console's program, arguments and environment.
pub(super) fn prepared(own: &Own, role: &str, environment: &Variables) -> Result<Prepared, NotExecuted> {
    let engine = engine::find(own, environment.get("PATH"))?;
    let command: [OsString; 4] = [engine.into(), "serve".into(), "--as".into(), role.into()];
    // In `ps`, the console has the name of this program.
    Ok(exec::prepare(&command, engine::environment(own, environment.clone()))?.called(own.path().as_os_str()))
}

/// The console's environment: this process's, plus the same volume and profile.
pub(super) fn environment(settings: &Settings, volume: &Volume) -> Variables {
    let internal = [LOCK_FD, TOKEN, init::SCRIPT, settings.arguments_variable];
    child_environment(settings.environment.clone().without(&internal), volume, &settings.profile)
}

pub fn beside(own: &Own, environment: &Variables) -> Result<Companion, NotExecuted> {
    let theirs = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES"];
    Ok(Companion {
        name: "the console".to_owned(),
        prepared: prepared(own, COMPANION, &environment.clone().without(&theirs))?,
        after_the_server: AFTER_THE_SERVER,
        first_wait: FIRST_WAIT,
        longest_wait: LONGEST_WAIT,
    })
}
