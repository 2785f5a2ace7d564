//! The ledger, `.moorline/init.json`: the progress of each init script, so that a start after a crash can continue.
//!
//! It records a run before the script starts, each command after it has finished, and the mark before the file is renamed.
//! So a crash at any moment leaves enough information to continue. If no file in `Init/` can be renamed, the ledger is the
//! only mark. Because of that, a damaged ledger is an error and never replaced by an empty one.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use seqbac_header::{Id, RelPath};
use volume::{
    Volume, durable,
    error::{Code, Error, Result},
    presence,
};

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Failed,
}

impl Outcome {
    /// The suffix of a marked script's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Done => ".done",
            Self::Failed => ".failed",
        }
    }
}

/// How far a script is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has to run (again).
    Waiting,
    /// It was started. If a start finds this state, a crash interrupted the script.
    Running,
    /// It has ended and is about to be renamed to `name`.
    Marking { outcome: Outcome, name: RelPath },
    Marked {
        outcome: Outcome,
        /// Whether this entry is the only mark, because the file could not be renamed.
        in_place: bool,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The script's path below `Init/`.
    pub script: RelPath,
    /// BLAKE3 of its original content, in hexadecimal.
    pub hash: String,
    /// The id of this run, which stays the same for all attempts with this content.
    pub run: Id,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// The time of the first failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Timestamp>,
    /// The ordinals of the finished commands of a built-in script.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands_done: Vec<usize>,
    /// As the member of the ledger, where versions up to 0.1 recorded it.
    #[serde(default, skip_serializing)]
    empty_volume: bool,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub state: RunState,
}

/// The ledger of one volume.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
    empty_volume: bool,
    /// Whether this start has looked for state.
    is_decided: bool,
}

#[derive(Serialize, Deserialize)]
struct Content {
    scripts: Vec<Entry>,
    /// Whether the volume held no state when a start began, and no server has started since. Scripts may have created state
    /// meanwhile.
    #[serde(default)]
    empty_volume: bool,
}

impl Ledger {
    /// Loads the volume's ledger; an empty one if it does not exist yet.
    pub fn load(volume: &Volume) -> Result<Self> {
        let path = volume.ledger();
        let Some(text) = presence::read(&path)? else {
            return Ok(Self { path, entries: Vec::new(), empty_volume: false, is_decided: false });
        };
        let content: Content = serde_json::from_slice(&text).map_err(|cause| {
            Error::new(Code::Unexpected, format!("the init ledger {} is damaged: {cause}", path.display()))
                .hint("check that every script in Init/ that has run is named .done, then remove the ledger")
        })?;
        let empty_volume = content.empty_volume || content.scripts.iter().any(|entry| entry.empty_volume);
        Ok(Self { path, entries: content.scripts, empty_volume, is_decided: false })
    }

    pub fn save(&self) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(&Content { scripts: self.entries.clone(), empty_volume: self.empty_volume })
                .map_err(|cause| Error::new(Code::Bug, format!("cannot serialise the init ledger: {cause}")))?;
        text.push(b'\n');
        durable::write(&self.path, &text, 0o600)
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    #[must_use]
    pub fn find(&self, script: &RelPath) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.script == *script)
    }

    /// Changes the entry of a script and saves the ledger.
    pub fn change(&mut self, script: &RelPath, change: impl FnOnce(&mut Entry)) -> Result<()> {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.script == *script) {
            change(entry);
        }
        self.save()
    }

    /// The unfinished run of this content, or a new one. Does not save the ledger.
    pub fn open(&mut self, script: &RelPath, hash: &str) -> Result<Entry> {
        let is_unfinished =
            |entry: &&Entry| entry.hash == hash && matches!(entry.state, RunState::Waiting | RunState::Running);
        if let Some(entry) = self.find(script).filter(is_unfinished) {
            return Ok(entry.clone());
        }
        let entry = Entry {
            script: script.clone(),
            hash: hash.to_owned(),
            run: Id::random()?,
            attempts: 0,
            first_failure: None,
            commands_done: Vec::new(),
            empty_volume: false,
            reason: None,
            state: RunState::Waiting,
        };
        self.entries.retain(|other| other.script != *script);
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// Decides, before the first script of a start runs, whether the volume is empty. Does not save the ledger.
    pub fn look_for_state(&mut self, holds_state: &dyn Fn() -> Result<bool>) -> Result<()> {
        if !std::mem::replace(&mut self.is_decided, true) && !self.empty_volume {
            self.empty_volume = !holds_state()?;
        }
        Ok(())
    }

    /// Whether the volume held no state when a start began, and no server has started since.
    #[must_use]
    pub const fn empty_volume(&self) -> bool {
        self.empty_volume
    }

    /// As [`Self::look_for_state`], and saves the ledger if the volume is empty.
    pub fn record_empty(&mut self, holds_state: &dyn Fn() -> Result<bool>) -> Result<()> {
        self.look_for_state(holds_state)?;
        if self.empty_volume { self.save() } else { Ok(()) }
    }

    /// Forgets that the volume was empty, because all scripts have run or the server is about to start.
    pub fn forget_empty(&mut self) -> Result<()> {
        if !self.empty_volume {
            return Ok(());
        }
        self.empty_volume = false;
        self.save()
    }
}
