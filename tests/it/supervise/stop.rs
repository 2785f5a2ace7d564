//! Stopping: the server first, in its own time; then what it left; never twice, never for ever.

use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::{
    supervise::{supervise, supervise_sh},
    support::{TestVolume, without_times},
};

#[test]
fn a_server_with_the_default_action_ends_143_which_it_does_not_as_pid_1() {
    let volume = TestVolume::in_use();
    let mut container = supervise_sh(&volume, &[], "touch \"$MOORLINE_STORAGE/up\"; exec sleep 100").start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 143);
}

#[test]
fn a_stop_during_the_scripts_starts_no_server() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/init\"; sleep 100");
    let mut container = supervise(&volume, &["--exit-code-map", "143=0"], ["/bin/echo", "server"]).start();
    container.until("the script runs", || volume.has("init"));
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.out.as_str(), volume.scripts()), (143, "", vec!["x".to_owned()]), "{end}");
}

#[test]
fn the_server_is_given_its_time() {
    let volume = TestVolume::in_use();
    let line = "trap 'sleep 0.7; exit 7' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
    let mut container = supervise_sh(&volume, &["--stop-grace", "30s"], line).start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.err.contains("killed")), (7, false), "{end}");
}

#[test]
fn a_server_that_ignores_sigterm_is_killed_after_the_grace_however_often_it_is_asked() {
    let volume = TestVolume::in_use();
    let line = "trap 'echo x >> \"$MOORLINE_STORAGE/asked\"' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
    let mut container = supervise_sh(&volume, &[], line).env("MOORLINE_STOP_GRACE", "1s").start();
    container.until("it is up", || volume.has("up"));
    // Each is passed on. Were the grace to start anew each time, it would never end.
    let pid = container.pid();
    container.until("it is gone", || {
        let there = nix::sys::signal::kill(pid, Signal::SIGTERM).is_ok();
        std::thread::sleep(std::time::Duration::from_millis(100));
        !there || !std::path::Path::new(&format!("/proc/{pid}")).exists()
    });
    let end = container.wait();
    assert_eq!((end.code, end.err.contains("did not stop in 1s; killing it")), (137, true), "{end}");
    assert!(volume.read("asked").lines().count() > 2, "{end}");
}

#[test]
fn what_the_server_leaves_running_is_named_and_stopped() {
    let volume = TestVolume::in_use();
    let polite = "trap 'echo polite >> \"$MOORLINE_STORAGE/end\"; exit' TERM; touch \"$MOORLINE_STORAGE/polite\"; while :; do sleep 0.02; done";
    volume.write("polite.sh", polite);
    volume.write("stubborn.sh", "trap '' TERM; touch \"$MOORLINE_STORAGE/stubborn\"; while :; do sleep 0.02; done");
    let line = "cd \"$MOORLINE_STORAGE\"; setsid bash polite.sh & (setsid bash stubborn.sh &); \
                while [ ! -e polite ] || [ ! -e stubborn ]; do sleep 0.01; done; exit 9";
    for pid_1 in [true, false] {
        let start = supervise_sh(&volume, &[], line);
        let end = if pid_1 { start } else { start.not_pid_1() }.wait();
        assert_eq!(end.code, 9, "{end}");
        let log = without_times(&end.err);
        let named = log.lines().filter(|line| {
            line.starts_with("moorline: stopped a process that the server left running: bash (process ")
        });
        // A third, where one was about to become a `sleep`.
        assert!(named.count() >= 2, "{end}");
        assert_eq!(volume.read("end"), "polite\n", "{end}");
        for name in ["end", "polite", "stubborn"] {
            std::fs::remove_file(volume.path(name)).expect("was there");
        }
    }
}

#[test]
fn without_proc_they_are_stopped_without_a_name() {
    let volume = TestVolume::in_use();
    let end = supervise_sh(&volume, &[], "setsid sleep 100 & (sleep 100 &) ; exit 9").before("umount -l /proc").wait();
    assert_eq!(end.code, 9, "{end}");
    assert!(end.err.contains("stopped a process that the server left running: processes of unknown name"), "{end}");
}

#[test]
fn a_user_who_is_not_root_can_supervise() {
    let volume = TestVolume::in_use();
    for folder in [volume.root(), volume.path("Init")] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("changes");
    }
    let line =
        "trap 'exit 3' TERM; (setsid sleep 100 &); id -u; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
    let mut container = supervise_sh(&volume, &["--signal-group"], line).with_user(4242).start();
    container.until("it is up", || volume.has("up"));
    container.signal(Signal::SIGTERM);
    let end = container.wait();
    assert_eq!((end.code, end.out.as_str(), end.err.contains(" (process ")), (3, "4242\n", true), "{end}");
}

#[test]
fn nothing_wakes_it_while_nothing_happens() {
    let volume = TestVolume::in_use();
    let mut container = supervise_sh(&volume, &[], "touch \"$MOORLINE_STORAGE/up\"; exec sleep 100").start();
    container.until("it is up", || volume.has("up"));
    let pid = container.pid();
    container.until("it sleeps", || super::status(pid, "State").starts_with('S'));
    let switches = || super::status(pid, "voluntary_ctxt_switches");
    let before = switches();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!((switches(), super::status(pid, "Threads").as_str()), (before, "1"));
    container.signal(Signal::SIGTERM);
    assert_eq!(container.wait().code, 143);
}
