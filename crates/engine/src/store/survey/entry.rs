//! One path of the volume, and what was seen of it.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use profile::PathKind;
use seqbac_header::RelPath;
use volume::error::{Code, Error, IoContext, Result};

/// A path that is state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyEntry {
    /// Where it is below the storage root.
    pub path: RelPath,
    /// What it is.
    pub kind: PathKind,
    /// Where a link leads.
    pub target: Option<PathBuf>,
    /// Bytes, as the file system has it. Of a database, without what is in its `-wal`.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, in seconds since 1970.
    pub mtime_secs: i64,
    /// And nanoseconds.
    pub mtime_nanos: u32,
    /// Device it is on.
    pub dev: u64,
    /// Inode.
    pub ino: u64,
}

/// Something that a person should know about a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where it is below the storage root.
    pub path: RelPath,
    /// What about it.
    pub what: String,
}

impl SurveyEntry {
    pub(super) fn new(path: RelPath, kind: PathKind, target: Option<PathBuf>, meta: &Metadata) -> Self {
        Self {
            path,
            kind,
            target,
            size: if kind == PathKind::Directory { 0 } else { meta.len() },
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime_secs: meta.mtime(),
            mtime_nanos: u32::try_from(meta.mtime_nsec()).unwrap_or(0),
            dev: meta.dev(),
            ino: meta.ino(),
        }
    }

    /// A database at a path that no glob needs to find. `None` where there is none, or one without a page. It is not
    /// opened: SQLite may have it open in this process.
    ///
    /// # Errors
    /// Where there is something else than a file, or it cannot be looked at.
    pub fn database(root: &Path, path: &RelPath) -> Result<Option<Self>> {
        let full = path.under(root);
        let meta = match full.symlink_metadata() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.on("look at", &full)?,
        };
        match (meta.is_file(), meta.len()) {
            (true, 0) => Ok(None),
            (true, _) => Ok(Some(Self::new(path.clone(), PathKind::Database, None, &meta))),
            (false, _) => {
                Err(Error::new(Code::Unexpected, format!("{} is no file, and should be a database", full.display()))
                    .hint("move it aside: moorline never makes anything else under this name"))
            }
        }
    }

    /// Device and inode.
    #[must_use]
    pub const fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// The archive's entry for it, where `size` bytes of it were read.
    #[must_use]
    pub fn entry(&self, size: u64, torn: bool) -> seqbac::Entry {
        let kind = match (self.kind, &self.target) {
            (PathKind::Directory, _) => seqbac::Kind::Directory,
            (PathKind::Symlink, Some(target)) => seqbac::Kind::Symlink(target.clone()),
            _ => seqbac::Kind::File,
        };
        seqbac::Entry {
            path: self.path.clone(),
            size: if kind == seqbac::Kind::File { size } else { 0 },
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            mtime_secs: self.mtime_secs,
            mtime_nanos: self.mtime_nanos,
            torn,
        }
    }
}
