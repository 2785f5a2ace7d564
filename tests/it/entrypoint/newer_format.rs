//! A volume that a newer moorline has used: this one does not write to it, and still hands over to the server.

use std::fs;

use crate::support::TestVolume;

/// A volume after a start, whose format was raised since.
fn newer_volume() -> TestVolume {
    let volume = TestVolume::in_use().settle();
    assert!(volume.read(".moorline/format.json").contains("\"format\":1"), "a start records the format");
    volume.write(".moorline/format.json", "{\"format\": 2, \"written_by\": \"9.9.9\"}");
    volume
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
