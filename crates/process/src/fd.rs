//! Descriptors that another process left to this one by number.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
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

/// One of 0 to 2.
pub(crate) fn borrow_standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: Rust's runtime has made sure that 0 to 2 are open, and nothing here ever closes them.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes a descriptor above the standard ones that a parent left to this process by name, if it is open. No child
/// inherits it.
#[must_use]
pub fn take(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: fcntl takes any number; it fails on one that is not open.
    let open = fd > 2 && unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } == 0;
    // SAFETY: it is open, and was left to this process by name: nothing else in it owns the number.
    open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// As [`take`], only if it is this file. Another file's descriptor stays as it is.
#[must_use]
pub fn take_file(fd: RawFd, path: &Path) -> Option<OwnedFd> {
    let expected = std::fs::metadata(path).ok()?;
    let taken = File::from(take(fd)?);
    let found = taken.metadata().ok()?;
    if found.dev() == expected.dev() && found.ino() == expected.ino() {
        return Some(taken.into());
    }
    // The number belongs to something else in this process: leave it open.
    let _ = fcntl::fcntl(&taken, fcntl::FcntlArg::F_SETFD(fcntl::FdFlag::empty()));
    std::mem::forget(taken);
    None
}

/// Closes a descriptor that was open when this program started, so that nothing in it owns the number.
pub fn close_inherited(fd: RawFd) {
    drop(take(fd));
}

/// A second handle of a descriptor that is given as a number, for the time of one call.
pub fn write_all(fd: RawFd, bytes: &[u8]) -> nix::Result<()> {
    // SAFETY: the caller was given the number by a parent that left it open for this process's whole life.
    let pipe = unsafe { BorrowedFd::borrow_raw(fd) };
    let mut rest = bytes;
    while !rest.is_empty() {
        rest = &rest[nix::unistd::write(pipe, rest)?..];
    }
    Ok(())
}

/// The number of a descriptor, as an environment variable carries it.
#[must_use]
pub fn number(fd: &impl AsRawFd) -> String {
    fd.as_raw_fd().to_string()
}
