//! What is at a path: the only place that turns a failed look into "nothing is there".
//!
//! Only ENOENT and ENOTDIR say that nothing is there. Any other error (EIO, ENOMEM, ESTALE, EACCES …) says nothing about
//! the path, and whoever takes it for a no overwrites or deletes what was there all along. `Path::exists` and its like do
//! just that, so clippy.toml forbids them.

use std::{
    fs::{self, Metadata},
    io,
    path::Path,
};

use crate::error::{IoContext, Result};

/// The entry at `path` itself: of a symbolic link, the link.
///
/// # Errors
/// Where it cannot be told whether there is one.
pub fn entry(path: &Path) -> Result<Option<Metadata>> {
    unless_absent(fs::symlink_metadata(path)).on("look at", path)
}

/// What `path` leads to, through symbolic links; `None` for a link to nothing, too.
///
/// # Errors
/// Where it cannot be told whether there is anything.
pub fn target(path: &Path) -> Result<Option<Metadata>> {
    unless_absent(fs::metadata(path)).on("look at", path)
}

/// Whether there is an entry at `path`, even if it is a link to nothing.
///
/// # Errors
/// As [`entry`].
pub fn exists(path: &Path) -> Result<bool> {
    Ok(entry(path)?.is_some())
}

/// Whether `path` leads to a directory.
///
/// # Errors
/// As [`target`].
pub fn is_dir(path: &Path) -> Result<bool> {
    Ok(target(path)?.is_some_and(|meta| meta.is_dir()))
}

/// Whether `path` leads to a regular file.
///
/// # Errors
/// As [`target`].
pub fn is_file(path: &Path) -> Result<bool> {
    Ok(target(path)?.is_some_and(|meta| meta.is_file()))
}

/// `None` in place of an error that says that nothing is there.
///
/// # Errors
/// Every other error.
pub fn unless_absent<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(cause) if is_absent(&cause) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// Whether an error says that nothing is there.
#[must_use]
pub fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_errors_mean_no() {
        let told = |errno| unless_absent::<()>(Err(io::Error::from_raw_os_error(errno)));
        for errno in [nix::libc::ENOENT, nix::libc::ENOTDIR] {
            assert!(matches!(told(errno), Ok(None)));
        }
        for errno in [nix::libc::EIO, nix::libc::ENOMEM, nix::libc::ESTALE, nix::libc::EACCES, nix::libc::ELOOP] {
            told(errno).expect_err("says nothing about the path");
        }
    }

    #[test]
    fn a_link_to_nothing_is_an_entry_without_a_target() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &link).expect("a link");
        assert!(exists(&link).expect("looks"));
        assert!(target(&link).expect("looks").is_none());
        assert!(!exists(&link.join("below")).expect("looks"), "below what is no directory");
    }
}
