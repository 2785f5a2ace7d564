//! Directories below a root, opened one name at a time and never through a link.
//!
//! A server can create links even while we walk, so a path that the kernel resolves as a whole could lead anywhere.

use std::{
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{self, OFlag},
    sys::stat::{self, Mode},
};

use crate::prelude::*;

/// A root directory, and the last directory that was opened below it. Members are sorted, so consecutive members
/// usually share it.
#[derive(Debug)]
pub struct Beneath {
    root: OwnedFd,
    last: Option<(RelPath, OwnedFd)>,
}

const DIRECTORY_FLAGS: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

impl Beneath {
    /// Opens `root`. Its path may contain links.
    pub fn open(root: &Path) -> nix::Result<Self> {
        Ok(Self { root: fcntl::open(root, DIRECTORY_FLAGS, Mode::empty())?, last: None })
    }

    /// Opens the parent directory of `path`, and returns it with the last name of `path`.
    pub fn parent<'a>(&'a mut self, path: &'a RelPath) -> nix::Result<(BorrowedFd<'a>, &'a OsStr)> {
        let name = path.as_path().file_name().unwrap_or_default();
        Ok((self.dir(path.parent(), None)?, name))
    }

    /// As [`Self::parent`], but creates missing directories with `mode`, and calls `created` for each.
    pub fn create_parent<'a>(
        &'a mut self,
        path: &'a RelPath,
        mode: Mode,
        created: &mut dyn FnMut(RelPath),
    ) -> nix::Result<(BorrowedFd<'a>, &'a OsStr)> {
        let name = path.as_path().file_name().unwrap_or_default();
        Ok((self.dir(path.parent(), Some((mode, created)))?, name))
    }

    fn dir(
        &mut self,
        path: Option<RelPath>,
        mut create: Option<(Mode, &mut dyn FnMut(RelPath))>,
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
                let fd = match fcntl::openat(parent, name, DIRECTORY_FLAGS | OFlag::O_NOFOLLOW, Mode::empty()) {
                    Err(Errno::ENOENT) if create.is_some() => {
                        if let Some((mode, created)) = create.as_mut() {
                            stat::mkdirat(parent, name, *mode)?;
                            created(next.clone());
                        }
                        fcntl::openat(parent, name, DIRECTORY_FLAGS | OFlag::O_NOFOLLOW, Mode::empty())?
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
