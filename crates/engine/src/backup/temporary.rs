//! The hidden file for a backup that is not complete and verified yet.

use std::{ffi::OsStr, fs::DirEntry};

use super::name;
use crate::prelude::*;

/// No backup takes longer than this, so an older temporary file is a leftover.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// A file with a temporary name, removed on drop unless it was renamed.
pub(super) struct Temporary {
    path: PathBuf,
    id: Id,
}

impl Temporary {
    /// The name contains the backup's id, because other volumes may share the folder, and process ids repeat in
    /// containers.
    pub fn of(path: &Path, id: Id) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { path: path.with_file_name(format!(".{name}.{id}.tmp")), id }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file to `path`. If that name is taken, adds the time, and if another volume's backup was taken in
    /// the same second, the id as well.
    pub fn persist(self, path: &Path, may_add_time: Option<jiff::Timestamp>) -> Result<PathBuf> {
        let mut names = vec![path.to_owned()];
        if let Some(created) = may_add_time {
            names.extend([name::with_time(path, created), name::with_time_and_id(path, created, self.id)]);
        }
        for name in names {
            if durable::rename_new(&self.path, &name)? {
                return Ok(name);
            }
        }
        Err(taken_name(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}

pub(super) fn taken_name(path: &Path) -> Error {
    Error::usage(format!("{} exists already, and backup never overwrites a file", path.display()))
        .hint("name another file with --output")
}

/// Removes temporary files that a crash left. In the volume's own folder all of them are leftovers, because we hold the
/// backup lock. Other volumes may share any other folder, so there a file must be a day old.
pub(super) fn remove_leftovers(folder: &Path, is_own: bool) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let ours = |name: &OsStr| {
        name.to_str().is_some_and(|name| name.starts_with('.') && name.contains(".seqbac.") && name.ends_with(".tmp"))
    };
    let is_old = |entry: &DirEntry| {
        let changed = entry.metadata().and_then(|meta| meta.modified());
        changed.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFT_BEHIND))
    };
    for entry in entries.flatten().filter(|entry| ours(&entry.file_name()) && (is_own || is_old(entry))) {
        log::info!("removed {}, left by an interrupted backup", entry.path().display());
        drop(fs::remove_file(entry.path()));
    }
}
