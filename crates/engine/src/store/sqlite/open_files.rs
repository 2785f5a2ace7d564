//! Whether SQLite has opened the file that it was told to open.
//!
//! SQLite opens by path. The owner of a folder above a database can put a link there for a moment, which leads root to a
//! database of root's. The kernel knows the path of each open file, so we ask it after the first read.

use std::{collections::BTreeSet, ffi::OsString, os::unix::fs::MetadataExt};

use rusqlite::ffi;

use super::source::beside;
use crate::prelude::*;

/// The open files of this process by number and path; `None` if no other user could replace a folder, or without `/proc`.
#[derive(Debug)]
pub(super) struct OpenFiles(Option<BTreeSet<(OsString, PathBuf)>>);

impl OpenFiles {
    /// The files that are open before the database at `path` is opened.
    pub fn beneath_others(path: &Path) -> Self {
        // A folder that cannot be looked at may belong to anyone.
        let of_others = |folder: &Path| fs::metadata(folder).map_or(true, |meta| meta.uid() != 0);
        let can_change = nix::unistd::geteuid().is_root() && path.ancestors().skip(1).any(of_others);
        Self(if can_change { open_files() } else { None })
    }

    /// Fails if a file that was opened since then has the name of the database or of a file beside it, and another path.
    pub fn refuse_other_file(&self, path: &Path) -> rusqlite::Result<()> {
        let Some((before, now)) = self.0.as_ref().zip(open_files()) else { return Ok(()) };
        let expected = ["", "-wal", "-shm", "-journal"].map(|suffix| beside(path, suffix));
        let is_other = |found: &PathBuf| {
            expected.iter().any(|path| path.file_name() == found.file_name()) && !expected.contains(found)
        };
        if now.iter().any(|(_, found)| found == path) && !now.difference(before).any(|(_, found)| is_other(found)) {
            return Ok(());
        }
        let why = "a folder above it was replaced while it was opened".to_owned();
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(why)))
    }
}

fn open_files() -> Option<BTreeSet<(OsString, PathBuf)>> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.flatten();
    let found = entries.filter_map(|entry| Some((entry.file_name(), fs::read_link(entry.path()).ok()?)));
    Some(found.map(|(number, path)| (number, without_mark(path))).collect())
}

/// The kernel adds this to the path of a file that a server has replaced meanwhile.
fn without_mark(path: PathBuf) -> PathBuf {
    path.to_str().and_then(|text| text.strip_suffix(" (deleted)")).map(PathBuf::from).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_opened_elsewhere_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::chown(folder.path(), Some(1000), None).expect("changes");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::create_dir(&one).expect("a folder");
        let path = one.join("x.db");
        let before = OpenFiles::beneath_others(&path);
        let file = fs::File::create(&path).expect("a file");
        before.refuse_other_file(&path).expect("is that file");
        std::os::unix::fs::symlink(&one, &other).expect("a link");
        before.refuse_other_file(&other.join("x.db")).expect_err("is behind a link");
        drop(file);
        before.refuse_other_file(&path).expect_err("is not open");
    }
}
