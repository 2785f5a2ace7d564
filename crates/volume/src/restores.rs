//! What a start needs to know of restore sets: whether one is unfinished, and which commands of a script are done.
//!
//! The engine writes the journals and acts on them. This file reads only the members that decide whether the engine is
//! needed, so that a start with nothing to recover starts no other program.

use std::{fs, io::ErrorKind, path::PathBuf};

use rustix::fs::FileType;
use seqbac_header::{Id, RelPath};
use serde::{Deserialize, Serialize};

use crate::{
    Volume, listing, presence,
    error::{Code, Error, IoContext, Result},
};

/// The file in a restore set that says what is to be moved, and how far it got.
pub const JOURNAL: &str = "journal.json";

/// How far a restore is. A set without a journal is still being staged, and holds nothing that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalState {
    /// The moves are being made; a start after a crash goes on with them.
    Commit,
    /// All moves are made.
    Done,
    /// A move failed; the moves are being reversed, and a start after a crash goes on with that.
    Undoing,
    /// All moves are reversed.
    Undone,
}

impl JournalState {
    /// Whether the next start has to finish or undo the restore.
    #[must_use]
    pub const fn is_unfinished(self) -> bool {
        matches!(self, Self::Commit | Self::Undoing)
    }
}

/// The command of an init script that asked for a restore. It goes into the journal with the effect, so that a start
/// after a crash knows that the command is done.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ScriptStep {
    /// The script's name in `Init/`.
    pub script: RelPath,
    /// BLAKE3 of its original text, in hexadecimal.
    pub hash: String,
    /// Which run of it: a script that is renamed back runs again.
    pub run: Id,
    /// Which of its commands, from 0.
    pub command: usize,
}

impl ScriptStep {
    /// The variable in which a command of an init script finds it, as JSON.
    pub const VARIABLE: &str = "MOORLINE_SCRIPT";
}

/// The members of a journal that a start reads.
#[derive(Deserialize)]
struct JournalHead {
    state: JournalState,
    #[serde(default)]
    script: Option<ScriptStep>,
}

/// Whether a restore was interrupted, or left a stage that was never committed.
///
/// # Errors
/// Where the folder or a journal cannot be read.
pub fn need_recovery(volume: &Volume) -> Result<bool> {
    Ok(heads(volume)?.iter().any(|head| head.as_ref().is_none_or(|head| head.state.is_unfinished())))
}

/// Whether a restore was interrupted after its commit and waits for the next start.
///
/// # Errors
/// Where the folder or a journal cannot be read.
pub fn unfinished(volume: &Volume) -> Result<bool> {
    Ok(heads(volume)?.iter().flatten().any(|head| head.state.is_unfinished()))
}

/// Ordinals of the commands of this run of an init script whose restore is done.
///
/// # Errors
/// Where the folder or a journal cannot be read.
pub fn completed_steps(volume: &Volume, run: Id) -> Result<Vec<usize>> {
    let done = heads(volume)?.into_iter().flatten().filter(|head| head.state == JournalState::Done);
    Ok(done.filter_map(|head| head.script).filter(|step| step.run == run).map(|step| step.command).collect())
}

fn heads(volume: &Volume) -> Result<Vec<Option<JournalHead>>> {
    folders(volume)?.iter().map(|folder| read(folder)).collect()
}

/// The folder of every restore set.
///
/// # Errors
/// Where `.moorline/restores/` cannot be read. If it does not exist, there are none.
pub fn folders(volume: &Volume) -> Result<Vec<PathBuf>> {
    let folder = volume.restores();
    let mut folders = Vec::new();
    for entry in listing::entries(&folder)?.unwrap_or_default() {
        let path = folder.join(&entry.name);
        let is_folder = match entry.file_type {
            FileType::Unknown => presence::is_dir(&path)?,
            other => other.is_dir(),
        };
        if is_folder {
            folders.push(path);
        }
    }
    Ok(folders)
}

fn read(folder: &std::path::Path) -> Result<Option<JournalHead>> {
    let path = folder.join(JOURNAL);
    let text = match fs::read(&path) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.on("read", &path)?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|cause| damaged(&path, &cause))
}

/// The error of a journal that cannot be parsed.
#[must_use]
pub fn damaged(path: &std::path::Path, cause: &serde_json::Error) -> Error {
    Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
        .hint("no server starts, because the state of this restore is unknown; keep the folder and report this")
}
