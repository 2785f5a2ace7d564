//! `manifest.json`, which describes the content of a backup. It comes before the first member.

use std::{collections::BTreeMap, os::unix::fs::MetadataExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use volume::xattrs::{self, Xattrs};

use super::{HardLink, SparseFile};
use crate::{
    metastore,
    prelude::*,
    quarantine::record::FILE_NAME as QUARANTINE,
    store::{DatabaseFacts, ForeignDatabase, Note, Shapes},
};
use profile::Apps;

/// The folder inside the archive for the server's state. It keeps a server's own `manifest.json` apart from ours.
const MEMBER_PREFIX: &str = "state";

/// The folder inside the archive for moorline's own records.
const OWN_PREFIX: &str = "moorline";

/// Why a backup was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// Daily, before the server starts, or with `--scheduled`. Retention counts these.
    Scheduled,
    /// A person or a script requested it.
    Immediate,
}

/// The description of a backup's content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of moorline that wrote it.
    pub moorline: String,
    /// When its transactions began.
    pub created: jiff::Timestamp,
    /// Why it was taken.
    pub kind: BackupKind,
    /// The instance that took it.
    pub instance: Id,
    /// Name of the profile. Absent if the state was discovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Whether the profile describes the server's apps.
    pub apps: Apps,
    /// Whether the state is in quarantine. If so, the quarantine record is the member `moorline/quarantine.json`.
    #[serde(default)]
    pub quarantined: bool,
    /// Whether the volume did not record the backup's id, because the backup is a stream or the volume cannot be written. Such
    /// a backup is never a sign of another volume with the same instance id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unrecorded: bool,
    /// The globs that selected the state.
    pub scope: Scope,
    /// SQLite databases, in the order of their members.
    pub databases: Vec<DatabaseFacts>,
    /// Databases of other engines, which are in the backup as plain files. Older backups do not record them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignDatabase>,
    /// The captures whose output the backup contains. Older backups have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<CapturedPaths>,
    /// Stores that are suddenly empty, unless `--not-suspect` accepted them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suspect: Vec<Note>,
    /// Paths that were left out or are unusual, each with the reason.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Owner, mode and extended attributes of the storage root. Older backups do not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<RootFacts>,
    /// Files with holes. The archive contains zeros for the holes. Older backups do not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<Vec<SparseFile>>,
    /// The further names of files that have several. The archive contains the whole file under each name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hard_links: Vec<HardLink>,
}

/// Owner, mode and extended attributes of the storage root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFacts {
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Permission bits. The group's bits are the rights of the group, also if there is an access list.
    pub mode: u32,
    /// The values by name, in base64. Older backups do not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xattrs: Option<BTreeMap<String, String>>,
}

impl RootFacts {
    /// The facts of the directory `root`.
    pub fn of(root: &Path) -> Result<Self> {
        let meta = fs::metadata(root).on("access", root)?;
        // `root` may be a link.
        let xattrs = xattrs::kept(&root.join(".")).on("read the extended attributes of", root)?;
        let mode = xattrs::narrowed(meta.mode() & 0o7777, &xattrs);
        Ok(Self { uid: meta.uid(), gid: meta.gid(), mode, xattrs: None }.with_attributes(xattrs))
    }

    /// The same with other attributes.
    #[must_use]
    pub fn with_attributes(self, xattrs: Xattrs) -> Self {
        let in_utf8 = xattrs.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let xattrs = in_utf8.map(|(name, value)| (name, BASE64_STANDARD.encode(value))).collect();
        Self { xattrs: Some(xattrs), ..self }
    }

    /// The extended attributes; none if they are not known, or malformed.
    #[must_use]
    pub fn attributes(&self) -> Xattrs {
        let decode = |(name, value): (&String, &String)| Some((name.into(), BASE64_STANDARD.decode(value).ok()?));
        self.xattrs.iter().flatten().filter_map(decode).collect()
    }

    /// User and group.
    #[must_use]
    pub const fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }
}

/// Paths of the state that a capture command wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapturedPaths {
    /// The name of the capture in the profile.
    pub name: String,
    /// The replaced paths, relative to the storage root. A restore empties them first.
    pub replaces: Vec<RelPath>,
    /// The member that the profile's `unpack` turns into the replaced folder at a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpack: Option<RelPath>,
    /// Whether the profile's `prepare` has to run at a restore.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prepare: bool,
}

impl CapturedPaths {
    pub(super) fn of(capture: &profile::Capture) -> Self {
        let unpack = match &capture.form {
            profile::capture::Form::File { path, .. } if !capture.unpack.is_empty() => Some(path.clone()),
            _ => None,
        };
        let (name, replaces) = (capture.name.clone(), capture.replaces.clone());
        Self { name, replaces, unpack, prepare: !capture.prepare.is_empty() }
    }
}

impl Manifest {
    /// Serializes the manifest as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::new(Code::Bug, format!("cannot serialize the manifest: {cause}")))
    }

    /// Parses a manifest. If that fails, the error is `ContentMismatch`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|cause| {
            Error::new(Code::ContentMismatch, format!("cannot parse the backup's manifest: {cause}"))
                .hint("if a newer moorline took the backup, use that version")
        })
    }

    /// The shapes of files, for a stager that names the members with `name`.
    pub(crate) fn shapes(&self, name: impl Fn(&RelPath) -> RelPath) -> Shapes {
        let sparse =
            |files: &Vec<SparseFile>| files.iter().map(|file| (name(&file.path), file.extents.clone())).collect();
        Shapes {
            sparse: self.sparse.as_ref().map(sparse),
            links: self.hard_links.iter().map(|link| (name(&link.path), name(&link.link_to))).collect(),
        }
    }

    /// The bytes that a restored file needs on disk, if they are fewer than its length.
    #[must_use]
    pub fn needed(&self) -> BTreeMap<&RelPath, u64> {
        let sparse = self.sparse.iter().flatten().map(|file| (&file.path, file.allocated));
        sparse.chain(self.hard_links.iter().map(|link| (&link.path, 0))).collect()
    }

    /// Whether the backup contains the console's database.
    #[must_use]
    pub fn has_metastore(&self) -> bool {
        self.database(&metastore::path()).is_some()
    }

    /// The facts of one database, if the backup contains it.
    #[must_use]
    pub fn database(&self, path: &RelPath) -> Option<&DatabaseFacts> {
        self.databases.iter().find(|database| database.path == *path)
    }
}

/// The path in the archive for a path of the state, or for the console's database.
pub(crate) fn member_of(path: &RelPath) -> RelPath {
    if path.as_path() == Path::new(metastore::PATH) {
        return metastore_member();
    }
    RelPath::new(Path::new(MEMBER_PREFIX).join(path.as_path())).unwrap_or_else(|_| path.clone())
}

pub(crate) fn quarantine_member() -> RelPath {
    RelPath::new(Path::new(OWN_PREFIX).join(QUARANTINE)).expect("two plain names make a relative path")
}

pub(crate) fn metastore_member() -> RelPath {
    RelPath::new(metastore::MEMBER).expect("two plain names make a relative path")
}

/// The path on the volume for a member of the state, or for the console's database.
pub(crate) fn state_of(member: &RelPath) -> Option<RelPath> {
    if *member == metastore_member() {
        return Some(metastore::path());
    }
    RelPath::new(member.as_path().strip_prefix(MEMBER_PREFIX).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_quarantined_means_no_quarantine() {
        let text = r#"{"moorline": "0.1.0", "created": "2026-01-31T03:00:00Z", "kind": "immediate", "apps": "unknown",
                       "instance": "000102030405060708090a0b0c0d0e0f", "scope": {"discover": true}, "databases": []}"#;
        assert!(!Manifest::parse(text.as_bytes()).expect("parses").quarantined);
    }
}
