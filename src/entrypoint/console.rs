//! The console as PID 1 starts it: this program's verb `serve`, beside the server, or in its place.
//!
//! It belongs to moorline, so it keeps the secret key's variables and stays the user that moorline is, whoever the server
//! is. What is between moorline and its other children is none of its business; the volume's lock neither, unless it is
//! the server.

use std::{ffi::OsString, time::Duration};

use super::{Settings, child_environment, supervise::Companion};
use crate::{command::engine, init};
use process::{
    NotExecuted, Own, Variables,
    exec::{self, Prepared},
};
use volume::{Volume, lock::LOCK_FD};

/// The roles of `serve --as`: the server itself, and beside another server.
pub(super) const SERVER: &str = "server";
const COMPANION: &str = "companion";

/// Beside the server it is started so long after it: a server that ends at once has none, and the start of one that does
/// not is over.
pub const AFTER_THE_SERVER: Duration = Duration::from_secs(1);

/// How long it is waited with after its first end, and at most: whatever is wrong with it must not fill the log.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The console, about to be started.
///
/// # Errors
/// Where this program is not found.
pub(super) fn prepared(own: &Own, role: &str, environment: &Variables) -> Result<Prepared, NotExecuted> {
    let engine = engine::find(own, environment.get("PATH"))?;
    let command: [OsString; 4] = [engine.into(), "serve".into(), "--as".into(), role.into()];
    // By its own name it can be told from the other processes.
    Ok(exec::prepare(&command, &engine::environment(own, environment.clone()))?.called(own.path().as_os_str()))
}

/// Its environment: this process's, in which it finds the same volume and the same profile.
pub(super) fn environment(settings: &Settings, volume: &Volume) -> Variables {
    let internal = [LOCK_FD, init::SCRIPT, settings.arguments_variable];
    child_environment(settings.environment.clone().without(&internal), volume, &settings.profile)
}

/// The console beside a server.
///
/// # Errors
/// Where this program cannot be found any more.
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
