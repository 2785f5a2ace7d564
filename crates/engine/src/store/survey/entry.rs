//! One path of the volume, with its metadata.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use rustix::fs::{AtFlags, StatxFlags, statx};

use crate::prelude::*;

/// A path that belongs to the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyEntry {
    /// Relative to the storage root.
    pub path: RelPath,
    /// Kind of file.
    pub kind: PathKind,
    /// Target of a link.
    pub target: Option<PathBuf>,
    /// In bytes, as the file system reports it. For a database, this does not include its `-wal`.
    pub size: u64,
    /// Disk usage in bytes.
    pub allocated: u64,
    /// Permission bits.
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Last change, in seconds since 1970.
    pub mtime_secs: i64,
    /// Nanoseconds of the last change.
    pub mtime_nanos: u32,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// The number of names that the file has, on the volume or outside of the state.
    pub links: u64,
    /// When the inode was created, if the file system records it. A new file often gets the inode number of one that was just
    /// removed.
    pub born: Option<Born>,
}

/// Seconds since 1970, and nanoseconds.
pub type Born = (i64, u32);

/// When the inode of an open file was created, if the file system records it.
pub fn born(file: &File) -> Option<Born> {
    let found = statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BTIME).ok()?;
    let is_known = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    is_known.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec))
}

/// A remark about a path, for the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Relative to the storage root.
    pub path: RelPath,
    /// The text.
    pub what: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The backup does not contain the path.
    LeftOut,
    /// A link that leads out of the volume.
    Link,
    /// A mount inside the volume.
    Mount,
    /// A further name of a database.
    TwoNames,
    /// Anything else that is unusual.
    Other,
}

/// How the notes of each kind begin. Manifests contain only the text.
const BEGINNINGS: [(&str, NoteKind); 5] = [
    ("left out", NoteKind::LeftOut),
    (LINK, NoteKind::Link),
    (MOUNT, NoteKind::Mount),
    (TWO_NAMES, NoteKind::TwoNames),
    // As moorline 0.1 wrote it.
    ("on a different file system", NoteKind::Mount),
];
pub(super) const LINK: &str = "points outside the volume";
pub(super) const TWO_NAMES: &str = "the same file as";
pub(super) const MOUNT: &str = "a mount inside the volume";

impl Note {
    /// The kind of the note, by its text.
    #[must_use]
    pub fn kind(&self) -> NoteKind {
        let of = BEGINNINGS.iter().find(|(beginning, _)| self.what.starts_with(beginning));
        of.map_or(NoteKind::Other, |(_, kind)| *kind)
    }
}

impl SurveyEntry {
    pub(in crate::store) fn new(path: RelPath, kind: PathKind, target: Option<PathBuf>, meta: &Metadata) -> Self {
        Self {
            path,
            kind,
            target,
            size: if kind == PathKind::Directory { 0 } else { meta.len() },
            allocated: meta.blocks() * 512,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime_secs: meta.mtime(),
            mtime_nanos: u32::try_from(meta.mtime_nsec()).unwrap_or(0),
            dev: meta.dev(),
            ino: meta.ino(),
            links: meta.nlink(),
            born: None,
        }
    }

    /// The entry for a directory.
    #[must_use]
    pub fn directory(path: RelPath, meta: &Metadata) -> Self {
        Self::new(path, PathKind::Directory, None, meta)
    }

    /// The entry for the database at a fixed path. Returns `None` if the file does not exist or is empty. The file is
    /// not opened, because this process may have it open in SQLite.
    pub fn database(root: &Path, path: &RelPath) -> Result<Option<Self>> {
        let full = path.under(root);
        let Some(meta) = presence::entry(&full)? else { return Ok(None) };
        if !meta.is_file() {
            let what = format!("{} should be a database, but is not a regular file", full.display());
            return Err(Error::new(Code::Unexpected, what)
                .hint("move it to another place: moorline only creates a database under this name"));
        }
        Ok((meta.len() > 0).then(|| Self::new(path.clone(), PathKind::Database, None, &meta)))
    }

    /// Device and inode.
    #[must_use]
    pub const fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// The archive entry for this path, with `size` bytes of content.
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
            xattrs: Default::default(),
            torn,
        }
    }
}
