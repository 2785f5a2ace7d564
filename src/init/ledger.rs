//! The ledger, `.moorline/init.json`: what each init script has done, for the next start after a crash.
//!
//! It bridges effect and mark. A script's run is written down before it starts, each finished command after it, and
//! the mark before the file is renamed; so a crash at any moment leaves enough to go on from. Where nothing can be
//! renamed in `Init/` it is the only mark there is, which is why a damaged ledger is an error and is never started
//! afresh in silence.

use std::{fs, io::ErrorKind, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use seqbac_header::{Id, RelPath};
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
};

/// What became of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It was set aside.
    Failed,
}

impl Outcome {
    /// The end of a marked script's name.
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
pub enum State {
    /// It is to be run (again).
    Waiting,
    /// It was started. InheritedSignals at a start, it was cut off by a crash.
    Running,
    /// It has ended, and is about to be renamed to this.
    Marking {
        /// What became of it.
        outcome: Outcome,
        /// Its new name.
        name: RelPath,
    },
    /// It is marked.
    Marked {
        /// What became of it.
        outcome: Outcome,
        /// Nothing could be renamed: this entry is the mark.
        in_place: bool,
    },
}

/// One script.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its name in `Init/`.
    pub script: RelPath,
    /// BLAKE3 of its original content, in hexadecimal.
    pub hash: String,
    /// One run to effect of that content, however many attempts it takes.
    pub run: Id,
    /// How often it was started.
    pub attempts: u32,
    /// When an attempt failed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failure: Option<Timestamp>,
    /// Its commands that are done, where it is a built-in script.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands_done: Vec<usize>,
    /// The volume held no state when it was started first, and no server has started since.
    #[serde(default)]
    pub empty_volume: bool,
    /// Why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How far it is.
    pub state: State,
}

/// The ledger of one volume.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    entries: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    scripts: Vec<Entry>,
}

impl Ledger {
    /// The volume's; an empty one where it has none yet.
    ///
    /// # Errors
    /// Where it is there and cannot be read or understood.
    pub fn load(volume: &Volume) -> Result<Self> {
        let path = volume.ledger();
        let text = match fs::read(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Self { path, entries: Vec::new() }),
            other => other.on("read", &path)?,
        };
        let content: Content = serde_json::from_slice(&text).map_err(|cause| {
            Error::new(Code::Unexpected, format!("the init ledger {} is damaged: {cause}", path.display()))
                .hint("see in Init/ that every script that has run is marked .done, then move the ledger aside")
        })?;
        Ok(Self { path, entries: content.scripts })
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// Where it cannot be written: then nothing may be run, because it could not be marked.
    pub fn save(&self) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(&Content { scripts: self.entries.clone() })
            .map_err(|cause| Error::new(Code::Bug, format!("the init ledger cannot be written: {cause}")))?;
        text.push(b'\n');
        durable::write(&self.path, &text, 0o600)
    }

    /// All of it.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// One script's.
    #[must_use]
    pub fn find(&self, script: &RelPath) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.script == *script)
    }

    /// Changes one script's entry, durably.
    ///
    /// # Errors
    /// As [`Ledger::save`].
    pub fn change(&mut self, script: &RelPath, change: impl FnOnce(&mut Entry)) -> Result<()> {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.script == *script) {
            change(entry);
        }
        self.save()
    }

    /// Opens a run of this content, or goes on with the one that has not come to its end. Not written yet.
    ///
    /// # Errors
    /// Where the kernel has no random numbers.
    pub fn open(&mut self, script: &RelPath, hash: &str, empty_volume: bool) -> Result<Entry> {
        let going_on = |entry: &&Entry| entry.hash == hash && matches!(entry.state, State::Waiting | State::Running);
        if let Some(entry) = self.find(script).filter(going_on) {
            return Ok(entry.clone());
        }
        let entry = Entry {
            script: script.clone(),
            hash: hash.to_owned(),
            run: Id::random()?,
            attempts: 0,
            first_failure: None,
            commands_done: Vec::new(),
            empty_volume,
            reason: None,
            state: State::Waiting,
        };
        self.entries.retain(|other| other.script != *script);
        self.entries.push(entry.clone());
        Ok(entry)
    }

    /// The server is about to start: what fails from now on fails on a volume that is in use.
    ///
    /// # Errors
    /// As [`Ledger::save`].
    pub fn server_starts(&mut self) -> Result<()> {
        if !self.entries.iter().any(|entry| entry.empty_volume) {
            return Ok(());
        }
        self.entries.iter_mut().for_each(|entry| entry.empty_volume = false);
        self.save()
    }
}
