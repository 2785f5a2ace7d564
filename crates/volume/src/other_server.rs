//! Whether a server without the lock may be running: the server of a pod whose init container ran `init`.
//!
//! Such a server is started by its own command, so no process holds the volume's lock, and a restore could replace the
//! state that the server is using. `init` leaves a note, which `run` removes, because its server holds the lock.

use std::path::PathBuf;

use super::{Volume, durable, presence};
use crate::error::{Code, Error, Result};

fn note(volume: &Volume) -> PathBuf {
    volume.own().join("server-of-init")
}

/// Notes that a server without the lock may start now.
pub fn record(volume: &Volume) -> Result<()> {
    match presence::exists(&note(volume))? {
        true => Ok(()),
        false => durable::write(&note(volume), b"", 0o644),
    }
}

/// Removes the note, because a server that holds the lock starts.
pub fn forget(volume: &Volume) -> Result<()> {
    match presence::exists(&note(volume))? {
        true => durable::remove_file(&note(volume)),
        false => Ok(()),
    }
}

/// Fails if such a server may be running.
///
/// # Errors
/// `TryAgain`
pub fn refuse(volume: &Volume) -> Result<()> {
    if !presence::exists(&note(volume))? {
        return Ok(());
    }
    Err(Error::new(
        Code::TryAgain,
        format!(
            "the server on the volume {} may be running: `moorline init` prepared the volume, and the server holds no lock",
            volume.root().display()
        ),
    )
    .hint("stop the server and pass --server-is-stopped, or put the command into a script in Init/ and restart the pod"))
}
