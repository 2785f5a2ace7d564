//! `moorline health`: 0 or 1, whatever it finds.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use crate::support::{End, TestVolume};

fn health(volume: &TestVolume, arguments: &[&str]) -> End {
    volume.moorline(["health"]).args(arguments).not_pid_1().wait()
}

fn answering(line: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let port = listener.local_addr().expect("has an address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(line.as_bytes());
        }
    });
    format!("127.0.0.1:{port}")
}

#[test]
fn without_a_check_it_is_the_lock_that_says_whether_the_server_is_up() {
    let volume = TestVolume::in_use();
    let down = health(&volume, &[]);
    assert_eq!(down.code, 1, "{down}");
    assert!(down.out.starts_with("unhealthy (down): no server runs on the volume "), "{down}");
    volume.script("x", "touch \"$DATA_DIR/running\"; while [ ! -e \"$DATA_DIR/go\" ]; do sleep 0.02; done");
    let mut start = volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 1000").start();
    start.until("the script runs", || volume.has("running"));
    let starting = health(&volume, &[]);
    assert_eq!(starting.code, 1, "{starting}");
    assert!(starting.out.starts_with("unhealthy (starting): `run` is preparing the volume"), "{starting}");
    let passes = health(&volume, &["--startup"]);
    assert_eq!(passes.code, 0, "{passes}");
    assert!(passes.out.starts_with("healthy (starting)"), "{passes}");
    assert_eq!(health(&volume, &["--startup", "--health", "tcp:127.0.0.1:1"]).code, 0);
    assert_eq!(health(&volume, &["--health", "tcp:127.0.0.1:1"]).code, 1);
    volume.write("go", "");
    start.until("the server is up", || volume.has("up"));
    let up = health(&volume, &["--json"]);
    assert_eq!(up.code, 0, "{up}");
    let mut answer: serde_json::Value = serde_json::from_str(&up.out).expect("is JSON");
    let warning = answer.as_object_mut().expect("an object").remove("warning");
    assert!(warning.is_some_and(|text| text.to_string().contains("no daily backups")), "{up}");
    assert_eq!(answer, serde_json::json!({ "healthy": true, "state": "up", "check": null, "reason": null }));
    assert_eq!(health(&volume, &["--startup"]).code, 0);
    assert_eq!(health(&volume, &["--startup", "--health", "tcp:127.0.0.1:1"]).code, 1, "it is up, and does not answer");
    assert_eq!(health(&volume, &["--health", "alive:0s"]).code, 0);
    let young = health(&volume, &["--health", "alive:1h"]);
    assert_eq!(young.code, 1, "{young}");
    assert!(young.out.contains("of the required 3600 s"), "{young}");
    start.kill();
    assert_eq!(health(&volume, &["--startup"]).code, 1, "no init is running");
}

#[test]
fn a_restore_by_hand_is_a_start_too() {
    let volume = TestVolume::in_use();
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    volume.script("x", "seqsvr restore -y --from-latest && seqsvr health --startup; seqsvr health; echo $?");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(volume.read("Init/x.log").contains("healthy (starting)"), "{end}");
    assert!(volume.read("Init/x.log").ends_with("1\n"), "{end}");
}

#[test]
fn the_server_of_another_container_is_not_this_ones() {
    let volume = TestVolume::in_use();
    let mut server = volume.run_sh("touch \"$MOORLINE_STORAGE/up\"; exec sleep 1000").start();
    server.until("it is up", || volume.has("up"));
    let elsewhere = |arguments: &[&str]| {
        let line = "exec unshare --uts sh -c 'hostname another; exec \"$@\"' sh \"$@\"";
        volume.moorline(["health"]).args(arguments).before(line).not_pid_1().wait()
    };
    let end = elsewhere(&[]);
    assert_eq!(end.code, 1, "{end}");
    assert!(end.out.contains("the volume is in use by `run` on host "), "{end}");
    assert_eq!(elsewhere(&["--startup"]).code, 0, "it waits for the volume");
    server.kill();
}

#[test]
fn a_port_or_an_address_is_asked() {
    let volume = TestVolume::in_use();
    for (line, code) in [
        ("HTTP/1.1 200 OK\r\n\r\n", 0),
        ("HTTP/1.0 302 Found\r\n\r\n", 0),
        ("HTTP/1.1 404 Not Found\r\n\r\n", 1),
        ("HTTP/1.1 503 Busy\r\n\r\n", 1),
        ("HTTP/1.1 100 Continue\r\n\r\n", 1),
        ("SSH-2.0-OpenSSH\r\n", 1),
        ("", 1),
    ] {
        let end = health(&volume, &["--health", &format!("http://{}/", answering(line))]);
        assert_eq!(end.code, code, "{line:?}: {end}");
        assert_eq!(end.out.starts_with("healthy (up)"), code == 0, "{end}");
    }
    assert_eq!(health(&volume, &["--health", &format!("tcp:{}", answering(""))]).code, 0);
    let refused = health(&volume, &["--health", "tcp:127.0.0.1:1", "--json"]);
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.out.contains("\"reason\": \"127.0.0.1:1: connection refused\""), "{refused}");
    let set = volume.moorline(["health"]).env("MOORLINE_HEALTH", format!("tcp:{}", answering(""))).not_pid_1().wait();
    assert_eq!(set.code, 0, "{set}");
    // The volume is not needed for it.
    let address = format!("tcp:{}", answering(""));
    let end = volume.moorline(["health", "--storage", "/no/such", "--health", &address]).not_pid_1().wait();
    assert_eq!(end.code, 0, "{end}");
    let end = volume.moorline(["health", "--storage", "/no/such"]).not_pid_1().wait();
    assert_eq!(end.code, 1, "{end}");
}

#[test]
fn a_check_that_makes_no_sense_is_a_usage_error() {
    let volume = TestVolume::in_use();
    for (check, reason) in
        [("https://localhost/", "TLS is not supported"), ("localhost:80", "write http://"), ("alive:soon", "soon")]
    {
        let end = health(&volume, &["--health", check]);
        assert_eq!(end.code, 2, "{check}: {end}");
        assert!(end.err.contains(reason), "{end}");
        let end = volume.run(["/bin/echo", "up"]).env("MOORLINE_HEALTH", check).wait();
        assert_eq!((end.code, end.out.as_str()), (2, ""), "{check}: {end}");
        assert!(end.err.contains("MOORLINE_HEALTH"), "{end}");
    }
}

#[test]
fn a_server_without_daily_backups_is_healthy_with_a_warning() {
    let volume = TestVolume::in_use();
    let mut running = volume.run(["/bin/sh", "-c", "touch \"$MOORLINE_STORAGE/up\"; sleep 1000"]).start();
    running.until("it is up", || volume.has("up"));
    let health = volume.moorline(["health", "--health", "alive:0s", "--json"]).not_pid_1().wait();
    assert!(health.code == 0 && health.out.contains("no daily backups in this mode"), "{health}");
    let status = volume.moorline(["status", "--json"]).not_pid_1().wait();
    assert!(status.out.contains("\"daily_backups\": false"), "{status}");
    volume.moorline(["backup", "--scheduled"]).not_pid_1().wait();
    let health = volume.moorline(["health", "--health", "alive:0s"]).not_pid_1().wait();
    assert_eq!((health.code, health.out.contains("daily")), (0, false), "{health}");
    running.kill();
}
