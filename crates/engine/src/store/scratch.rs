//! A folder for a program that writes files itself: made in the spool, read as if it were part of the volume, and removed
//! afterwards.

use std::os::unix::fs::{PermissionsExt, chown};

use tempfile::TempDir;

use super::{Spool, SurveyEntry, child};
use crate::prelude::*;
use process::User;

/// A private folder of one user.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    /// Creates a folder below the first place of the spool that has room and that the user can enter. `prefix` begins its
    /// name. Folders with this prefix that a killed process has left are removed.
    pub fn create(spool: &Spool, prefix: &str, user: &User) -> Result<Self> {
        let mut refused = Vec::new();
        for place in spool.places() {
            remove_leftovers(place, prefix);
            if !user.may(place, 1) {
                refused.push(format!("the user {} cannot enter {}", user.spec(), place.display()));
                continue;
            }
            if spool.is_full(place) {
                refused.push(format!("{} has no free space", place.display()));
                continue;
            }
            match tempfile::Builder::new().prefix(prefix).tempdir_in(place) {
                Ok(folder) => {
                    let path = folder.path();
                    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).on("set the mode of", path)?;
                    chown(path, Some(user.uid()), Some(user.gid())).on("set the owner of", path)?;
                    return Ok(Self(folder));
                }
                Err(cause) => {
                    refused.push(Error::io("create a temporary folder in", place, &cause).message().to_owned());
                }
            }
        }
        let what = format!("a temporary folder has no place: {}", refused.join("; "));
        Err(Error::new(Code::TryAgain, what).hint("name a folder with free space in MOORLINE_SPOOL"))
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Everything in the folder, by the path in it.
    pub fn entries(&self) -> Result<Vec<SurveyEntry>> {
        let mut found = Vec::new();
        let mut waiting: Vec<Option<RelPath>> = vec![None];
        while let Some(folder) = waiting.pop() {
            let full = folder.as_ref().map_or_else(|| self.path().to_owned(), |folder| folder.under(self.path()));
            for entry in fs::read_dir(&full).on("list", &full)? {
                let entry = entry.on("list", &full)?;
                let path = child(folder.as_ref(), &entry.file_name())?;
                let full = entry.path();
                let meta = full.symlink_metadata().on("read the metadata of", &full)?;
                let (kind, target) = match meta.file_type() {
                    kind if kind.is_dir() => (PathKind::Directory, None),
                    kind if kind.is_symlink() => (PathKind::Symlink, Some(fs::read_link(&full).on("read", &full)?)),
                    kind if kind.is_file() => (PathKind::File, None),
                    _ => continue,
                };
                if kind == PathKind::Directory {
                    waiting.push(Some(path.clone()));
                }
                found.push(SurveyEntry::new(path, kind, target, &meta));
            }
        }
        Ok(found)
    }
}

/// The error of a folder that cannot be removed would hide the one that matters: the place is tried next.
fn remove_leftovers(place: &Path, prefix: &str) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
