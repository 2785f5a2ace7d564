//! Directories below a root, opened one name at a time and never through a link.
//!
//! Links are the server's to make, even while we walk: a path that is handed to the kernel whole can be led anywhere.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{self, OFlag},
    sys::stat::{self, Mode},
};

use seqbac_header::RelPath;

/// A root, and the directory below it that was asked for last: members come sorted, so it is mostly the right one.
pub struct Beneath {
    root: OwnedFd,
    last: Option<(RelPath, OwnedFd)>,
}

impl fmt::Debug for Beneath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beneath").finish_non_exhaustive()
    }
}

const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Beneath {
    /// The directory `root`, which may be reached through links.
    pub fn open(root: &Path) -> nix::Result<Self> {
        Ok(Self { root: fcntl::open(root, LOOK, Mode::empty())?, last: None })
    }

    /// The directory that `path` is in, and its last name.
    pub fn parent<'a>(&'a mut self, path: &'a RelPath) -> nix::Result<(BorrowedFd<'a>, &'a OsStr)> {
        let name = path.as_path().file_name().unwrap_or_default();
        Ok((self.dir(path.parent(), None)?, name))
    }

    /// As [`Self::parent`], but makes directories that are missing, with `mode`; tells `made` of each.
    pub fn parent_made<'a>(
        &'a mut self,
        path: &'a RelPath,
        mode: Mode,
        made: &mut dyn FnMut(RelPath),
    ) -> nix::Result<(BorrowedFd<'a>, &'a OsStr)> {
        let name = path.as_path().file_name().unwrap_or_default();
        Ok((self.dir(path.parent(), Some((mode, made)))?, name))
    }

    fn dir(
        &mut self,
        path: Option<RelPath>,
        mut make: Option<(Mode, &mut dyn FnMut(RelPath))>,
    ) -> nix::Result<BorrowedFd<'_>> {
        let Some(path) = path else { return Ok(self.root.as_fd()) };
        if self.last.as_ref().is_none_or(|(last, _)| *last != path) {
            self.last = None;
            let mut at: Option<(RelPath, OwnedFd)> = None;
            for name in path.as_path() {
                let next = match &at {
                    Some((above, _)) => above.child(name),
                    None => RelPath::new(name).map_err(|_| Errno::EINVAL)?,
                };
                let parent = at.as_ref().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
                let fd = match fcntl::openat(parent, name, LOOK | OFlag::O_NOFOLLOW, Mode::empty()) {
                    Err(Errno::ENOENT) if make.is_some() => {
                        if let Some((mode, made)) = make.as_mut() {
                            stat::mkdirat(parent, name, *mode)?;
                            made(next.clone());
                        }
                        fcntl::openat(parent, name, LOOK | OFlag::O_NOFOLLOW, Mode::empty())?
                    }
                    other => other?,
                };
                at = Some((next, fd));
            }
            self.last = at;
        }
        let (_, fd) = self.last.as_ref().ok_or(Errno::EINVAL)?;
        Ok(fd.as_fd())
    }

    /// Opens the file at `path`, which must not be a link.
    pub fn open_file(&mut self, path: &RelPath, flags: OFlag) -> nix::Result<OwnedFd> {
        let (dir, name) = self.parent(path)?;
        let name = OsString::from(name);
        fcntl::openat(dir, name.as_os_str(), flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
    }
}
