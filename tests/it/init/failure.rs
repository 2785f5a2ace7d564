//! The failure table, row by row.

use std::fs;

use crate::support::{TestVolume, quoted};

const COUNT_AND_FAIL: &str = "echo x >> \"$DATA_DIR/tries\"; exit 3";

fn attempts(volume: &TestVolume) -> usize {
    if volume.has("tries") { volume.read("tries").lines().count() } else { 0 }
}

#[test]
fn a_program_that_fails_is_kept_twice_and_set_aside_the_third_time() {
    let volume = TestVolume::in_use();
    volume.script("x", COUNT_AND_FAIL);
    for attempt in 1..=3 {
        if attempt == 3 {
            volume.age_failures();
        }
        let end = volume.run(["/bin/echo", "server"]).wait();
        assert_eq!((end.code, end.out.as_str()), (3, ""), "{end}");
        assert_eq!(attempts(&volume), attempt);
        assert!(end.err.contains(&format!("failed (attempt {attempt}): exited with 3")), "{end}");
    }
    assert_eq!(volume.scripts(), ["x.failed"]);
    assert!(volume.read("Init/x.log").contains("exited with 3"));
    assert_eq!(volume.run(["/bin/echo", "server"]).wait().out, "server\n");
    assert_eq!(attempts(&volume), 3);
}

#[test]
fn changed_content_has_its_own_attempts() {
    let volume = TestVolume::in_use();
    for text in [COUNT_AND_FAIL, "echo x >> \"$DATA_DIR/tries\"; exit 4"] {
        volume.script("x", text);
        for _ in 0..2 {
            volume.run(["/bin/true"]).wait();
        }
    }
    assert_eq!((attempts(&volume), volume.scripts()), (4, vec!["x".to_owned()]));
}

#[test]
fn what_can_never_succeed_is_set_aside_at_once() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr show-key --nonsense");
    let end = volume.run(["/bin/echo", "server"]).wait();
    assert_eq!((end.code, end.out.as_str()), (2, ""), "{end}");
    assert!(end.err.contains("renamed to .failed"), "{end}");
    assert_eq!(volume.scripts(), ["x.failed"]);
    assert_eq!(volume.run(["/bin/echo", "server"]).wait().out, "server\n");
}

#[test]
fn on_an_empty_volume_nothing_is_set_aside_and_no_server_starts() {
    for (text, code) in [("seqsvr show-key --nonsense", 2), ("exit 3", 3), ("#!/no/such\n", 14)] {
        let volume = TestVolume::new();
        volume.script("x", text);
        for _ in 0..4 {
            let end = volume.run(["/bin/echo", "server"]).wait();
            assert_eq!((end.code, end.out.as_str()), (code, ""), "{end}");
            assert!(end.err.contains("the volume held no state before its init scripts"), "{end}");
        }
        let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
        assert_eq!((end.code, end.out.as_str()), (code, ""), "continue does not start an empty server: {end}");
        assert_eq!(volume.scripts(), ["x"]);
        fs::remove_file(volume.path("Init/x")).expect("is there");
        assert_eq!(volume.run(["/bin/echo", "server"]).wait().out, "server\n", "it was mended");
    }
}

#[test]
fn a_provisioning_that_fails_half_way_on_an_empty_volume_does_not_start_a_server_either() {
    let volume = TestVolume::new();
    volume.script("x", "echo half >> \"$DATA_DIR/app.db\"; exit 3");
    for _ in 0..5 {
        let end = volume.run(["/bin/echo", "server"]).wait();
        assert_eq!((end.code, end.out.as_str()), (3, ""), "{end}");
    }
    assert_eq!(volume.scripts(), ["x"]);
}

#[test]
fn allow_empty_gives_the_table_back() {
    let volume = TestVolume::new();
    volume.script("x", "seqsvr show-key --nonsense");
    let end = volume.run(["/bin/true"]).env("MOORLINE_ALLOW_EMPTY", "1").wait();
    assert_eq!((end.code, volume.scripts()), (2, vec!["x.failed".to_owned()]), "{end}");
    let volume = TestVolume::new();
    volume.script("x", "exit 3");
    volume.script("y", "touch \"$DATA_DIR/y\"");
    let start = volume.run(["/bin/echo", "server"]).env("MOORLINE_ALLOW_EMPTY", "1");
    let end = start.env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
    assert_eq!((end.code, end.out.as_str(), volume.has("y")), (0, "server\n", true), "{end}");
    // The server has started since: from now on the volume is in use.
    let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_INIT_ON_FAILURE", "continue").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
    volume.age_failures();
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.scripts()), (3, vec!["x.failed".to_owned(), "y.done".to_owned()]), "{end}");
}

#[test]
fn exit_keeps_every_script_for_ever() {
    let volume = TestVolume::in_use();
    volume.script("x", "seqsvr show-key --nonsense");
    for _ in 0..2 {
        let end = volume.run(["/bin/echo", "server"]).env("MOORLINE_INIT_ON_FAILURE", "exit").wait();
        assert_eq!((end.code, end.out.as_str(), volume.scripts()), (2, "", vec!["x".to_owned()]), "{end}");
    }
    let end = volume.run(["/bin/true"]).env("MOORLINE_INIT_ON_FAILURE", "stop").wait();
    assert_eq!(end.code, 2);
    assert!(end.err.contains("use exit or continue"), "{end}");
}

#[test]
fn what_may_pass_exits_75_and_is_set_aside_only_after_5_attempts_and_30_minutes() {
    let volume = TestVolume::in_use();
    // Nothing of ours is in the way; the volume's key cannot be written, because the disk is full.
    volume.script("x", "seqsvr show-key");
    let full = |attempt: u32| {
        let own = volume.path(".moorline");
        fs::create_dir_all(own.join("spool")).expect("a folder");
        let end = volume.run(["/bin/true"]).before(&disk_full_for_instance(&volume)).wait();
        assert_eq!(end.code, 75, "attempt {attempt}: {end}");
        assert_eq!(volume.scripts(), ["x"], "attempt {attempt}: {end}");
    };
    (1..=6).for_each(full);
    // Half an hour ago it failed first.
    let ledger = volume.read(".moorline/init.json");
    let first = ledger.split("\"first_failure\": \"").nth(1).and_then(|rest| rest.split('"').next()).expect("is noted");
    let earlier: jiff::Timestamp = first.parse().expect("a time");
    let earlier = earlier - jiff::SignedDuration::from_mins(31);
    volume.write(".moorline/init.json", ledger.replace(first, &earlier.to_string()));
    let end = volume.run(["/bin/true"]).before(&disk_full_for_instance(&volume)).wait();
    assert_eq!((end.code, volume.scripts()), (75, vec!["x.failed".to_owned()]), "{end}");
}

/// While the child works, and only then, its volume is a full disk: `--storage` of the line is not ours.
fn disk_full_for_instance(volume: &TestVolume) -> String {
    let full = volume.beside("full");
    fs::create_dir_all(&full).expect("a folder");
    volume.script("x", format!("seqsvr --storage {} show-key", quoted(&full)));
    // Six pages: enough for the folders, not for the files.
    format!(
        "mount -t tmpfs -o nr_blocks=1 none {0}; mkdir -p {0}/.moorline/restores {0}/.moorline/spool {0}/Init {0}/Backups; \
         head -c 4096 /dev/zero > {0}/filler",
        quoted(full)
    )
}
