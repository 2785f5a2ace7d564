//! A folder for a program that writes files itself: made in the spool, read as if it were part of the volume, and removed
//! afterwards.

use std::{
    fs::File,
    os::unix::fs::{PermissionsExt, chown},
};

use nix::fcntl::OFlag;
use tempfile::TempDir;

use super::{Spool, SurveyEntry, beneath::Beneath, child};
use crate::prelude::*;
use process::User;

/// A private folder of one user. The user can put links there at any time, so its files are opened beneath the folder.
#[derive(Debug)]
pub struct Scratch {
    folder: TempDir,
    beneath: Beneath,
}

impl Scratch {
    /// Removes the folders that a killed process has left: all whose names begin with `prefix`.
    pub fn clear(spool: &Spool, prefix: &str) {
        for entry in spool.places().iter().flat_map(fs::read_dir).flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix)
                && let Err(cause) = fs::remove_dir_all(entry.path())
            {
                log::warn!("{}", Error::io("remove", &entry.path(), &cause));
            }
        }
    }

    /// Creates a folder below the first place of the spool that has room and that the user can enter. `prefix` begins its
    /// name.
    pub fn create(spool: &Spool, prefix: &str, user: &User) -> Result<Self> {
        let mut refused = Vec::new();
        for place in spool.places() {
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
                    let beneath = Beneath::open(path).on("open", path)?;
                    return Ok(Self { folder, beneath });
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
        self.folder.path()
    }

    /// Opens a file that [`Self::entries`] has found. Fails if it has changed its size since then, or is another kind of file.
    pub fn open(&mut self, found: &RelPath, size: u64) -> Result<File> {
        let path = found.under(self.folder.path());
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let file = File::from(self.beneath.open_file(found, flags).on("open", &path)?);
        let meta = file.metadata().on("read the metadata of", &path)?;
        if !meta.is_file() || meta.len() != size {
            let what = format!("{} was changed after its command had ended", path.display());
            return Err(Error::new(Code::TryAgain, what)
                .hint("let the command wait for its children, and take the backup again"));
        }
        Ok(file)
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
