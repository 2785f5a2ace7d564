//! Narrow places: a filter on system calls, no /proc, a root that cannot be written, no root.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use crate::support::{KEY, Start, TestVolume, quoted};

/// A program that starts another one under a filter that answers newer system calls with an error.
fn filter(volume: &TestVolume) -> String {
    let program = volume.beside("seccomp");
    let source = Path::new(env!("MOORLINE_REPOSITORY")).join("tests/servers/seccomp.c");
    let made = Command::new("cc").arg("-O1").arg("-o").arg(&program).arg(source).status().expect("cc runs");
    assert!(made.success());
    quoted(program)
}

/// Everything at once: an old script of each kind, a backup, a restore, what runs at every start, another user.
#[track_caller]
fn the_whole_line_works(narrow: impl Fn(Start<'_>) -> Start<'_>, user: bool) {
    let volume = TestVolume::in_use();
    // Whoever it is that runs.
    for folder in [volume.root(), volume.path("Init")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("changes");
    }
    let run = |line: &str| {
        let start = volume.run_sh(line);
        narrow(if user { start.env("MOORLINE_USER", "1000:1000") } else { start })
    };
    let end = narrow(volume.moorline(["backup"])).wait();
    assert_eq!(end.code, 0, "{end}");
    volume.write("app.conf", "changed");
    volume.script("1-restore", "seqsvr restore -y --from-latest");
    volume.script("2-text", format!("# seqsvr --secret-key={KEY}\nsleep 1000 & id -u; seqsvr --version"));
    volume.script("3-image", fs::read("/usr/bin/id").expect("reads"));
    volume.script("start.d/1", "echo again");
    let end = run("cat \"$MOORLINE_STORAGE/app.conf\"").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "in use"), "{end}");
    assert_eq!(volume.scripts(), ["1-restore.done", "2-text.done", "3-image.done", "start.d"], "{end}");
    assert!(volume.read("Init/2-text.done").contains("[redacted]"), "{end}");
    let log = volume.read("Init/2-text.log");
    assert!(log.contains("moorline 0.1.0\n") && log.starts_with(if user { "1000\n" } else { "0\n" }), "{end}");
    assert!(volume.read("Init/start.d/1.log").contains("again"), "{end}");
    let end = narrow(volume.moorline(["rollback", "-y"])).wait();
    assert_eq!((end.code, volume.read("app.conf").as_str()), (0, "changed"), "{end}");
    let mut server = run("trap 'exit 5' TERM; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.05; done").start();
    server.until("it is up", || volume.has("up"));
    let health = narrow(volume.moorline(["health"])).wait();
    assert_eq!(health.code, 0, "{health}");
    server.kill();
}

#[test]
fn a_filter_that_forbids_newer_calls() {
    let tools = TestVolume::new();
    let filter = filter(&tools);
    for error in ["EPERM", "ENOSYS"] {
        let line = format!("exec {filter} {error} \"$@\"");
        the_whole_line_works(|start| start.before(&line), false);
        the_whole_line_works(|start| start.before(&line), true);
    }
}

#[test]
fn without_proc() {
    // As in a root that has none: an empty folder.
    let line = "mount -t tmpfs none /proc";
    the_whole_line_works(|start| start.before(line), false);
    the_whole_line_works(|start| start.before(line), true);
}

#[test]
fn a_root_that_cannot_be_written() {
    let target = quoted(env!("CARGO_TARGET_TMPDIR"));
    // The checkout may be below /tmp: nothing is mounted over /tmp but /tmp itself, with all that is mounted below it.
    let line = format!(
        "mount --bind {target} {target}; mount -o remount,ro,bind /; mount --rbind /tmp /tmp; mount -o remount,ro,bind /tmp
        if (: > /tmp/moorline-test) 2> /dev/null; then echo '/tmp can be written'; exit 99; fi"
    );
    the_whole_line_works(|start| start.before(&line), false);
    the_whole_line_works(|start| start.before(&line), true);
}

#[test]
fn variables_that_are_not_ours_are_left_alone_and_secrets_do_not_reach_the_server() {
    let volume = TestVolume::in_use();
    let line = "echo \"$DB_PASSWORD_FILE|${DB_PASSWORD-unset}|${MOORLINE_SECRETKEY-unset}|$NOTIFY_SOCKET\"";
    volume.script("x", line);
    volume.script("start.d/y", line);
    let end = volume
        .run_sh(line)
        .env("DB_PASSWORD_FILE", "/run/secrets/db")
        .env("MOORLINE_SECRETKEY", KEY)
        .env("NOTIFY_SOCKET", "/run/notify")
        .wait();
    assert_eq!((end.code, end.out.as_str()), (0, "/run/secrets/db|unset|unset|/run/notify\n"), "{end}");
    for log in ["Init/x.log", "Init/start.d/y.log"] {
        assert_eq!(volume.read(log), format!("/run/secrets/db|unset|{KEY}|\n"), "{end}");
    }
}
