//! Whether another process has a database open, going by SQLite's locks.
//!
//! What shows: a database in WAL mode that is open anywhere (every connection that has read from it holds a lock as
//! long as it lives), and one in another mode that is being read or written at this moment. What does not: an idle
//! connection to the latter, which holds no lock at all. So this can refuse a restore, and cannot permit one.
//!
//! The places of the locks are part of SQLite's file format: <https://sqlite.org/src/file/src/os_unix.c>.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use super::source::beside;
use volume::error::{IoContext, Result};

/// Pending, reserved, and the 510 bytes that readers share, at 1 GiB: the page there is never used.
const DATABASE: (i64, i64) = (0x4000_0000, 512);
/// In the `-shm`: eight locks of WAL mode, and the one that each connection holds for as long as it lives.
const SHARED_MEMORY: (i64, i64) = (120, 9);

/// Who has the database at `path` open, as far as its locks show. Changes nothing.
///
/// It opens and closes the database's files, which would drop this process's own locks on them: never call this while
/// SQLite is open on the database in this process.
///
/// # Errors
/// Where one of the files cannot be opened.
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

/// The process that keeps us from locking all of the range for ourselves.
fn holder(file: &File, (start, len): (i64, i64)) -> nix::Result<Option<i32>> {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: len,
        l_pid: 0,
    };
    // It is only asked whether the lock could be had; for that, the file need not be open for writing.
    fcntl(file, FcntlArg::F_GETLK(&mut lock))?;
    Ok((i32::from(lock.l_type) != libc::F_UNLCK).then_some(lock.l_pid))
}

/// The kernel gives no id for a process in another PID namespace.
fn name(pid: i32) -> String {
    match fs::read_to_string(format!("/proc/{pid}/comm")) {
        _ if pid <= 0 => "a process in another container".to_owned(),
        Ok(comm) => format!("process {pid} ({})", comm.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}
