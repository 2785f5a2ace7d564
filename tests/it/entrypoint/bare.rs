//! A first argument that is no verb; and `shell`.

use std::process::Command;

use crate::support::{MOORLINE, TestVolume, quoted};

#[test]
fn a_command_that_is_no_verb_is_executed_as_it_is() {
    let volume = TestVolume::in_use();
    let end = volume.moorline(["sh", "-c", "echo $$ \"$@\"; exit 9", "sh", "--version"]).wait();
    assert_eq!((end.code, end.out.as_str()), (9, "1 --version\n"), "{end}");
    let end = volume.moorline(["--storage", "/no/such", "/bin/echo", "hi"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "hi\n"), "a volume is not needed: {end}");
}

#[test]
fn without_a_terminal_it_is_refused_while_scripts_are_waiting() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    let end = volume.moorline(["/bin/echo", "server"]).wait();
    assert_eq!((end.code, end.out.as_str(), volume.has("ran")), (2, "", false), "{end}");
    assert!(end.err.contains("the init script x is waiting") && end.err.contains("run -- /bin/echo"), "{end}");
    let end = volume.moorline(["/bin/echo", "server"]).env("MOORLINE_BARE", "1").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
    volume.run(["/bin/true"]).wait();
    volume.seqinit("y", "true");
    let end = volume.moorline(["/bin/echo", "server"]).wait();
    assert_eq!(end.code, 2, "those of the second source are waiting too: {end}");
    volume.run(["/bin/true"]).wait();
    let end = volume.moorline(["/bin/echo", "server"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
}

#[test]
fn with_a_terminal_a_person_gets_what_was_typed() {
    let volume = TestVolume::in_use();
    volume.script("x", "true");
    let line = format!("{} --storage {} /bin/echo a person", quoted(MOORLINE), quoted(volume.root()));
    let output = Command::new("script").args(["-qec", &line, "/dev/null"]).output().expect("script runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("a person"), "{output:?}");
}

#[test]
fn what_is_neither_verb_nor_program_gets_the_nearest_verb() {
    let volume = TestVolume::in_use();
    let end = volume.moorline(["show-kee"]).wait();
    assert_eq!(end.code, 127, "{end}");
    assert!(
        end.err.contains("unknown command `show-kee`") && end.err.contains("did you mean `moorline show-key`?"),
        "{end}"
    );
    let end = volume.moorline(["xyzzy"]).wait();
    assert_eq!(end.code, 127, "{end}");
    assert!(end.err.contains("`moorline help`"), "{end}");
}

#[test]
fn help_and_version_touch_nothing() {
    let volume = TestVolume::new();
    for arguments in [["--version"].as_slice(), &["--help"], &["help", "run"], &["run", "--help"]] {
        let end = volume.moorline(arguments).wait();
        assert_eq!((end.code, end.err.as_str()), (0, ""), "{arguments:?}: {end}");
        assert!(!end.out.is_empty() && !volume.has(".moorline"), "{arguments:?}: {end}");
    }
}

#[test]
fn under_its_other_name_it_is_the_same() {
    let volume = TestVolume::in_use();
    let link = volume.beside("seqsvr");
    std::os::unix::fs::symlink(MOORLINE, &link).expect("a link");
    volume.script("x", "seqsvr show-key");
    let arguments = ["run", "--no-boot-backup", "--", "/bin/echo", "server"];
    let output = Command::new(link).arg("--storage").arg(volume.root()).args(arguments).output().expect("runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "server\n", "{output:?}");
    assert_eq!(volume.scripts(), ["x.done"]);
}

#[test]
fn a_shell_runs_no_script_and_finds_the_verbs() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    let end = volume.moorline(["shell", "-c", "command -v seqsvr; echo \"$DATA_DIR\"; seqsvr --version"]).wait();
    assert_eq!((end.code, volume.has("ran")), (0, false), "{end}");
    let root = volume.root();
    let root = root.display();
    assert!(end.out.starts_with(&format!("{root}/.moorline/bin/seqsvr\n{root}\nmoorline ")), "{end}");
    let end = volume.moorline(["shell", "-c", "echo $0 $BASH_VERSION"]).env("SHELL", "/bin/bash").wait();
    assert!(end.out.starts_with("/bin/bash 5"), "{end}");
    let end = volume.moorline(["shell", "-c", "echo fallback"]).env("SHELL", "/no/such").wait();
    assert_eq!((end.code, end.out.as_str()), (0, "fallback\n"), "{end}");
}

#[test]
fn a_server_that_was_started_without_run_holds_the_lock_and_is_healthy() {
    let volume = TestVolume::in_use();
    volume.moorline(["backup"]).wait();
    let mut running = volume.moorline(["/bin/sh", "-c", "touch \"$MOORLINE_STORAGE/up\"; sleep 1000"]).start();
    running.until("the server runs", || volume.has("up"));
    let log = running.log();
    assert!(log.contains("without init: no init scripts, no backups") && log.contains("`run -- /bin/sh"), "{log}");
    let health = volume.moorline(["health"]).not_pid_1().wait();
    assert_eq!(health.code, 0, "{health}");
    let restore = volume.moorline(["restore", "-y", "--from-latest"]).not_pid_1().wait();
    assert_eq!(restore.code, 75, "{restore}");
    assert!(restore.err.contains("in use by `sh`"), "{restore}");
    running.kill();
}
