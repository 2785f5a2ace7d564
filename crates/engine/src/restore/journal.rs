//! `journal.json` of a restore set: the list of moves, and how far it is.
//!
//! The journal is rewritten at each change of state. A move is at most two renames. The files that exist in the restore set
//! show for each rename whether it is done, so that carrying out the list and undoing it are both idempotent after a crash.

use super::AppsState;
use crate::{backup::RootFacts, prelude::*};
use volume::restores::{ScriptStep, damaged};

pub use volume::restores::JournalState;

/// One path that changes. `old` and `new` are relative to `.moorline/restores/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Relative to the storage root.
    pub path: RelPath,
    /// Where the existing file moves to; `None` if the path does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<RelPath>,
    /// Where the new file comes from; `None` if nothing takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<RelPath>,
}

/// The storage root itself before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootChange {
    pub old: RootFacts,
    pub new: RootFacts,
}

/// Where the new state of a restore set came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreSource {
    /// A backup was restored.
    Backup {
        /// The backup file, as the user named it.
        file: String,
        /// When the backup was taken.
        created: jiff::Timestamp,
        /// Whether apps were switched off.
        apps: AppsState,
    },
    /// The state that another restore had replaced.
    Rollback {
        /// The id of that restore.
        of: Id,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Journal {
    pub id: Id,
    pub state: JournalState,
    pub committed: jiff::Timestamp,
    pub source: RestoreSource,
    /// The command of an init script that requested it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptStep>,
    /// The scopes within which the restore was exact. A path is in it if every scope includes it.
    pub scopes: Vec<Scope>,
    /// Paths that the restore created although a scope excludes them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beyond: Vec<RelPath>,
    /// The change of the storage root's owner, mode and extended attributes, if any. It is made after the moves, and undone before they are
    /// reversed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootChange>,
    pub moves: Vec<Move>,
}

impl Journal {
    /// Reads the journal in a set's folder; `None` if it does not exist yet.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("journal.json");
        let text = presence::unless_absent(fs::read(&path)).on("read", &path)?;
        text.map(|text| serde_json::from_slice(&text).map_err(|cause| damaged(&path, &cause))).transpose()
    }

    pub fn save(&mut self, folder: &Path, state: JournalState) -> Result<()> {
        self.state = state;
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("the journal cannot be written: {cause}")))?;
        durable::write(&folder.join("journal.json"), &text, 0o600)
    }
}
