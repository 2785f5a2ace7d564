//! The part of the restore sets that a start reads: whether one is unfinished, and which commands of a script are done.
//!
//! The engine writes the journals and acts on them. This file reads only the members that decide whether the engine is
//! needed, so that a start with nothing to recover starts no other program.

use std::path::PathBuf;

use rustix::fs::FileType;
use seqbac_header::{Id, RelPath};
use serde::{Deserialize, Serialize};

use crate::{
    Volume,
    error::{Code, Error, Result},
    listing, presence,
};

/// The journal of a restore set: its moves and its progress.
pub const JOURNAL: &str = "journal.json";

/// The progress of a restore. A set without a journal was only being staged, so it can be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalState {
    /// The moves are in progress; a start after a crash continues them.
    Commit,
    /// All moves are complete.
    Done,
    /// A move failed, so the moves are being reversed; a start after a crash continues that.
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

/// The command of an init script that requested a restore. The journal contains it, so that a start after a crash knows
/// that the command is done.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct ScriptStep {
    /// The script's name in `Init/`.
    pub script: RelPath,
    /// BLAKE3 of its original text, in hexadecimal.
    pub hash: String,
    /// The id of its run, because a script that is renamed back runs again.
    pub run: Id,
    /// The ordinal of the command, from 0.
    pub command: usize,
}

impl ScriptStep {
    /// The variable that passes it to a command of an init script, as JSON.
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
pub fn need_recovery(volume: &Volume) -> Result<bool> {
    Ok(heads(volume)?.iter().any(|head| head.as_ref().is_none_or(|head| head.state.is_unfinished())))
}

/// Whether a restore was interrupted after its commit, so that the next start finishes it.
pub fn unfinished(volume: &Volume) -> Result<bool> {
    Ok(heads(volume)?.iter().flatten().any(|head| head.state.is_unfinished()))
}

/// The ordinals of the commands of this script run whose restore is done.
pub fn completed_steps(volume: &Volume, run: Id) -> Result<Vec<usize>> {
    let done = heads(volume)?.into_iter().flatten().filter(|head| head.state == JournalState::Done);
    Ok(done.filter_map(|head| head.script).filter(|step| step.run == run).map(|step| step.command).collect())
}

fn heads(volume: &Volume) -> Result<Vec<Option<JournalHead>>> {
    folders(volume)?.iter().map(|folder| read(folder)).collect()
}

/// The folders of all restore sets.
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
    let Some(text) = presence::read(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|cause| damaged(&path, &cause))
}

/// The error of a journal that cannot be parsed.
#[must_use]
pub fn damaged(path: &std::path::Path, cause: &serde_json::Error) -> Error {
    Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
        .hint("the server does not start, because the state of this restore is unknown; keep the folder and report this as a bug")
}
