//! The container's log, for a command that a person runs in the container (`docker exec … moorline backup`): its own output
//! goes to the person only.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use moorline::{command::log_format::line_of_container, init::SCRIPT};
use nix::libc;
use volume::{Volume, lock};

/// The standard error of PID 1.
const OF_PID_1: &str = "/proc/1/fd/2";

/// Writes a line into the container's log, if PID 1 of this container uses the volume and this command has another log. A
/// log that cannot be written is ignored. The output of a script goes to the container's log anyway.
pub(super) fn line(volume: &Volume, text: &str) {
    if std::env::var_os(SCRIPT).is_some() || std::process::id() == 1 || !lock::is_open_in(volume, 1) {
        return;
    }
    let identity = |path: &str| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    let same = |other: &str| Some(identity(OF_PID_1)? == identity(other)?);
    if same("/proc/self/fd/2") != Some(false) {
        return;
    }
    let opened: std::io::Result<File> =
        OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(OF_PID_1);
    if let Ok(mut log) = opened {
        let _ = log.write_all(line_of_container(text).as_bytes());
    }
}
