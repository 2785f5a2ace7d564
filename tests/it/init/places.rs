//! Where scripts come from: `/seqinit`, read-only folders, links of a ConfigMap, folders that others can write.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::support::{KEY, TestVolume, quoted};

#[test]
fn scripts_of_seqinit_are_copied_and_run_once() {
    let volume = TestVolume::in_use();
    volume.seqinit("a", "echo a >> \"$DATA_DIR/ran\"");
    for _ in 0..2 {
        let end = volume.run(["/bin/true"]).wait();
        assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\n"), "{end}");
        assert_eq!(volume.scripts(), ["a.done"]);
    }
    volume.seqinit("a", "echo changed >> \"$DATA_DIR/ran\"");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\n"), "{end}");
    assert!(end.err.contains("seqinit/a has changed since it ran"), "{end}");
}

#[test]
fn a_failed_script_of_seqinit_comes_back_only_when_it_has_changed() {
    let volume = TestVolume::in_use();
    volume.seqinit("a", &format!("seqsvr show-key --nonsense --secret-key={KEY}"));
    assert_eq!(volume.run(["/bin/true"]).wait().code, 2);
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.scripts()), (0, vec!["a.failed".to_owned()]), "{end}");
    volume.seqinit("a", "seqsvr show-key");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.scripts()), (0, vec!["a.done".to_owned()]), "{end}");
}

#[test]
fn a_script_of_seqinit_that_is_mended_replaces_its_copy() {
    let volume = TestVolume::in_use();
    volume.seqinit("a", "exit 3");
    assert_eq!(volume.run(["/bin/true"]).wait().code, 3);
    assert_eq!(volume.scripts(), ["a"]);
    volume.seqinit("a", "exit 0");
    assert_eq!(volume.run(["/bin/true"]).wait().code, 0);
    assert_eq!(volume.scripts(), ["a.done"]);
}

#[test]
fn links_of_a_config_map_are_followed_and_the_entry_is_renamed() {
    let volume = TestVolume::in_use();
    let folder = volume.beside("seqinit").join("..2026");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("a"), "echo a >> \"$DATA_DIR/ran\"").expect("writes");
    symlink("..2026", volume.beside("seqinit").join("..data")).expect("a link");
    symlink("..data/a", volume.beside("seqinit").join("a")).expect("a link");
    fs::write(volume.beside("elsewhere"), "echo b >> \"$DATA_DIR/ran\"").expect("writes");
    symlink(volume.beside("elsewhere"), volume.path("Init/b")).expect("a link");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\nb\n"), "{end}");
    assert_eq!(volume.scripts(), ["a.done", "b.done"]);
    assert!(volume.beside("elsewhere").exists());
}

fn read_only_init(volume: &TestVolume) -> String {
    let init = volume.path("Init");
    format!("mount --bind {0} {0}; mount -o remount,bind,ro {0}", quoted(init))
}

#[test]
fn in_a_read_only_init_the_ledger_says_what_is_done() {
    let volume = TestVolume::in_use();
    volume.script("a", format!("echo a >> \"$DATA_DIR/ran\" # --secret-key={KEY}"));
    for _ in 0..2 {
        let end = volume.run(["/bin/true"]).before(&read_only_init(&volume)).wait();
        assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\n"), "{end}");
        assert_eq!(volume.scripts(), ["a"]);
    }
    volume.script("a", "echo changed >> \"$DATA_DIR/ran\"");
    let end = volume.run(["/bin/true"]).before(&read_only_init(&volume)).wait();
    assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\n"), "{end}");
    assert!(end.err.contains("has changed since it ran"), "{end}");
}

#[test]
fn in_a_read_only_init_what_failed_is_tried_again_only_when_it_has_changed() {
    let volume = TestVolume::in_use();
    volume.script("a", "seqsvr show-key --nonsense");
    let start = || volume.run(["/bin/true"]).before(&read_only_init(&volume)).wait();
    assert_eq!(start().code, 2);
    assert_eq!(start().code, 0);
    volume.script("a", "seqsvr show-key");
    let end = start();
    assert_eq!(end.code, 0, "{end}");
    assert!(end.err.contains("init script a is done"), "{end}");
}

#[test]
fn a_script_that_is_a_mount_of_its_own_runs_once() {
    let volume = TestVolume::in_use();
    for (name, text) in [
        ("a", "echo a >> \"$DATA_DIR/ran\"".to_owned()),
        ("b", format!("echo b >> \"$DATA_DIR/ran\" # --secret-key={KEY}")),
    ] {
        volume.script(name, &text);
        fs::write(volume.beside(name), &text).expect("writes");
    }
    let mount = |name: &str| {
        format!("mount --bind {} {}\n", quoted(volume.beside(name)), quoted(volume.path("Init").join(name)))
    };
    for _ in 0..2 {
        let end = volume.run(["/bin/true"]).before(&(mount("a") + &mount("b"))).wait();
        assert_eq!((end.code, volume.read("ran").as_str()), (0, "a\nb\n"), "{end}");
    }
    assert!(volume.has("Init/a") && volume.has("Init/b"));
}

#[test]
fn where_nothing_can_be_remembered_nothing_is_run() {
    let volume = TestVolume::in_use();
    assert_eq!(volume.run(["/bin/true"]).wait().code, 0);
    volume.script("a", "touch \"$DATA_DIR/ran\"");
    let root = quoted(volume.root());
    let end = volume
        .run(["/bin/true"])
        .before(&format!("mount --bind {root} {root}; mount -o remount,bind,ro {root}"))
        .wait();
    assert_eq!((end.code, volume.has("ran")), (1, false), "{end}");
    assert!(end.err.contains("read-only file system") && end.err.contains("read-write"), "{end}");
}

#[test]
fn a_damaged_ledger_is_an_error_and_not_a_fresh_start() {
    let volume = TestVolume::in_use();
    volume.script("a", "touch \"$DATA_DIR/ran\"");
    volume.write(".moorline/init.json", "{ \"scripts\": [");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.has("ran")), (1, false), "{end}");
    assert!(end.err.contains("init.json is damaged"), "{end}");
}

#[test]
fn what_others_can_write_is_named_and_refused_where_that_is_asked_for() {
    let volume = TestVolume::in_use();
    volume.script("a", "echo a >> \"$DATA_DIR/ran\"");
    fs::set_permissions(volume.path("Init/a"), fs::Permissions::from_mode(0o666)).expect("changes");
    let end = volume.moorline(["run", "--strict-permissions", "--", "/bin/true"]).wait();
    assert_eq!((end.code, volume.has("ran"), volume.scripts()), (14, false, vec!["a".to_owned()]), "{end}");
    assert!(end.err.contains("every user can write to") && end.err.contains("Init/a"), "{end}");
    let end = volume.run(["/bin/true"]).env("MOORLINE_STRICT_PERMISSIONS", "1").wait();
    assert_eq!((end.code, volume.has("ran")), (14, false), "{end}");
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!((end.code, volume.has("ran")), (0, true), "{end}");
    assert!(end.err.contains("warning: every user can write to"), "{end}");

    volume.script("b", "echo b");
    fs::set_permissions(volume.path("Init"), fs::Permissions::from_mode(0o777)).expect("changes");
    let end = volume.run(["/bin/true"]).env("MOORLINE_STRICT_PERMISSIONS", "1").wait();
    assert_eq!((end.code, volume.scripts().contains(&"b".to_owned())), (14, true), "{end}");
}

#[test]
fn another_user_than_root_can_run_it_all() {
    let volume = TestVolume::in_use();
    volume.script("a", "id -u > \"$DATA_DIR/ran\"");
    volume.script("b", "seqsvr show-key");
    std::os::unix::fs::chown(volume.root(), Some(4242), Some(0)).expect("changes");
    std::os::unix::fs::chown(volume.path("Init"), Some(4242), Some(0)).expect("changes");
    let end = volume.moorline(["run", "--", "/usr/bin/id", "-u"]).with_user(4242).wait();
    assert_eq!((end.code, end.out.as_str(), volume.read("ran").as_str()), (0, "4242\n", "4242\n"), "{end}");
    assert_eq!(volume.scripts(), ["a.done", "b.done"]);
}

#[test]
fn scripts_in_lower_case_init_are_named() {
    let volume = TestVolume::in_use();
    volume.write("init/restore.sh", "seqsvr restore -y --from-latest\n");
    let end = volume.run(["/bin/true"]).wait();
    assert!(end.err.contains("init/restore.sh does not run") && end.err.contains("capital I"), "{end}");
    let volume = TestVolume::in_use();
    volume.write("init/data.bin", "of the server");
    let end = volume.run(["/bin/true"]).wait();
    assert!(!end.err.contains("capital I"), "{end}");
}
