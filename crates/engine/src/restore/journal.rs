//! `journal.json` of a restore set: what is to be moved, and how far it got.
//!
//! A journal is written whole at each change of state. Every move in it is at most two renames, each of which can be
//! told done or not done from what exists in the restore set, so that both doing and undoing the list may be started
//! again after a crash.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use super::AppsState;
use profile::Scope;
use seqbac_header::{Id, RelPath};
pub use volume::restores::JournalState;
use volume::restores::{ScriptStep, damaged};
use volume::{
    durable,
    error::{Code, Error, IoContext, Result},
};

/// One path that changes. `old` and `new` are relative to `.moorline/restores/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The path below the storage root.
    pub path: RelPath,
    /// Where what is there now goes; absent where nothing is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<RelPath>,
    /// Where what comes there is; absent where nothing comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<RelPath>,
}

/// Where the new state came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreSource {
    /// A backup.
    Backup {
        /// Its file, as it was named.
        file: String,
        /// When it was made.
        created: jiff::Timestamp,
        /// What became of the apps.
        apps: AppsState,
    },
    /// What another restore had replaced.
    Rollback {
        /// That restore's set.
        of: Id,
    },
}

/// The journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journal {
    /// The restore set's id.
    pub id: Id,
    /// How far it is.
    pub state: JournalState,
    /// When it was committed.
    pub committed: jiff::Timestamp,
    /// Where the new state came from.
    pub source: RestoreSource,
    /// The init script's command that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptStep>,
    /// The scopes that it was exact within: a path is in it if each of them takes it.
    pub scopes: Vec<Scope>,
    /// Paths that it brought although a scope leaves them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<RelPath>,
    /// The list.
    pub moves: Vec<Move>,
}

impl Journal {
    /// The journal in a set's folder; `None` where there is none yet.
    ///
    /// # Errors
    /// Where it cannot be read: a person has to look then.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("journal.json");
        let text = match fs::read(&path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.on("read", &path)?,
        };
        serde_json::from_slice(&text).map(Some).map_err(|cause| damaged(&path, &cause))
    }

    /// Writes it, durably, in another state.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn save(&mut self, folder: &Path, state: JournalState) -> Result<()> {
        self.state = state;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("the journal cannot be written: {cause}")))?;
        durable::write(&folder.join("journal.json"), &text, 0o600)
    }
}
