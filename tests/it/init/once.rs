//! One after the other, once each, and what is said about those that are not run.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use crate::support::{TestVolume, without_times};

#[test]
fn scripts_run_bytewise_by_name_before_the_server_and_only_once() {
    let volume = TestVolume::in_use();
    for name in ["b", "10-x", "9-x", "B", "_"] {
        volume.script(name, "echo \"$(basename \"$0\")\" >> \"$DATA_DIR/order\"");
    }
    let end = volume.run_sh("echo server >> \"$MOORLINE_STORAGE/order\"").wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("order"), "10-x\n9-x\nB\n_\nb\nserver\n");
    assert_eq!(volume.scripts(), ["10-x.done", "9-x.done", "B.done", "_.done", "b.done"]);
    assert_eq!(volume.run(["/bin/true"]).wait().code, 0);
    assert_eq!(volume.read("order"), "10-x\n9-x\nB\n_\nb\nserver\n");
}

#[test]
fn a_script_gets_what_it_is_promised() {
    let volume = TestVolume::in_use();
    volume.script(
        "x",
        "echo \"cwd=$(pwd) data=$DATA_DIR\"; cat; command -v seqsvr; command -v moorline; seqsvr --version; readlink /proc/self/fd/0",
    );
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let root = volume.root();
    let root = root.display();
    let log = volume.read("Init/x.log");
    assert!(log.contains(&format!("cwd={root}/Init data={root}\n")), "{log}");
    assert!(log.contains(&format!("{root}/.moorline/bin/seqsvr\n{root}/.moorline/bin/moorline\n")), "{log}");
    assert!(log.contains("moorline 0."), "{log}");
    assert!(log.ends_with("/dev/null\n"), "{log}");
}

#[test]
fn what_it_says_is_in_both_logs_and_in_order() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo one; echo two >&2; printf three");
    let end = volume.run(["/bin/echo", "server"]).wait();
    assert_eq!(volume.read("Init/x.log"), "one\ntwo\nthree");
    // A line of ours never begins in the middle of one of the script's.
    assert!(without_times(&end.err).contains("one\ntwo\nthree\nmoorline: "), "{end}");
    assert_eq!(end.out, "server\n", "stdout is the server's: {end}");
}

#[test]
fn names_may_have_any_bytes() {
    let volume = TestVolume::in_use();
    let names: [&[u8]; 4] = [b"a b", b"-n\nforged: x", b"\xff\xfe", "\u{1b}[2J$(x)'\"".as_bytes()];
    for name in names {
        volume.script(OsStr::from_bytes(name), "echo hi >> \"$DATA_DIR/count\"");
    }
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("count").lines().count(), 4);
    for name in names {
        let done = [name, b".done"].concat();
        assert!(volume.has(OsStr::from_bytes(&[b"Init/", done.as_slice()].concat())), "{name:?}: {end}");
    }
    assert!(!end.err.contains("\nforged"), "a name forged a line of the log: {end}");
    assert!(!end.err.contains('\u{1b}'), "{end}");
}

#[test]
fn what_is_no_script_by_its_name_is_left_alone() {
    let volume = TestVolume::in_use();
    for name in [".hidden", "x.done", "x.failed"] {
        volume.script(name, "touch \"$DATA_DIR/ran\"");
    }
    volume.script("y.log", "touch \"$DATA_DIR/ran\"");
    fs::create_dir(volume.path("Init/lost+found")).expect("a folder");
    let logged = [
        "x~",
        "x.swp",
        "x.bak",
        "x.tmp",
        "x.swo",
        "x.save",
        "#x#",
        "4913",
        "x.disabled",
        "x.off",
        "x.old",
        "x.orig",
        "x.rej",
        "x.dist",
        "x.example",
        "README.md",
        "README.TXT",
        "x:Zone.Identifier",
        "x.dpkg-old",
        "x.rpmsave",
    ];
    for name in logged {
        volume.script(name, "touch \"$DATA_DIR/ran\"");
        volume.seqinit(name, "touch \"$DATA_DIR/ran\"");
    }
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert!(!volume.has("ran"), "{end}");
    for name in logged {
        for folder in ["Init", "seqinit"] {
            let line = format!("/{folder}/{name}: ");
            assert_eq!(end.err.matches(&line).count(), 1, "{line}: {end}");
        }
    }
}

#[test]
fn a_script_whose_mark_is_there_is_not_run_and_both_ways_out_are_named() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo ran >> \"$DATA_DIR/ran\"");
    volume.run(["/bin/true"]).wait();
    volume.script("x", "echo changed >> \"$DATA_DIR/ran\"");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("ran"), "ran\n");
    assert!(end.err.contains("x does not run, because x.done exists (the script has changed since it ran)"), "{end}");
    assert!(end.err.contains("remove or rename that file") && end.err.contains("rename the script"), "{end}");
    assert_eq!(volume.scripts(), ["x", "x.done"]);
}

#[test]
fn a_mark_that_is_renamed_back_runs_again() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo ran >> \"$DATA_DIR/ran\"");
    volume.run(["/bin/true"]).wait();
    fs::rename(volume.path("Init/x.done"), volume.path("Init/x")).expect("renames");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.read("ran").as_str()), (0, "ran\nran\n"), "{end}");
    assert_eq!(volume.scripts(), ["x.done"]);
}

#[test]
fn an_older_mark_is_never_replaced() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo older > x.done");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    assert_eq!(volume.read("Init/x.done"), "older\n");
    let scripts = volume.scripts();
    assert_eq!(scripts.len(), 2, "{scripts:?}");
    assert!(scripts[0].starts_with("x.20") && scripts[0].ends_with("Z.done"), "{scripts:?}");
}

#[test]
fn a_long_output_is_kept_from_both_ends() {
    let volume = TestVolume::in_use();
    volume.script("x", "echo first; i=0; while [ $i -lt 30000 ]; do echo \"line $i of a long, long output that nobody reads to its end\"; i=$((i+1)); done; echo last");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 0, "{end}");
    let log = volume.read("Init/x.log");
    assert!(log.starts_with("first\n") && log.ends_with("last\n") && log.len() < 1_100_000, "{}", log.len());
    assert!(end.err.len() > 1_500_000, "the container's log has all of it");
}

#[test]
fn init_runs_the_scripts_alone_and_skip_init_none() {
    let volume = TestVolume::in_use();
    volume.script("x", "touch \"$DATA_DIR/ran\"");
    let end = volume.run(["/bin/true"]).env("MOORLINE_SKIP_INIT", "1").wait();
    assert_eq!((end.code, volume.has("ran")), (0, false), "{end}");
    let end = volume.moorline(["init"]).wait();
    assert_eq!((end.code, volume.has("ran")), (0, true), "{end}");
    assert_eq!(end.out, "");
}

#[test]
fn a_script_that_removes_or_marks_itself_is_done_all_the_same() {
    let volume = TestVolume::in_use();
    volume.seqinit("removes", "echo removes >> \"$DATA_DIR/ran\"; rm \"$0\"");
    volume.seqinit("renames", "echo renames >> \"$DATA_DIR/ran\"; mv \"$0\" \"$0.done\"");
    for _ in 0..2 {
        let end = volume.run(["/bin/true"]).wait();
        assert_eq!((end.code, volume.read("ran").as_str()), (0, "removes\nrenames\n"), "{end}");
        assert_eq!(volume.scripts(), ["removes.done", "renames.done"]);
    }
}
