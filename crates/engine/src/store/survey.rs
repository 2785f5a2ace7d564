//! One walk over the volume, before anything is read: what is state, what is left out, and why.
//!
//! Databases are told by their header, not by their name, and so are backups, which are never captured. A database's
//! `-wal`, `-shm` and `-journal` are part of it and never captured as files: SQLite reads them. Links are recorded and
//! never followed; a mount point below the root is part of the volume, and noted. What cannot be read is an error: a
//! backup that lacks a file and does not say so is worse than none. Access lists and extended attributes are not kept.

mod entry;
mod walk;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    ops::ControlFlow,
    os::unix::ffi::OsStrExt,
    path::Path,
};

pub use self::entry::{Note, SurveyEntry};
use self::walk::{Seen, walk};
use super::Matcher;
use profile::PathKind;
use seqbac_header::RelPath;
use volume::error::Result;

/// The file format's own word for "this is a database".
pub const SQLITE_HEADER: &[u8; 16] = b"SQLite format 3\0";
/// What every `.seqbac` file begins with.
pub const SEQBAC_MAGIC: &[u8; 8] = b"\x89SBC\r\n\x1a\n";
/// What SQLite adds to a database's name for the files beside it.
pub const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// The least bytes a database with a header has: one page of the smallest size.
const SMALLEST_DATABASE: u64 = 512;

/// What is on the volume, as far as it is state.
#[derive(Debug, Default)]
pub struct Survey {
    /// Databases, sorted by path.
    pub databases: Vec<SurveyEntry>,
    /// Files, directories and links, sorted by path, so that a directory comes before what is in it. The directories
    /// above anything taken are among them, for their owners and modes.
    pub files: Vec<SurveyEntry>,
    /// What the profile calls a database, and does not begin like one. A backup cannot do without it; a restore may
    /// be about to replace it.
    pub not_databases: Vec<RelPath>,
    /// What was left out or is odd, and why.
    pub notes: Vec<Note>,
    /// Databases and their sidecars, by device and inode: never to be opened as files.
    pub(super) untouchable: HashSet<(u64, u64)>,
}

/// Walks over all that is below `root`. To be done before SQLite is opened on any of it.
///
/// # Errors
/// Where something cannot be read.
pub fn survey(root: &Path, matcher: &Matcher) -> Result<Survey> {
    let mut survey = Survey::default();
    let mut directories = HashMap::new();
    walk(root, matcher, &mut |seen| {
        match seen {
            Seen::Taken(found) if found.kind == PathKind::Database => survey.databases.push(found),
            Seen::Taken(found) => survey.files.push(found),
            Seen::Directory(found) => drop(directories.insert(found.path.clone(), found)),
            Seen::Sidecar(id) => drop(survey.untouchable.insert(id)),
            Seen::NotADatabase(found) => survey.not_databases.push(found.path),
            Seen::Note(note) => survey.notes.push(note),
        }
        ControlFlow::Continue(())
    })?;
    survey.add_directories_above(directories);
    survey.databases.sort_by(|a, b| a.path.cmp(&b.path));
    survey.note_databases_with_two_names();
    survey.leave_out_sidecars_under_other_names();
    survey.files.sort_by(|a, b| a.path.cmp(&b.path));
    survey.notes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(survey)
}

/// Whether there is any state at all: a file, link or database in scope. Directories alone do not count.
///
/// # Errors
/// As [`survey`].
pub fn holds_state(root: &Path, matcher: &Matcher) -> Result<bool> {
    let mut holds = false;
    walk(root, matcher, &mut |seen| match seen {
        Seen::NotADatabase(_) => {
            holds = true;
            ControlFlow::Break(())
        }
        Seen::Taken(found) if found.kind != PathKind::Directory => {
            holds = true;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(holds)
}

/// Whether the file at `path` has the header of a SQLite database. Opens and closes it: never call this while SQLite
/// is open on it in this process.
///
/// # Errors
/// Where it cannot be read.
pub fn is_database(path: &Path) -> io::Result<bool> {
    Ok(walk::sniff(path)?.is_some_and(|content| content == walk::Content::Database))
}

/// Whether the file's first bytes are those of a backup. To be asked only while this process has no database open.
///
/// # Errors
/// Where it cannot be read.
pub fn is_backup(path: &Path) -> io::Result<bool> {
    Ok(walk::sniff(path)?.is_some_and(|content| content == walk::Content::Backup))
}

/// The database that a path belongs to if it is the `-wal`, `-shm` or `-journal` of one, by its name alone.
#[must_use]
pub fn sidecar_base(path: &RelPath) -> Option<RelPath> {
    let bytes = path.as_bytes();
    let base = SIDECARS.iter().find_map(|sidecar| bytes.strip_suffix(sidecar.as_bytes()))?;
    RelPath::new(std::ffi::OsStr::from_bytes(base)).ok()
}

impl Survey {
    fn add_directories_above(&mut self, mut directories: HashMap<RelPath, SurveyEntry>) {
        let taken: Vec<_> = self.databases.iter().chain(&self.files).map(|found| found.path.clone()).collect();
        for path in taken {
            let mut above = path.parent();
            // What is above a directory that is gone from the map is gone from it, too.
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
                let what = format!("the same file as {first}: SQLite does not support a database with two names");
                self.notes.push(Note { path: found.path.clone(), what });
            }
        }
    }

    fn leave_out_sidecars_under_other_names(&mut self) {
        let (sidecars, files): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.files).into_iter().partition(|found| self.untouchable.contains(&found.id()));
        self.files = files;
        let note = |found: SurveyEntry| Note {
            path: found.path,
            what: "left out: a second name of a database's own file".into(),
        };
        self.notes.extend(sidecars.into_iter().map(note));
    }
}
