//! One volume, one container that may change it.

use nix::sys::signal::Signal;

use crate::support::TestVolume;

const SERVER: &str = "touch \"$MOORLINE_STORAGE/up\"; exec sleep 1000";

#[test]
fn a_second_container_waits_and_then_names_the_first() {
    let volume = TestVolume::in_use();
    let mut first = volume.run_sh(SERVER).start();
    first.until("it is up", || volume.has("up"));
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    let second = volume.run(["/bin/echo", "server"]).env("MOORLINE_LOCK_WAIT", "1s").wait();
    assert_eq!((second.code, second.out.as_str(), volume.has("ran")), (75, "", false), "{second}");
    assert!(second.err.contains("is in use by `run` (process 1 on host "), "{second}");
    assert!(second.err.contains("waiting up to 1 s"), "{second}");
    assert_eq!(volume.moorline(["init"]).env("MOORLINE_LOCK_WAIT", "0").wait().code, 75);
    first.kill();
    assert_eq!(volume.run(["/bin/echo", "server"]).env("MOORLINE_LOCK_WAIT", "0").wait().code, 0);
}

#[test]
fn a_rollout_gets_the_volume_when_the_first_container_is_gone() {
    let volume = TestVolume::in_use();
    let mut first = volume.run_sh(SERVER).start();
    first.until("it is up", || volume.has("up"));
    let mut second = volume.run(["/bin/echo", "server"]).start();
    second.until_log_has("waiting up to 30 s");
    first.kill();
    let end = second.wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
}

#[test]
fn a_signal_to_stop_is_heard_while_it_waits() {
    let volume = TestVolume::in_use();
    let mut first = volume.run_sh(SERVER).start();
    first.until("it is up", || volume.has("up"));
    let mut second = volume.run(["/bin/echo", "server"]).start();
    second.until_log_has("waiting up to 30 s");
    second.signal(Signal::SIGTERM);
    let end = second.wait();
    assert_eq!((end.code, end.out.as_str()), (143, ""), "{end}");
    first.kill();
}

#[test]
fn a_script_has_the_lock_and_what_it_calls_may_use_it() {
    let volume = TestVolume::in_use();
    volume.script("x", "readlink /proc/self/fd/$MOORLINE_LOCK_FD");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("Init/x.log").trim_end(), volume.path(".moorline/lock").display().to_string());
}

#[test]
fn a_time_that_makes_no_sense_is_a_usage_error() {
    let volume = TestVolume::in_use();
    for time in ["soon", "-1", "5 parsecs", "", "99999999999999999999"] {
        let end = volume.run(["/bin/true"]).env("MOORLINE_LOCK_WAIT", time).wait();
        assert_eq!(end.code, 2, "{time:?}: {end}");
        assert!(end.err.contains("MOORLINE_LOCK_WAIT"), "{end}");
    }
}

#[test]
fn beneath_a_server_that_init_prepared_nothing_is_replaced() {
    let volume = TestVolume::new();
    volume.write("state", "one");
    volume.moorline(["backup"]).wait();
    assert_eq!(volume.moorline(["init"]).wait().code, 0);
    volume.write("state", "two");
    let restore = ["restore", "-y", "--from-latest"];
    for command in [&restore[..], &["rollback", "-y"], &["apps", "disable", "--all", "--profile", "grafana"]] {
        let end = volume.moorline(command).wait();
        assert_eq!(end.code, 75, "{command:?}: {end}");
        assert!(end.err.contains("holds no lock") && end.err.contains("--server-is-stopped"), "{command:?}: {end}");
    }
    for _ in 0..2 {
        let end = volume.moorline(restore.iter().chain(&["--server-is-stopped"])).wait();
        assert_eq!((end.code, volume.read("state").as_str()), (0, "one"), "{end}");
        assert_eq!(volume.moorline(restore).wait().code, 75, "the server may have started again");
    }
    volume.write("state", "two");
    volume.script("restore", "seqsvr restore -y --from-latest\n");
    let end = volume.moorline(["init"]).wait();
    assert_eq!((end.code, volume.read("state").as_str()), (0, "one"), "a script runs before the server: {end}");
    assert_eq!(volume.run(["/bin/true"]).wait().code, 0);
    assert_eq!(volume.moorline(restore).wait().code, 0, "a server that `run` starts holds the lock");
}
