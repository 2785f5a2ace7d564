//! The limit of open files of this process.

use std::fs::File;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// So many descriptors SQLite needs at most to open one more database.
const FOR_ONE_DATABASE: usize = 4;

/// Raises the soft limit to the hard one. Only for a process that never starts a server, because servers may use
/// `select`, which cannot handle descriptors above 1023.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Without the raise, a volume with many databases fails with an error that names the limit.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The limit of open files, if this process has reached it. Libraries hide this cause of their errors.
#[must_use]
pub fn open_files_exhausted() -> Option<u64> {
    let opened: Result<Vec<File>, _> = (0..FOR_ONE_DATABASE).map(|_| File::open("/")).collect();
    let exhausted = opened.is_err_and(|cause| cause.raw_os_error() == Some(nix::libc::EMFILE));
    exhausted.then(open_files)
}

/// The soft limit.
#[must_use]
pub fn open_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}
