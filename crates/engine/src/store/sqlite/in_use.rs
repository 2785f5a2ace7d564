//! Whether another process has a database open, judging by SQLite's locks.
//!
//! In WAL mode, every connection that has read from the database holds a lock until it closes, so the result is
//! reliable. In other modes, only a connection that is reading or writing at this moment holds a lock; an idle one is
//! not detected. So a lock is a reason to refuse a restore, but the absence of locks does not prove that a restore is
//! safe.
//!
//! The offsets of the locks are part of SQLite's file format: <https://sqlite.org/src/file/src/os_unix.c>.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use super::source::beside;
use crate::prelude::*;

/// The pending byte, the reserved byte, and the 510 bytes that readers share, at 1 GiB. SQLite never uses the page
/// there.
const DATABASE: (i64, i64) = (0x4000_0000, 512);
/// In the `-shm`: the eight locks of WAL mode, and the lock that each connection holds until it closes.
const SHARED_MEMORY: (i64, i64) = (120, 9);

/// Describes a process that has the database at `path` open, judging by its locks. Changes nothing.
///
/// Never call this while this process has the database open in SQLite: it opens and closes the database's files, which
/// drops this process's own locks on them.
pub fn in_use(path: &Path) -> Result<Option<String>> {
    for (file, range) in [(path.to_owned(), DATABASE), (beside(path, "-shm"), SHARED_MEMORY)] {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let open = match OpenOptions::new().read(true).custom_flags(flags).open(&file) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            other => other.on("open", &file)?,
        };
        if let Some(holder) = holder(&open, range).on("look for locks on", &file)? {
            return Ok(Some(name(holder)));
        }
    }
    Ok(None)
}

/// The process that prevents us from locking the whole range. A length of 0 means the whole file.
pub fn holder(file: &File, (start, len): (i64, i64)) -> nix::Result<Option<i32>> {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    // `F_GETLK` only tests for a lock, so the file need not be open for writing.
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

/// The kernel reports 0 for a process in another PID namespace.
pub fn name(pid: i32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        _ if pid <= 0 => "a process in another container".to_owned(),
        Ok(comm) => format!("process {pid} ({})", comm.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}
