//! Real containers: `docker/Dockerfile`'s image, which has nothing but moorline and a server in it, run by podman with runc.

mod flows;
mod machine;

use std::{fs, os::unix::fs::chown};

use self::machine::Container;
use crate::support::TestVolume;

/// exec mode, then supervise.
fn both(volume: &TestVolume) -> [Container; 2] {
    [Container::on(volume), Container::on(volume).supervised()]
}

#[test]
fn a_server_that_handles_term_is_stopped_by_podman_stop() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        let mut running = container.start([] as [&str; 0]);
        running.until_it_says("up\n");
        running.stop(30);
        let end = running.wait();
        assert_eq!(end.code, Some(143), "{end:?}");
        assert!(end.said.contains("stopped\n"), "{end:?}");
    }
}

#[test]
fn a_supervised_server_without_a_handler_is_stopped_too() {
    let volume = TestVolume::in_use();
    let mut running = Container::on(&volume).supervised().start(["run", "--", "server", "deaf"]);
    running.until_it_says("up\n");
    running.stop(30);
    assert_eq!(running.wait().code, Some(143));
}

#[test]
fn a_backup_that_a_person_takes_is_in_the_containers_log() {
    let volume = TestVolume::in_use();
    volume.write("state", "one");
    for container in both(&volume) {
        let mut running = container.start(["run", "--", "server"]);
        running.until_it_says("up\n");
        assert!(running.exec(&["moorline", "backup"]).contains("backup complete"));
        running.until_it_says("moorline: backup complete: ");
        running.stop(30);
        running.wait();
    }
}

/// The kernel drops a signal to PID 1 that has no handler: what `--supervise` is for.
#[test]
fn in_exec_mode_a_server_without_a_handler_is_killed_by_the_runtime() {
    let volume = TestVolume::in_use();
    let mut running = Container::on(&volume).start(["run", "--", "server", "deaf"]);
    running.until_it_says("up\n");
    running.stop(1);
    assert_eq!(running.wait().code, Some(137));
}

#[test]
fn it_is_a_health_check_in_an_image_that_has_no_shell() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        let checked = container.with(["--health-cmd=[\"moorline\",\"health\"]", "--health-interval=disable"]);
        let mut running = checked.start([] as [&str; 0]);
        running.until_it_says("up\n");
        let (healthy, log) = running.is_healthy();
        assert!(healthy && log.contains("healthy (up)"), "{log}");
        running.stop(30);
        running.wait();
    }
    let check = "--health-cmd=[\"moorline\",\"health\",\"--health\",\"tcp:127.0.0.1:1\"]";
    let container = Container::on(&volume).with([check, "--health-interval=disable", "--health-retries=1"]);
    let mut running = container.start([] as [&str; 0]);
    running.until_it_says("up\n");
    let (healthy, log) = running.is_healthy();
    assert!(!healthy && log.contains("127.0.0.1:1"), "{log}");
    running.stop(30);
    running.wait();
}

#[test]
fn podman_kill_reaches_the_server() {
    let volume = TestVolume::in_use();
    for (signal, code) in [("TERM", 143), ("USR1", 138), ("USR2", 140), ("KILL", 137)] {
        let mut running = Container::on(&volume).supervised().start(["run", "--", "server", "deaf"]);
        running.until_it_says("up\n");
        running.kill(signal);
        assert_eq!(running.wait().code, Some(code), "{signal}");
    }
    let mut running = Container::on(&volume).start(["run", "--", "server"]);
    running.until_it_says("up\n");
    running.kill("TERM");
    assert_eq!(running.wait().code, Some(143));
}

#[test]
fn under_another_init_it_is_not_pid_1_and_works() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        let mut running = container.with(["--init"]).start(["run", "--", "server", "deaf"]);
        running.until_it_says("up\n");
        running.stop(30);
        assert_eq!(running.wait().code, Some(143));
    }
}

#[test]
fn it_needs_no_root() {
    let volume = TestVolume::in_use();
    chown(volume.root(), Some(1234), Some(0)).expect("changes");
    fs::remove_dir(volume.path("Init")).expect("is empty");
    for container in both(&volume) {
        let end = container.with(["--user=1234:0", "--cap-drop=all"]).run(["run", "--", "server", "whoami"]);
        assert_eq!(end.code, Some(0), "{end:?}");
        assert!(end.said.contains("1234:0\n"), "{end:?}");
    }
}

#[test]
fn it_writes_nothing_outside_of_the_volume() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        volume.script("10-restore.sh", "seqsvr list");
        let sealed = container.with(["--read-only", "--read-only-tmpfs=false"]);
        let end = sealed.run(["run", "--", "server", "write", "/written"]);
        assert_eq!(end.code, Some(1), "the root is not read-only: {end:?}");
        assert!(volume.has("Init/10-restore.sh.done"), "{end:?}");
        fs::remove_file(volume.path("Init/10-restore.sh.done")).expect("is there");
    }
}

#[test]
fn an_interactive_shell_has_job_control() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        let mut running = container.with_shell().start_on_a_terminal(&["run", "--", "sh", "-i"]);
        // What is typed is echoed: the answer differs from it.
        running.types("echo re''ady\n");
        running.until_it_says("ready\n");
        running.types("busybox sleep 1000\n");
        // The shell echoes nothing while its job runs; a moment too early, Ctrl-C would hit its prompt, and sleep stay.
        running.until_it_says("sleep 1000\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        running.types("\u{3}");
        running.types("echo co''de $?\n");
        running.until_it_says("code 130\n");
        running.types("exit 7\n");
        let end = running.wait();
        assert_eq!(end.code, Some(7), "{end:?}");
        assert!(!end.said.contains("job control turned off"), "{end:?}");
    }
}

#[test]
fn of_two_containers_on_one_volume_the_second_waits_and_names_the_first() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        let mut first = container.with(["--hostname=the-first"]).start(["run", "--", "server"]);
        first.until_it_says("up\n");
        let refused = Container::on(&volume).with(["--env=MOORLINE_LOCK_WAIT=1s"]).run(["run", "--", "server"]);
        assert_eq!(refused.code, Some(75), "{refused:?}");
        assert!(refused.said.contains("host the-first") && !refused.said.contains("up\n"), "{refused:?}");
        let mut second = Container::on(&volume).start(["run", "--", "server"]);
        second.until_it_says("waiting up to 30 s");
        first.stop(30);
        first.wait();
        second.until_it_says("up\n");
        second.stop(30);
        assert_eq!(second.wait().code, Some(143));
    }
}

#[test]
fn a_restore_needs_nothing_that_the_image_lacks() {
    let volume = TestVolume::new();
    for container in both(&volume) {
        volume.write("app.conf", "as it was");
        let backup = Container::on(&volume).run(["backup"]);
        assert_eq!(backup.code, Some(0), "{backup:?}");
        volume.write("app.conf", "spoilt");
        volume.script("rollback.sh", "seqsvr restore -y --from-latest\n");
        let end = container.run(["run", "--", "server", "whoami"]);
        assert_eq!(end.code, Some(0), "{end:?}");
        assert_eq!(volume.read("app.conf"), "as it was", "{end:?}");
        fs::remove_file(volume.path("Init/rollback.sh.done")).expect("it is marked");
    }
}

#[test]
fn a_stop_during_init_stops_the_script_and_marks_nothing() {
    let volume = TestVolume::in_use();
    for container in both(&volume) {
        // An executable image is a script too: this one waits to be stopped.
        fs::copy(machine::server(), volume.path("Init/10-wait")).expect("copies");
        let mut running = container.start(["run", "--", "server", "whoami"]);
        running.until_it_says("up\n");
        running.stop(30);
        let end = running.wait();
        assert_eq!(end.code, Some(143), "{end:?}");
        assert!(!end.said.contains("0:0\n"), "the server was started: {end:?}");
        assert!(volume.has("Init/10-wait"), "{:?}", volume.scripts());
        fs::remove_file(volume.path("Init/10-wait")).expect("is there");
    }
}

#[test]
fn a_console_beside_the_server_does_not_hold_up_a_stop() {
    let volume = TestVolume::in_use();
    // A container's processes end at the latest when the runtime's time is up: that it ends as the server says is the proof.
    let mut running = Container::on(&volume).with_console().supervised().start(["run", "--", "server"]);
    running.until_it_says("up\n");
    running.until_it_says("console");
    running.stop(30);
    let end = running.wait();
    assert_eq!((end.code, end.said.contains("killed")), (Some(143), false), "{end:?}");
}

#[test]
fn without_a_command_the_console_is_the_container() {
    let volume = TestVolume::in_use();
    let mut running = Container::on(&volume).with_console().start(["run"]);
    running.until_it_says("console");
    running.stop(30);
    let end = running.wait();
    assert!([Some(0), Some(143)].contains(&end.code), "{end:?}");
}
