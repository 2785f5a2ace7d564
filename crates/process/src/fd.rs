//! Descriptors that this process inherited by number.

use std::{
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use nix::libc;

/// Standard error: the container's log.
#[must_use]
pub fn standard_error() -> BorrowedFd<'static> {
    borrow_standard(2)
}

pub(crate) fn borrow_standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: Rust's runtime has made sure that 0 to 2 are open, and nothing here ever closes them.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes ownership of an inherited descriptor above 2, if it is open, and marks it close-on-exec.
#[must_use]
pub fn take(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
    let open = fd > 2 && unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: it is open and was inherited under this number, so nothing else in this process owns it.
    open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As [`take`], but only if it is open on the file at `path`; else it is left unchanged, because it belongs to something
/// else in this process.
#[must_use]
pub fn take_file(fd: RawFd, path: &Path) -> Option<OwnedFd> {
    let expected = std::fs::metadata(path).ok()?;
    // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
    if fd <= 2 || unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and nothing closes it during this call.
    let found = nix::sys::stat::fstat(unsafe { BorrowedFd::borrow_raw(fd) }).ok()?;
    (found.st_dev == expected.dev() && found.st_ino == expected.ino()).then(|| take(fd)).flatten()
}

/// Leaves a descriptor open for the program that this process becomes.
pub fn keep_on_exec(fd: RawFd) -> std::io::Result<()> {
    // SAFETY: fcntl takes any number, and fails if that descriptor is not open.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Closes an inherited descriptor.
pub fn close_inherited(fd: RawFd) {
    drop(take(fd));
}
