//! What a script leaves running is stopped and named before the next step.

use crate::support::{TestVolume, quoted};

const COUNT: &str = "n=0; for p in /proc/[0-9]*; do n=$((n+1)); done; echo processes $n";

#[test]
fn a_background_process_is_named_and_gone_before_the_server() {
    let volume = TestVolume::in_use();
    volume.script(
        "1-x",
        "sleep 1000 & setsid sleep 1001 & sh -c 'trap \"\" TERM; sleep 1002; sleep 1003' & sleep 0.2; echo over",
    );
    volume.script("2-y", COUNT);
    let end = volume.run_sh(COUNT).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "processes 1\n"), "{end}");
    assert!(volume.read("Init/2-y.log").contains("processes 2\n"), "{end}");
    assert_eq!(end.err.matches("1-x left sleep (process").count(), 3, "{end}");
    assert!(end.err.contains("1-x left sh (process"), "{end}");
    assert!(volume.read("Init/1-x.log").contains("left sleep"), "{end}");
}

#[test]
fn one_that_holds_the_output_open_does_not_hold_up_the_start() {
    let volume = TestVolume::in_use();
    volume.script("x", "setsid sh -c 'while :; do echo noise; done' & echo over");
    let end = volume.run(["/bin/echo", "server"]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "server\n"), "{end}");
}

#[test]
fn also_where_moorline_is_not_pid_1_and_only_its_own() {
    let volume = TestVolume::in_use();
    volume.script("x", "setsid sleep 1000 & sleep 0.2");
    // The one that was there before stays: it is the server's.
    let end = volume
        .run_sh("read -r children < /proc/$$/task/$$/children; for p in $children; do cat /proc/$p/comm; kill $p; done")
        .before("cat /dev/zero > /dev/null &")
        .not_pid_1()
        .wait();
    assert_eq!((end.code, end.out.as_str()), (0, "cat\n"), "{end}");
    assert!(end.err.contains("x left sleep (process"), "{end}");
}

#[test]
fn what_one_that_was_there_before_starts_is_left_alone_too() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/now\"; while ! [ -e \"$DATA_DIR/started\" ]; do sleep 0.01; done");
    let helper = format!(
        "cd {}; (while ! [ -e now ]; do sleep 0.01; done; sleep 1 & touch started; wait; touch survived) &",
        quoted(volume.root())
    );
    let end =
        volume.run_sh("while ! [ -e \"$MOORLINE_STORAGE/survived\" ]; do sleep 0.01; done").before(&helper).wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(!end.err.contains("left"), "{end}");
}

#[test]
fn no_zombie_is_left_to_the_server() {
    let volume = TestVolume::in_use();
    volume.script("x", "for i in 1 2 3 4 5 6 7 8; do setsid sleep 1000 & setsid true & done");
    let end =
        volume.run(["/bin/sh", "-c", "read -r children < /proc/$$/task/$$/children; echo \"<$children>\""]).wait();
    assert_eq!((end.code, end.out.as_str()), (0, "<>\n"), "{end}");
}

#[test]
fn without_proc_they_are_stopped_all_the_same() {
    let volume = TestVolume::in_use();
    volume.script("x", "setsid sh -c 'sleep 0.5; touch \"$DATA_DIR/late\"' & echo over");
    let end = volume.run_sh("sleep 1; echo server").before("umount -l /proc").wait();
    assert_eq!((end.code, end.out.as_str(), volume.has("late")), (0, "server\n", false), "{end}");
}

#[test]
fn the_proc_of_another_namespace_is_not_believed() {
    let volume = TestVolume::in_use();
    volume.script("x", "setsid sleep 1000 & echo over");
    // What it shows under our process id is somebody else.
    let end = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", crate::support::MOORLINE, "--storage"])
        .arg(volume.root())
        .args(["run", "--no-boot-backup", "--", "/bin/echo", "server"])
        .output()
        .expect("runs");
    let err = String::from_utf8_lossy(&end.stderr);
    assert!(end.status.success(), "{err}");
    assert_eq!(String::from_utf8_lossy(&end.stdout), "server\n");
    assert!(err.contains("of unknown name"), "{err}");
}
