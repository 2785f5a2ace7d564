//! The folder of one attempt to run a program: its report, its variables for the server, a copy of its text, and the links
//! `seqsvr` and `moorline`.
//!
//! Without `--user` this is the spool, and the links are in `.moorline/bin`. With `--user` it is a private temporary folder
//! outside the volume that belongs to the script's user. The server's user may own the volume and swap folders on it, so
//! root creates nothing there for it. A script that runs as root gets a folder of root's: Python imports modules from the
//! folder of its script, and in `/tmp` every user can put some.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, lchown, symlink},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use process::{Own, User};
use volume::{
    Volume,
    error::{IoContext, Result},
};

/// Where a temporary folder is tried, after `TMPDIR`.
const PLACES: [&str; 4] = ["/tmp", "/dev/shm", "/run", "/var/tmp"];

#[derive(Debug)]
pub struct ScriptFolder {
    path: PathBuf,
    /// A temporary folder, and its owner if that is not this process's user.
    temporary: Option<(TempDir, Option<User>)>,
}

impl ScriptFolder {
    /// The spool of the volume.
    pub fn spool(volume: &Volume) -> Self {
        Self { path: volume.spool(), temporary: None }
    }

    /// A private temporary folder of the user with links to this program.
    pub fn temporary(volume: &Volume, own: &Own, user: Option<&User>) -> Result<Self> {
        let places = || std::iter::once(std::env::temp_dir()).chain(PLACES.map(PathBuf::from));
        let folder = match user {
            // Created as the user, because root may not be allowed to give it away; else, if the user can write nowhere, given
            // away.
            Some(user) => places()
                .find_map(|place| user.acting(|| create(&place)).ok())
                .map(Ok)
                .or_else(|| places().chain([volume.spool()]).find_map(|place| given(&place, user).ok()).map(Ok)),
            None => places().find_map(|place| create(&place).ok()).map(Ok),
        };
        let folder =
            folder.unwrap_or_else(|| create(&volume.spool())).on("create a folder in", &std::env::temp_dir())?;
        let path = folder.path().to_owned();
        let made = Self { path, temporary: Some((folder, user.cloned())) };
        for name in ["seqsvr", "moorline"] {
            let link = made.path.join(name);
            made.acting(|| symlink(own.path(), &link)).on("create", &link)?;
        }
        Ok(made)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the links to this program are here, and not in `.moorline/bin`.
    pub const fn has_links(&self) -> bool {
        self.temporary.is_some()
    }

    /// Creates a private file of the script's user. In the spool, it replaces a file that a crash left.
    pub fn create_file(&self, name: &str) -> Result<(File, PathBuf)> {
        let path = self.path.join(name);
        let create = || {
            match std::fs::remove_file(&path) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(cause),
                _ => {}
            }
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)
        };
        let file = self.acting(create).on("create", &path)?;
        Ok((file, path))
    }

    fn acting<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.temporary {
            Some((_, Some(user))) => user.acting(work),
            _ => work(),
        }
    }
}

impl Drop for ScriptFolder {
    fn drop(&mut self) {
        // As its owner: root may have no right to remove another user's files, and the user may have put links there.
        match self.temporary.take() {
            Some((folder, Some(user))) => drop(user.acting(|| folder.close())),
            other => drop(other),
        }
    }
}

fn create(place: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix("moorline-").permissions(Permissions::from_mode(0o700)).tempdir_in(place)
}

fn given(place: &Path, user: &User) -> io::Result<TempDir> {
    let folder = create(place)?;
    lchown(folder.path(), Some(user.uid()), Some(user.gid()))?;
    Ok(folder)
}
