//! Early write-back of file data.

use std::{fs::File, os::fd::AsRawFd};

use nix::libc;

/// Starts writing a range of a file to the disk, so that the final fsync has little left to do. Only a hint.
pub fn start(file: &File, offset: u64, bytes: u64) {
    let (Ok(offset), Ok(bytes)) = (i64::try_from(offset), i64::try_from(bytes)) else { return };
    // SAFETY: takes a descriptor that we hold, and numbers.
    unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, bytes, libc::SYNC_FILE_RANGE_WRITE);
    }
}
