//! The file that a backup is until it is whole and verified: hidden, beside its name.

use std::{
    ffi::OsStr,
    fs::{self, DirEntry},
    path::{Path, PathBuf},
    time::Duration,
};

use super::name;
use seqbac_header::Id;
use volume::{
    durable,
    error::{Error, Result},
};

/// No backup takes longer.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 60 * 60);

/// A file under a temporary name; removed unless it is named.
pub(super) struct Temporary {
    path: PathBuf,
    id: Id,
}

impl Temporary {
    /// Of its own name: others may keep their backups in the same folder, and process ids are small in containers.
    pub fn of(path: &Path, id: Id) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self { path: path.with_file_name(format!(".{name}.{id}.tmp")), id }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name; where that is taken, one with the time added; and where another volume's backup was made in the
    /// same second, one with the id as well.
    pub fn name_it(self, path: &Path, may_add_time: Option<jiff::Timestamp>) -> Result<PathBuf> {
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
    Error::usage(format!("{} exists already, and a backup never replaces a file", path.display()))
        .hint("name another file with --output")
}

/// What a crash left: the backup lock is ours, so nobody is writing them. In a folder that is not the volume's, others
/// may be: there they go when they are a day old.
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
        log::info!("removed {}, which an interrupted backup left", entry.path().display());
        drop(fs::remove_file(entry.path()));
    }
}
