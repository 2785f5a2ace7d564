//! A secret key on a command line stays nowhere.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{KEY, TestVolume, quoted};

#[test]
fn a_key_is_taken_out_of_what_is_left_of_a_script() {
    let volume = TestVolume::in_use();
    // A shell script that does not fail, with a key on a command line that it never comes to.
    volume.script("x.sh", format!("#!/bin/sh\nexit 0\nseqsvr restore -y --secret-key=\"{KEY}\" --backup=x\n"));
    fs::set_permissions(volume.path("Init/x.sh"), fs::Permissions::from_mode(0o755)).expect("changes");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let done = volume.read("Init/x.sh.done");
    assert_eq!(done, "#!/bin/sh\nexit 0\nseqsvr restore -y --secret-key=\"[redacted]\" --backup=x\n");
    let mode = fs::metadata(volume.path("Init/x.sh.done")).expect("is there").permissions().mode();
    assert_eq!((mode & 0o777, volume.scripts()), (0o600, vec!["x.sh.done".to_owned()]));
    nowhere(&volume, &end.err);
}

#[test]
fn a_failed_script_and_its_log_do_not_hold_it_either() {
    let volume = TestVolume::in_use();
    volume.script("x", format!("echo saying {KEY} --secret-key '{KEY}' aloud\nexit 3\n"));
    for attempt in 1..=3 {
        if attempt == 3 {
            volume.age_failures();
        }
        let end = volume.run(["/bin/true"]).wait();
        assert_eq!(end.code, 3, "{end}");
        assert!(end.err.contains("saying [redacted] --secret-key [redacted] aloud"), "{end}");
        assert!(volume.read("Init/x.log").contains("saying [redacted]"));
    }
    assert_eq!(volume.scripts(), ["x.failed"]);
    nowhere(&volume, "");
}

#[test]
fn arguments_of_a_built_in_script_are_not_in_ps() {
    let volume = TestVolume::in_use();
    volume.script("x", format!("seqsvr --storage={} show-key", quoted(volume.path("an-argument"))));
    volume.write("an-argument/x", "");
    let mut container = volume
        .run(["/bin/true"])
        .env("MOORLINE_SECRETKEY_PROVIDER", "/bin/sh")
        .env("MOORLINE_SECRETKEY_PROVIDERARGS", "-c 'echo >> asked; while :; do sleep 0.05; done'")
        .start();
    container.until("the command works", || volume.has("Init/asked"));
    let pid_1 = container.pid();
    let children = fs::read_to_string(format!("/proc/{pid_1}/task/{pid_1}/children")).expect("is there");
    let command = fs::read_to_string(format!("/proc/{}/cmdline", children.trim())).expect("one child");
    assert_eq!(command, "seqsvr\0");
    assert_eq!(container.kill().out, "");
}

#[test]
fn the_server_does_not_get_it_and_scripts_do() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo \"has ${MOORLINE_SECRETKEY:+one} ${SEQ_STORAGE_SECRETKEY:+two}\"");
    let end = volume
        .run(["/usr/bin/env"])
        .env("MOORLINE_SECRETKEY", KEY)
        .env("SEQ_STORAGE_SECRETKEY", KEY)
        .env("MINE", "kept")
        .wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.err.contains("has one two\n"), "{end}");
    assert!(end.out.contains("MINE=kept\n"), "{end}");
    for name in ["SECRETKEY", "MOORLINE_LOCK_FD", "MOORLINE_SCRIPT", "MOORLINE_ARGS_FD", KEY] {
        assert!(!end.out.contains(name), "{name}: {end}");
    }
}

fn nowhere(volume: &TestVolume, log: &str) {
    assert!(!log.contains(KEY), "{log}");
    for name in fs::read_dir(volume.path("Init")).expect("a folder") {
        let path = name.expect("an entry").path();
        if !path.ends_with("x") {
            assert!(!String::from_utf8_lossy(&fs::read(&path).expect("reads")).contains(KEY), "{}", path.display());
        }
    }
    assert!(!volume.read(".moorline/init.json").contains(KEY));
}
