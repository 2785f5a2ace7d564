//! `manifest.json`: what a backup holds, written before the first member.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{
    metastore,
    quarantine::record::FILE_NAME as QUARANTINE,
    store::{DatabaseFacts, Note},
};
use profile::{Apps, Scope};
use seqbac_header::{Id, RelPath};
use volume::error::{Code, Error, Result};

/// The folder inside the archive that the server's state is in: beside it a server's own `manifest.json` is no clash.
pub const MEMBER_PREFIX: &str = "state";

/// The folder inside the archive for what moorline itself remembers.
const OWN_PREFIX: &str = "moorline";

/// Why a backup was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// By itself: daily, or before the server starts. Retention counts these.
    Scheduled,
    /// Because somebody asked.
    Immediate,
}

/// What is in a backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of moorline that wrote it.
    pub moorline: String,
    /// When its transactions were open.
    pub created: jiff::Timestamp,
    /// Why it was made.
    pub kind: Kind,
    /// The instance whose state it is.
    pub instance: Id,
    /// The profile's name; absent where discovery decided what the state is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What is known of the server's apps.
    pub apps: Apps,
    /// Whether the state is in quarantine: then the memory of it is a member, [`quarantine_member`].
    #[serde(default)]
    pub quarantined: bool,
    /// The globs that the state was chosen by.
    pub scope: Scope,
    /// The SQLite databases, in the order captured.
    pub databases: Vec<DatabaseFacts>,
    /// Stores that are empty and were not before, unless somebody said that it is as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspect: Vec<Note>,
    /// What was seen and left out, and why.
    #[serde(default)]
    pub notes: Vec<Note>,
}

impl Manifest {
    /// Its bytes.
    ///
    /// # Errors
    /// None in practice.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("the manifest cannot be written: {cause}")))
    }

    /// Reads it.
    ///
    /// # Errors
    /// `ContentMismatch` where it is not a manifest.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|cause| {
            Error::new(Code::ContentMismatch, format!("the backup's manifest cannot be understood: {cause}"))
                .hint("it may have been made by a newer moorline")
        })
    }

    /// Whether the databases had no fault when they were captured.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.databases.iter().all(|database| database.findings.is_empty())
    }

    /// Whether the console's database is in it.
    #[must_use]
    pub fn has_metastore(&self) -> bool {
        self.database(&metastore::path()).is_some()
    }

    /// The facts of one database.
    #[must_use]
    pub fn database(&self, path: &RelPath) -> Option<&DatabaseFacts> {
        self.databases.iter().find(|database| database.path == *path)
    }
}

/// The name in the archive of a path of the state, or of the console's database.
#[must_use]
pub fn member_of(path: &RelPath) -> RelPath {
    if path.as_path() == Path::new(metastore::PATH) {
        return metastore_member();
    }
    RelPath::new(Path::new(MEMBER_PREFIX).join(path.as_path())).unwrap_or_else(|_| path.clone())
}

/// The member that holds the memory of quarantine.
#[must_use]
pub fn quarantine_member() -> RelPath {
    RelPath::new(Path::new(OWN_PREFIX).join(QUARANTINE)).expect("two plain names make a relative path")
}

/// The member that is the console's database.
#[must_use]
pub fn metastore_member() -> RelPath {
    RelPath::new(metastore::MEMBER).expect("two plain names make a relative path")
}

/// The path of the state, or of the console's database, that a name in the archive stands for.
#[must_use]
pub fn state_of(member: &RelPath) -> Option<RelPath> {
    if *member == metastore_member() {
        return Some(metastore::path());
    }
    RelPath::new(member.as_path().strip_prefix(MEMBER_PREFIX).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_from_before_there_was_quarantine_is_in_none() {
        let text = r#"{"moorline": "0.1.0", "created": "2026-01-31T03:00:00Z", "kind": "immediate", "apps": "unknown",
                       "instance": "000102030405060708090a0b0c0d0e0f", "scope": {"discover": true}, "databases": []}"#;
        assert!(!Manifest::parse(text.as_bytes()).expect("parses").quarantined);
    }
}
