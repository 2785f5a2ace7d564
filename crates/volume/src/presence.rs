//! Whether a path exists, and the content of a file that may not exist. Only this file turns an error into "does not
//! exist".
//!
//! Only ENOENT and ENOTDIR mean that a path does not exist. Any other error (EIO, ENOMEM, ESTALE, EACCES …) says nothing
//! about it, and code that treats it as "no" may overwrite or delete existing data. `Path::exists` and similar functions
//! do that, so clippy.toml forbids them.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use nix::libc::EINVAL;
use rustix::fs::{Mode, OFlags};

use crate::error::{IoContext, Result};

/// The entry at `path`, without following a symbolic link.
pub fn entry(path: &Path) -> Result<Option<Metadata>> {
    unless_absent(fs::symlink_metadata(path)).on("access", path)
}

/// The target of `path`, following symbolic links; `None` for a dangling link, too.
pub fn target(path: &Path) -> Result<Option<Metadata>> {
    unless_absent(fs::metadata(path)).on("access", path)
}

/// Whether an entry exists at `path`, even a dangling link.
pub fn exists(path: &Path) -> Result<bool> {
    Ok(entry(path)?.is_some())
}

/// Whether `path` is a directory or a link to one.
pub fn is_dir(path: &Path) -> Result<bool> {
    Ok(target(path)?.is_some_and(|meta| meta.is_dir()))
}

/// Whether `path` is a regular file or a link to one.
pub fn is_file(path: &Path) -> Result<bool> {
    Ok(target(path)?.is_some_and(|meta| meta.is_file()))
}

/// The content of the file at `path`; `None` if it does not exist.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    // A pipe in place of the file must not block a start for ever; it reads as empty.
    unless_absent(open_with(path, OFlags::NONBLOCK).and_then(content)).on("read", path)
}

/// Opens a file for reading with one system call, where musl's `open` needs a second one for close-on-exec.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OFlags::empty())
}

fn open_with(path: &Path, flags: OFlags) -> io::Result<File> {
    Ok(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | flags, Mode::empty())?.into())
}

fn content(mut file: File) -> io::Result<Vec<u8>> {
    // Most files of moorline are smaller than this, and then their size need not be asked for.
    let mut bytes = vec![0; 1024];
    let mut length = 0;
    loop {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
        if length == bytes.len() {
            bytes.resize(2 * length, 0);
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// The path without symbolic links, like `realpath`, which allocates with libc even if the path has none.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let has_dots = || path.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_)));
    let is_link = |path: &Path| !matches!(fs::read_link(path), Err(cause) if cause.raw_os_error() == Some(EINVAL));
    let plain: PathBuf = path.components().collect();
    if path.is_relative() || has_dots() || plain.ancestors().filter(|below| below.parent().is_some()).any(is_link) {
        return fs::canonicalize(path);
    }
    Ok(plain)
}

/// Turns an error that means "does not exist" into `None`.
pub fn unless_absent<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(cause) if is_absent(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Whether an error means that the path does not exist.
#[must_use]
pub fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_errors_mean_absent() {
        let result = |errno| unless_absent::<()>(Err(io::Error::from_raw_os_error(errno)));
        for errno in [nix::libc::ENOENT, nix::libc::ENOTDIR] {
            assert!(matches!(result(errno), Ok(None)));
        }
        for errno in [nix::libc::EIO, nix::libc::ENOMEM, nix::libc::ESTALE, nix::libc::EACCES, nix::libc::ELOOP] {
            result(errno).expect_err("says nothing about the path");
        }
    }

    #[test]
    fn a_pipe_in_place_of_a_file_does_not_block() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert_eq!(read(&path).expect("reads"), Some(Vec::new()));
    }

    #[test]
    fn a_dangling_link_is_an_entry_without_a_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &link).expect("a link");
        assert!(exists(&link).expect("looks"));
        assert!(target(&link).expect("looks").is_none());
        assert!(!exists(&link.join("below")).expect("looks"), "below a path that is not a directory");
    }
}
