//! One walk over the volume, before any content is read: which paths are state, which are left out, and why.
//!
//! - Databases and backups are recognized by their headers, not by their names. Backups are never captured.
//! - A database's `-wal`, `-shm` and `-journal` are never captured as files, because SQLite reads them.
//! - Links are recorded and never followed.
//! - A mount point below the root is part of the volume, and gets a note.
//! - A path that cannot be read is an error, because a backup that silently lacks a file is worse than no backup.
//! - Access lists and extended attributes are read later, by `attributes.rs`.

mod entry;
mod walk;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
};

use self::{
    entry::TWO_NAMES,
    walk::{Seen, Walk},
};
use super::{Matcher, foreign::Recognised};
use crate::prelude::*;

pub(super) use self::entry::{Born, born};
pub use self::entry::{Note, NoteKind, SurveyEntry};

/// The first bytes of every SQLite database.
const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// The first bytes of every `.seqbac` file.
const SEQBAC_MAGIC: &[u8; 8] = b"\x89SBC\r\n\x1a\n";
/// The suffixes that SQLite adds to a database's name for its sidecar files.
pub(crate) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The length of the smallest possible database in bytes: one page of the minimum size.
const SMALLEST_DATABASE: u64 = 512;

/// The state on a volume.
#[derive(Debug, Default)]
pub struct Survey {
    /// Sorted by path.
    pub databases: Vec<SurveyEntry>,
    /// Files, directories and links, sorted by path, so that a directory comes before its content. The list includes
    /// all directories above a captured path, because a restore needs their owners and modes.
    pub files: Vec<SurveyEntry>,
    /// Files that match a glob for databases but have no SQLite header. A backup refuses them; a restore may be about
    /// to replace them.
    pub not_databases: Vec<RelPath>,
    /// Databases of other engines among the files, sorted by path.
    pub(crate) foreign: Vec<Recognised>,
    /// Paths that were left out or are unusual, each with the reason.
    pub notes: Vec<Note>,
    /// Databases and their sidecars, by device and inode. They must never be opened as files.
    pub(super) untouchable: HashSet<(u64, u64)>,
}

/// Walks over everything below `root`. Call this before this process opens any of its databases with SQLite.
pub fn survey(root: &Path, matcher: &Matcher) -> Result<Survey> {
    let mut survey = Survey::default();
    let mut directories = HashMap::new();
    let mut walk = Walk::new(root, matcher)?;
    while let Some(seen) = walk.advance()? {
        match seen {
            Seen::Taken(found) if found.kind == PathKind::Database => survey.databases.push(found),
            Seen::Taken(found) => survey.files.push(found),
            Seen::Directory(found) => drop(directories.insert(found.path.clone(), found)),
            Seen::Sidecar(id) => drop(survey.untouchable.insert(id)),
            Seen::NotADatabase(found) => survey.not_databases.push(found.path),
            Seen::Foreign(found) => survey.foreign.push(found),
            Seen::Note(note) => survey.notes.push(note),
        }
    }
    survey.add_directories_above(directories);
    survey.databases.sort_by(|a, b| a.path.cmp(&b.path));
    survey.note_databases_with_two_names();
    survey.leave_out_sidecars_under_other_names();
    survey.files.sort_by(|a, b| a.path.cmp(&b.path));
    survey.foreign.sort();
    survey.foreign.dedup_by(|a, b| (&a.path, a.engine) == (&b.path, b.engine));
    survey.notes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(survey)
}

/// Whether the scope contains any state: a file, a link or a database. Directories alone do not count.
pub fn holds_state(root: &Path, matcher: &Matcher) -> Result<bool> {
    let mut walk = Walk::new(root, matcher)?;
    while let Some(seen) = walk.advance()? {
        match seen {
            Seen::NotADatabase(_) => return Ok(true),
            Seen::Taken(found) if found.kind != PathKind::Directory => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// Whether the file at `path` has the header of a SQLite database. Never call this while this process has the database
/// open in SQLite, because closing the file drops SQLite's locks.
pub(crate) fn is_database(path: &Path) -> Result<bool> {
    Ok(walk::content(path)? == Some(walk::Content::Database))
}

/// Whether the file at `path` has the header of a backup. Call this only while this process has no database open.
pub(crate) fn is_backup(path: &Path) -> Result<bool> {
    Ok(walk::content(path)? == Some(walk::Content::Backup))
}

/// The kind of the file at `path`, with the restriction of [`is_database`]; `None` if nothing exists there.
pub(crate) fn kind(path: &Path) -> Result<Option<PathKind>> {
    let Some(kind) = presence::entry(path)?.map(|meta| meta.file_type()) else { return Ok(None) };
    Ok(Some(match () {
        () if kind.is_symlink() => PathKind::Symlink,
        () if kind.is_dir() => PathKind::Directory,
        () if kind.is_file() && is_database(path)? => PathKind::Database,
        () => PathKind::File,
    }))
}

/// The database to which a `-wal`, `-shm` or `-journal` file belongs, judging by the name alone.
pub(crate) fn sidecar_base(path: &RelPath) -> Option<RelPath> {
    let bytes = path.as_bytes();
    let base = SIDECARS.iter().find_map(|sidecar| bytes.strip_suffix(sidecar.as_bytes()))?;
    RelPath::new(OsStr::from_bytes(base)).ok()
}

/// The path of `name` in a directory; `None` is the storage root.
pub(crate) fn child(directory: Option<&RelPath>, name: &OsStr) -> Result<RelPath> {
    match directory {
        Some(directory) => Ok(directory.child(name)),
        None => RelPath::new(name).map_err(|cause| Error::new(Code::Bug, cause.to_string())),
    }
}

impl Survey {
    fn add_directories_above(&mut self, mut directories: HashMap<RelPath, SurveyEntry>) {
        let taken: Vec<_> = self.databases.iter().chain(&self.files).map(|found| found.path.clone()).collect();
        for path in taken {
            let mut above = path.parent();
            // If a directory was already taken out of the map, so were all directories above it.
            while let Some(found) = above.as_ref().and_then(|path| directories.remove(path)) {
                above = found.path.parent();
                self.files.push(found);
            }
        }
    }

    fn note_databases_with_two_names(&mut self) {
        let mut by_id = BTreeMap::new();
        for found in &self.databases {
            self.untouchable.insert(found.id());
            if let Some(first) = by_id.insert(found.id(), &found.path) {
                let what = format!("{TWO_NAMES} {first}: SQLite does not support a database with two names");
                self.notes.push(Note { path: found.path.clone(), what });
            }
        }
    }

    fn leave_out_sidecars_under_other_names(&mut self) {
        let (sidecars, files): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|found| self.untouchable.contains(&found.id()));
        self.files = files;
        let what = "left out: a hard link to a file of a database";
        self.notes.extend(sidecars.into_iter().map(|found| Note { path: found.path, what: what.to_owned() }));
    }
}
