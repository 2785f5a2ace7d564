//! Everything is reaped, and no status is lost over it.

use crate::{
    supervise::{children, send, status, supervise_sh},
    support::{Start, TestVolume},
};

/// A hundred orphans that end once they are let go, under a server that waits for none.
const ORPHANS: &str = "for i in $(seq 100); do \
    (/bin/sh -c 'while [ ! -e \"$MOORLINE_STORAGE/go\" ]; do sleep 0.3; done; echo x >> \"$MOORLINE_STORAGE/orphans\"' &); \
    done; exec sleep 100";

/// How many children of the container's PID 1 are left, and how many of them are zombies, once all have ended.
fn left(volume: &TestVolume, start: Start<'_>, expected: (usize, usize)) {
    let mut container = start.start();
    let pid = container.pid();
    container.until("the server waits for nobody", || {
        status(pid, "Name") == "sleep" || children(pid).iter().any(|(_, name, _)| name == "sleep")
    });
    assert!(children(pid).len() >= 100);
    volume.write("go", "");
    container.until("all orphans have run", || volume.has("orphans") && volume.read("orphans").len() == 200);
    container.until(&format!("{expected:?} children and zombies"), || {
        let children = children(pid);
        (children.len(), children.iter().filter(|(_, _, state)| *state == 'Z').count()) == expected
    });
    send(&mut container, nix::libc::SIGKILL);
    container.wait();
}

#[test]
fn a_hundred_orphans_are_reaped() {
    let volume = TestVolume::in_use();
    left(&volume, supervise_sh(&volume, &[], ORPHANS), (1, 0));
}

#[test]
fn without_supervise_a_server_that_does_not_reap_has_a_hundred_zombies() {
    let volume = TestVolume::in_use();
    left(&volume, volume.run(["/bin/bash", "-c", ORPHANS]), (100, 100));
}

#[test]
fn a_process_that_is_not_pid_1_reaps_too() {
    let volume = TestVolume::in_use();
    left(&volume, supervise_sh(&volume, &[], ORPHANS).not_pid_1(), (1, 0));
}

#[test]
fn the_servers_status_is_not_lost_among_orphans_that_end_at_the_same_time() {
    let volume = TestVolume::in_use();
    let line = "for i in $(seq 30); do (sleep 0.1 &); done; for i in 3 200 7; do (exit $i); [ $? = $i ] || exit 1; done; sleep 0.1; exit 42";
    for _ in 0..10 {
        let end = supervise_sh(&volume, &[], line).wait();
        assert_eq!(end.code, 42, "{end}");
    }
}

#[test]
fn a_script_that_a_real_time_signal_kills_has_ended() {
    let volume = TestVolume::in_use();
    volume.script("x", "kill -40 $$; sleep 100");
    let end = volume.run(["/bin/echo", "server"]).wait();
    assert_eq!((end.code, end.out.as_str()), (168, ""), "{end}");
}

#[test]
fn nobody_but_its_own_descendants_is_stopped() {
    let volume = TestVolume::in_use();
    let mut other = std::process::Command::new("/bin/sleep").arg("100").spawn().expect("starts");
    // A child of the same process from before it was moorline.
    let before = "sleep 99 & echo $! > \"$MOORLINE_STORAGE/older\"; exec \"$@\"";
    let end = supervise_sh(&volume, &[], "(sleep 98 &); exit 3").not_pid_1().before(before).wait();
    assert_eq!(end.code, 3, "{end}");
    assert!(end.err.contains(" (process ") && end.err.matches("left running").count() == 1, "{end}");
    assert!(other.try_wait().expect("can be waited for").is_none());
    let older: i32 = volume.read("older").trim().parse().expect("a number");
    let name = std::fs::read_to_string(format!("/proc/{older}/comm")).expect("it runs");
    assert_eq!(name, "sleep\n");
    // SAFETY: takes numbers.
    unsafe { nix::libc::kill(older, nix::libc::SIGKILL) };
    other.kill().expect("is there");
    other.wait().expect("ends");
}
