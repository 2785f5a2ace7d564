//! Descriptors that this process inherited by number.

use std::{
    fs::File,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd},
        unix::fs::MetadataExt,
    },
    path::Path,
};

use nix::{fcntl, libc};

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
    // SAFETY: fcntl takes any number; it fails on one that is not open.
    let open = fd > 2 && unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: it is open and was inherited under this number, so nothing else in this process owns it.
    open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As [`take`], but only if it is open on the file at `path`; else it is left unchanged.
#[must_use]
pub fn take_file(fd: RawFd, path: &Path) -> Option<OwnedFd> {
    let expected = std::fs::metadata(path).ok()?;
    let taken = File::from(take(fd)?);
    let found = taken.metadata().ok()?;
    if found.dev() == expected.dev() && found.ino() == expected.ino() {
        return Some(taken.into());
    }
    // The descriptor belongs to something else in this process, so it must stay open.
    let _ = fcntl::fcntl(&taken, fcntl::FcntlArg::F_SETFD(fcntl::FdFlag::empty()));
    std::mem::forget(taken);
    None
}

/// Leaves a descriptor open for the program that this process becomes.
pub fn keep_on_exec(fd: RawFd) -> std::io::Result<()> {
    // SAFETY: takes any number, and fails on one that is not open.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Closes an inherited descriptor.
pub fn close_inherited(fd: RawFd) {
    drop(take(fd));
}
