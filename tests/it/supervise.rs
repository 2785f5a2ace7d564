//! Supervise: what the field's suites of PID 1 test, and what none of them does.

mod companion;
mod console;
mod exit;
mod log;
mod place;
mod reap;
mod signals;
mod stop;
mod terminal;
mod windows;

use std::{ffi::OsStr, fs};

use nix::{libc, unistd::Pid};

use crate::support::{Running, Start, TestVolume};

/// A container whose server is a child of moorline.
fn supervise<'a, S: AsRef<OsStr>>(
    volume: &'a TestVolume,
    flags: &[&str],
    server: impl IntoIterator<Item = S>,
) -> Start<'a> {
    volume.moorline(["run", "--supervise"]).args(flags).args(["--"]).args(server)
}

/// The same, with a line of shell as the server.
fn supervise_sh<'a>(volume: &'a TestVolume, flags: &[&str], line: &str) -> Start<'a> {
    supervise(volume, flags, ["/bin/bash", "-c", line])
}

/// Sends any signal, real-time ones too.
fn send(container: &mut Running, signal: i32) {
    let pid = container.pid().as_raw();
    // SAFETY: takes numbers; the container is there.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "cannot send {signal}");
}

/// The children of a process: id, name and state of each.
fn children(parent: Pid) -> Vec<(i32, String, char)> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    let ids = text.split_whitespace().filter_map(|id| id.parse::<i32>().ok());
    ids.filter_map(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        Some((id, stat[open + 1..close].to_owned(), stat[close + 2..].chars().next()?))
    })
    .collect()
}

/// One line of a process's status.
fn status(pid: Pid, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}
