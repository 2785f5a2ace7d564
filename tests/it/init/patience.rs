//! Stop signals while scripts run, scripts that run long, and how soon a failing program is given up.

use nix::sys::signal::Signal;

use crate::support::TestVolume;

const SERVER: [&str; 2] = ["/bin/echo", "server"];

#[test]
fn a_hangup_that_a_script_sends_is_no_request_to_stop() {
    let volume = TestVolume::in_use();
    volume.script("packages", "kill -HUP 1\nsleep 0.3\necho installed\n");
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
    assert_eq!(volume.scripts(), ["packages.done"], "{end}");
}

#[test]
fn the_images_stop_signal_stops_a_script() {
    for (rule, signal) in [("WINCH=TERM", Signal::SIGWINCH as i32), ("RTMIN+3=TERM", 37), ("USR1=INT", 10)] {
        let volume = TestVolume::in_use();
        volume.script(
            "slow",
            "trap 'echo heard; exit 1' TERM INT\ntouch \"$DATA_DIR/begun\"\nwhile :; do sleep 0.1; done\n",
        );
        let start =
            volume.moorline(["run", "--supervise", "--no-serve", "--rewrite", rule, "--", "/bin/echo", "server"]);
        let mut running = start.start();
        running.until("the script runs", || volume.has("begun"));
        let pid = running.pid();
        // SAFETY: sends a signal to a process of this test.
        assert_eq!(unsafe { nix::libc::kill(pid.as_raw(), signal) }, 0);
        let end = running.wait();
        assert!(end.err.contains("before the server started"), "{rule}: {end}");
        assert!(volume.read("Init/slow.log").contains("heard"), "{rule}: {end}");
        assert_eq!(volume.ledger()["scripts"][0]["attempts"], 0, "a stop is no failure: {rule}: {end}");
    }
}

#[test]
fn a_script_is_stopped_when_its_time_is_over() {
    let volume = TestVolume::in_use();
    volume.script("waits", "sleep 1000\n");
    let end = volume.run(SERVER).env("MOORLINE_SCRIPT_TIMEOUT", "1s").wait();
    assert_eq!((end.code, end.out.as_str()), (143, ""), "{end}");
    assert!(end.err.contains("it was stopped after 1s") && end.err.contains("MOORLINE_SCRIPT_TIMEOUT"), "{end}");
    volume.script("waits", "trap 'exit 0' TERM\nwhile :; do sleep 0.1; done\n");
    let end = volume.run(SERVER).env("MOORLINE_SCRIPT_TIMEOUT", "1s").wait();
    assert_eq!((end.code, volume.has("Init/waits.done")), (124, false), "exit 0 after the time is no success: {end}");
}

#[test]
fn three_failures_in_a_moment_do_not_set_a_program_aside() {
    let volume = TestVolume::in_use();
    volume.script("fails", "exit 3\n");
    for _ in 0..4 {
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, volume.has("Init/fails")), (3, true), "{end}");
    }
    volume.age_failures();
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, volume.has("Init/fails.failed")), (3, true), "{end}");
}

#[test]
fn a_program_that_exits_75_is_tried_again() {
    let volume = TestVolume::in_use();
    volume.script("waits-for-db", "exit 75\n");
    for _ in 0..4 {
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, volume.has("Init/waits-for-db")), (75, true), "{end}");
    }
    volume.age_failures();
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, volume.has("Init/waits-for-db.failed")), (75, true), "five attempts and 30 minutes: {end}");
}
