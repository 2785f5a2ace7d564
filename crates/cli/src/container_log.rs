//! The container's log, for a command that a person runs in the container (`docker exec … moorline backup`): its own output
//! goes to the person only.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use moorline::{command::log_format::line_of_container, init::SCRIPT};
use nix::libc;
use volume::{Volume, listing, lock};

/// The descriptors of PID 1.
const OF_PID_1: &str = "/proc/1/fd";

/// Writes a line into the container's log, if PID 1 of this container uses the volume and this command has another log. A
/// log that cannot be written is ignored. The output of a script goes to the container's log anyway.
pub(super) fn line(volume: &Volume, text: &str) {
    if std::env::var_os(SCRIPT).is_some() || std::process::id() == 1 || !pid_1_holds(volume) {
        return;
    }
    let log = format!("{OF_PID_1}/2");
    let same = |other: &str| Some(identity(log.as_ref())? == identity(other.as_ref())?);
    if same("/proc/self/fd/2") != Some(false) {
        return;
    }
    let opened: std::io::Result<File> =
        OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&log);
    if let Ok(mut log) = opened {
        let _ = log.write_all(line_of_container(text).as_bytes());
    }
}

/// Whether PID 1 is moorline or its server, and not the init of another container: it has the volume's lock file open.
fn pid_1_holds(volume: &Volume) -> bool {
    let Some(lock) = identity(&lock::path(volume)) else { return false };
    let open = listing::entries(OF_PID_1.as_ref()).ok().flatten().unwrap_or_default();
    open.iter().any(|entry| identity(&Path::new(OF_PID_1).join(&entry.name)) == Some(lock))
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}
