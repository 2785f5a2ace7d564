//! A restore that fails in a script that ignores its exit code.

use crate::support::{KEY, TestVolume};

const SERVER: [&str; 2] = ["/bin/echo", "server"];

/// Scripts that exit with 0 whatever their restore does, and the code of the restore.
const IGNORING: [(&str, i32); 6] = [
    ("echo begin\nseqsvr restore -y --from-latest\necho end", 10),
    ("seqsvr restore -y --from-latest 2>&1 | tee restore.out.log", 10),
    ("#!/bin/bash\nif ! seqsvr restore -y --from-latest; then echo failed; fi", 10),
    ("seqsvr restore --from-latest -y --nonsense; true", 2),
    ("moorline rollback -y || true", 10),
    (KILLED, 1),
];

/// Its provider never answers, so it is killed in the middle.
const KILLED: &str =
    "MOORLINE_SECRETKEY_PROVIDER=/bin/sleep MOORLINE_SECRETKEY_PROVIDERARGS=1000 seqsvr restore -y --from-latest &
until grep -qs restore \"$DATA_DIR\"/.moorline/spool/script-report-*; do sleep 0.01; done; kill -9 $!; wait; true";

#[test]
fn a_restore_that_fails_in_a_script_that_exits_with_0_fails_the_script() {
    for (text, code) in IGNORING {
        let volume = TestVolume::new();
        volume.script("x.sh", text);
        for _ in 0..2 {
            let end = volume.run(SERVER).wait();
            assert_eq!((end.code, end.out.as_str()), (code, ""), "{text}: {end}");
            assert!(end.err.contains("failed, although the script exited with 0"), "{text}: {end}");
            assert_eq!(volume.scripts(), ["x.sh"], "{text}: {end}");
        }
        assert!(volume.read("Init/x.sh.log").contains("although the script exited with 0"), "{text}");
        assert!(nothing_left(&volume), "{text}");
    }
}

fn nothing_left(volume: &TestVolume) -> bool {
    std::fs::read_dir(volume.path(".moorline/spool")).expect("a folder").next().is_none()
}

#[test]
fn it_follows_the_failure_table_as_the_command_itself() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr restore -y --from-latest; true");
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, volume.scripts()), (10, vec!["x.failed".to_owned()]), "{end}");
    assert!(end.err.contains("--may-fail"), "{end}");
    assert_eq!(volume.run(SERVER).wait().out, "server\n");
    // It may succeed later.
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr restore -y --from-latest; true");
    let location = volume.beside("not-mounted");
    assert_eq!(volume.moorline(["backup"]).wait().code, 0);
    let end = volume.run(SERVER).env("MOORLINE_BACKUP_LOCATION", location).wait();
    assert_eq!((end.code, volume.scripts()), (75, vec!["x".to_owned()]), "{end}");
    let end = volume.run(SERVER).wait();
    assert_eq!((end.code, volume.scripts()), (0, vec!["x.done".to_owned()]), "{end}");
}

#[test]
fn a_later_success_and_may_fail_say_that_the_script_handles_it() {
    for text in [
        "seqsvr restore -y --backup=../Backups/none; seqsvr restore -y --from-latest",
        "until seqsvr restore -y --from-latest ${once:---nonsense}; do once=--enable-apps; done",
        "seqsvr restore -y --backup=../Backups/none --may-fail || true",
        "seqsvr restore --dry-run --backup=../Backups/none || seqsvr rollback --discard 00 || true",
        "seqsvr restore -y --backup=../Backups/none --may-fail\nseqsvr list",
    ] {
        let volume = TestVolume::in_use();
        assert_eq!(volume.moorline(["backup"]).wait().code, 0);
        volume.script("x", text);
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, volume.scripts()), (0, vec!["x.done".to_owned()]), "{text}: {end}");
    }
}

#[test]
fn may_fail_covers_no_command_line_that_makes_no_sense_and_changes_no_exit_code() {
    for text in ["seqsvr restore -y --may-fail --nonsense", "seqsvr restore -y --may-fail --nonsense; true"] {
        let volume = TestVolume::in_use();
        volume.script("x", text);
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, volume.scripts()), (2, vec!["x.failed".to_owned()]), "{text}: {end}");
    }
    let volume = TestVolume::in_use();
    let restore = ["restore", "-y", "--may-fail", "--secret-key", KEY, "--backup", "/no/such"];
    assert_eq!(volume.moorline(restore).wait().code, 10);
}

#[test]
fn a_restore_of_another_user_that_the_script_runs_as_is_noticed() {
    let volume = TestVolume::new();
    volume.script("x", "seqsvr restore -y --from-latest; true");
    let end = volume.moorline(["run", "--user", "4242:4242", "--"]).args(SERVER).wait();
    assert!(end.code != 0 && end.out.is_empty(), "{end}");
    assert!(end.err.contains("failed, although the script exited with 0"), "{end}");
    assert_eq!(volume.scripts(), ["x"], "{end}");
}

#[test]
fn a_failure_in_a_start_script_ends_the_start() {
    let volume = TestVolume::in_use();
    volume.write("Init/start.d/x", "seqsvr restore -y --from-latest; true");
    for _ in 0..2 {
        let end = volume.run(SERVER).wait();
        assert_eq!((end.code, end.out.as_str()), (10, ""), "{end}");
    }
}
