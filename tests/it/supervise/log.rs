//! A log that nobody reads neither kills nor blocks PID 1.

use std::process::Command;

use nix::{sys::signal::Signal, sys::stat::Mode};

use crate::{
    supervise::supervise_sh,
    support::{MOORLINE, TestVolume},
};

/// Leaves something running that is named in the log at the end.
const SERVER: &str =
    "trap 'exit 3' TERM; (setsid sleep 100 &); touch $MOORLINE_STORAGE/up; while :; do sleep 0.02; done";

#[test]
fn a_log_whose_reader_left_is_no_obstacle() {
    let volume = TestVolume::in_use();
    let line = "{ \"$@\" ; echo $? > \"$MOORLINE_STORAGE/code\"; } 2>&1 >/dev/null | true; exit 0";
    let mut container = Command::new("/bin/sh")
        .args(["-c", line, "sh", MOORLINE, "run", "--supervise", "--", "/bin/bash", "-c"])
        .arg("sleep 0.2; (setsid sleep 100 &); kill -PIPE $PPID; sleep 0.1; exit 3")
        .env("MOORLINE_STORAGE", volume.root())
        .env("MOORLINE_NO_BOOT_BACKUP", "1")
        .env("MOORLINE_REWRITE", "PIPE=0")
        .spawn()
        .expect("starts");
    assert!(container.wait().expect("ends").success());
    assert_eq!(volume.read("code"), "3\n");
}

#[test]
fn a_signal_that_came_of_writing_to_such_a_log_is_not_sent_on() {
    let volume = TestVolume::in_use();
    // The reader leaves while the server runs, and a companion-less moorline writes of what did not stop in time.
    let line = "{ \"$@\" ; echo $? > \"$MOORLINE_STORAGE/code\"; } 2>&1 >/dev/null | true; exit 0";
    let server = "trap 'echo pipe >> $MOORLINE_STORAGE/heard' PIPE; trap '' TERM; kill -TERM $PPID; sleep 0.8; exit 4";
    let status = Command::new("/bin/sh")
        .args([
            "-c",
            line,
            "sh",
            MOORLINE,
            "run",
            "--supervise",
            "--stop-grace",
            "200ms",
            "--",
            "/bin/bash",
            "-c",
            server,
        ])
        .env("MOORLINE_STORAGE", volume.root())
        .env("MOORLINE_NO_BOOT_BACKUP", "1")
        .status()
        .expect("runs");
    assert!(status.success());
    assert_eq!((volume.read("code").as_str(), volume.has("heard")), ("137\n", false));
}

#[test]
fn a_full_log_that_nobody_reads_holds_nothing_up() {
    let volume = TestVolume::in_use();
    let fifo = volume.beside("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a pipe");
    let fill = format!("(head -c 300000 /dev/zero >&2 &); sleep 0.3; {SERVER}");
    // Held open for reading, and never read.
    let before = format!("exec 8<>{0} 2>{0}", fifo.display());
    let mut container = supervise_sh(&volume, &["--stop-grace", "20s"], &fill).before(&before).start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 3);
}
