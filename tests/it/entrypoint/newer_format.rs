//! A volume that a newer moorline has used: this one does not write to it, and still hands over to the server.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::json;

use crate::{
    serve::client::{Console, serve},
    support::TestVolume,
};

/// A volume after a start, whose format was raised since.
fn newer_volume() -> TestVolume {
    let volume = TestVolume::in_use().settle();
    assert!(volume.read(".moorline/format.json").contains("\"format\":1"), "a start records the format");
    volume.write(".moorline/format.json", "{\"format\": 2, \"written_by\": \"9.9.9\"}");
    volume
}

/// Every file on the volume, except the lock, which each start takes, and the events, to which each version adds lines.
fn files(volume: &TestVolume) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![volume.root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path == volume.path(".moorline/events") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path != volume.path(".moorline/lock") {
                found.insert(path.clone(), fs::read(path).expect("reads"));
            }
        }
    }
    found
}

#[test]
fn the_server_starts_and_nothing_runs_before_it() {
    for flags in [&[][..], &["--supervise"]] {
        let volume = newer_volume();
        volume.script("a.sh", "echo ran");
        let before = fs::read_dir(volume.path("Backups")).expect("a folder").count();
        let server = ["--", "/bin/sh", "-c", "echo up"];
        let end = volume.moorline(["run"].iter().chain(flags).chain(&server)).wait();
        assert_eq!((end.code, end.out.as_str()), (0, "up\n"), "{end}");
        assert!(end.err.contains("format 2, written by moorline 9.9.9"), "{end}");
        assert!(volume.has("Init/a.sh"), "{end}");
        assert_eq!(fs::read_dir(volume.path("Backups")).expect("a folder").count(), before, "{end}");
    }
}

#[test]
fn commands_that_write_are_refused_with_the_version_to_use() {
    for command in [&["backup"][..], &["restore", "-y", "--from-latest"]] {
        let volume = newer_volume();
        let end = volume.moorline(command).not_pid_1().wait();
        assert_eq!(end.code, 21, "{command:?}: {end}");
        assert!(end.err.contains("9.9.9"), "{command:?}: {end}");
    }
}

#[test]
fn an_unfinished_restore_keeps_the_server_down() {
    let volume = newer_volume();
    let set = ".moorline/restores/0123456789abcdef0123456789abcdef/journal.json";
    volume.write(set, "{\"state\": \"commit\"}");
    let end = volume.run_sh("echo up").wait();
    assert_eq!((end.code, end.out.as_str()), (21, ""), "{end}");
}

#[test]
fn an_older_sidecar_beside_a_newer_server_ends_and_names_the_version() {
    let volume = newer_volume();
    let before = files(&volume);
    let end = serve(&volume).wait();
    assert_eq!(end.code, 21, "{end}");
    assert!(end.err.contains("9.9.9"), "{end}");
    assert!(files(&volume) == before, "the sidecar changed the volume: {end}");
}

#[test]
fn a_sidecar_that_runs_takes_no_backup_once_a_newer_server_has_raised_the_format() {
    let volume = TestVolume::in_use().settle();
    let (console, session) = Console::with_administrator(&volume);
    console.back_up(&session);
    volume.write(".moorline/format.json", "{\"format\": 2, \"written_by\": \"9.9.9\"}");
    let backups = || fs::read_dir(volume.path("Backups")).expect("a folder").count();
    let before = backups();
    let refused = console.ask("POST", "/api/backups/immediate?store=true").by(&session).json(&json!({})).send();
    assert!(refused.status >= 400 && refused.text().contains("9.9.9"), "{refused}");
    assert_eq!(backups(), before);
}

#[test]
fn an_older_init_container_runs_no_script_and_lets_the_pod_start() {
    let volume = newer_volume();
    volume.script("a.sh", "echo ran");
    let before = files(&volume);
    let end = volume.moorline(["init"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, ""), "{end}");
    assert!(end.err.contains("no init scripts run") && end.err.contains("9.9.9"), "{end}");
    assert!(files(&volume) == before, "the init container changed the volume: {end}");
}

#[test]
fn after_a_rollback_of_the_image_the_server_runs_without_its_console() {
    let volume = newer_volume();
    let before = files(&volume);
    let wait = "until [ -e \"$0\" ]; do sleep 0.05; done; echo served";
    let go = volume.beside("go");
    let server = ["--", "/bin/sh", "-c", wait, go.to_str().expect("UTF-8")];
    let start = volume.moorline(["run", "--supervise"].iter().chain(&server)).without("MOORLINE_NO_SERVE");
    let mut running = start.env("MOORLINE_LISTEN", "127.0.0.1:0").start();
    running.until_log_has("the console exited with code 21");
    fs::write(go, "").expect("writes");
    let end = running.wait();
    assert_eq!((end.code, end.out.as_str()), (0, "served\n"), "{end}");
    assert!(files(&volume) == before, "the older version changed the volume: {end}");
}

#[test]
fn versions_with_the_same_format_take_turns_on_one_volume() {
    for other in ["0.0.1", "9.9.9"] {
        let volume = TestVolume::in_use().settle();
        let format = format!("{{\"format\":1,\"written_by\":\"{other}\"}}");
        volume.write(".moorline/format.json", &format);
        volume.script("a.sh", "seqsvr backup");
        let end = volume.run_sh("echo up").wait();
        assert_eq!(end.code, 0, "{other}: {end}");
        assert!(volume.has("Init/a.sh.done") && end.out.ends_with("up\n"), "{other}: {end}");
        assert_eq!(volume.read(".moorline/format.json"), format, "the other version still finds its own format");
        let end = volume.moorline(["init"]).wait();
        assert_eq!(end.code, 0, "{other}: {end}");
        drop(Console::of(serve(&volume)));
    }
}
