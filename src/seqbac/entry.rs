//! One member of a backup: its path and what the archive knows of it.

use std::path::PathBuf;

use crate::volume::RelPath;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file, or the image of a database.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads.
    Symlink(PathBuf),
}

/// One member of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is below the storage root.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content.
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
    /// It changed each time it was read.
    pub torn: bool,
}
