//! A log that nobody reads neither kills nor blocks PID 1.

use std::process::Command;

use nix::{sys::signal::Signal, sys::stat::Mode};

use crate::{
    supervise::supervise_sh,
    support::{MOORLINE, TestVolume, quoted},
};

/// Leaves something running that is named in the log at the end.
const SERVER: &str =
    "trap 'exit 3' TERM; (setsid sleep 100 &); touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";

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
fn a_full_log_that_nobody_reads_holds_nothing_up() {
    let volume = TestVolume::in_use();
    let fifo = volume.beside("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).expect("a pipe");
    let fill = format!("(head -c 300000 /dev/zero >&2 &); sleep 0.3; {SERVER}");
    // Held open for reading, and never read.
    let before = format!("exec 8<>{0} 2>{0}", quoted(fifo));
    let mut container = supervise_sh(&volume, &["--stop-grace", "20s"], &fill).before(&before).start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 3);
}
