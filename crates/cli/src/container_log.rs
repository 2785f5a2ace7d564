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
    let is_ours = |holder: lock::Holder| holder.pid == 1 && holder.host == lock::host();
    if std::env::var_os(SCRIPT).is_some() {
        return;
    }
    if !lock::holder(volume).ok().flatten().is_some_and(is_ours) || std::process::id() == 1 {
        return;
    }
    let same = |other: &str| {
        let (one, other) = (fs::metadata(OF_PID_1).ok()?, fs::metadata(other).ok()?);
        Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
    };
    if same("/proc/self/fd/2") != Some(false) {
        return;
    }
    let opened: std::io::Result<File> =
        OpenOptions::new().append(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(OF_PID_1);
    if let Ok(mut log) = opened {
        let _ = log.write_all(line_of_container(text).as_bytes());
    }
}
