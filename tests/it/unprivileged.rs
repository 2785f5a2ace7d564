//! As a user who is not root: what only root may do whatever the mode.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
};

use crate::fixture::{Data, Ran, names};

const NOBODY: u32 = 65534;

fn as_nobody(data: &Data, arguments: &[&str]) -> Ran {
    let mut command = data.command(arguments);
    command.uid(NOBODY).gid(NOBODY);
    Ran::of(command)
}

fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("root");
    if path.symlink_metadata().expect("is there").is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            give_away(&entry.expect("an entry").path());
        }
    }
}

fn read_only(data: &Data, names: &[&str]) {
    for name in names {
        fs::set_permissions(data.path(name), fs::Permissions::from_mode(0o555)).expect("changed");
    }
}

fn with_read_only_folders() -> Data {
    let data = Data::with_state();
    data.file("ro/inside", "x");
    data.file("ro/sub/inside", "x");
    data.file("part/sub/kept.tmp", "ignored");
    data.file("part/sub/inside", "x");
    data.file(".moorlineignore", "*.tmp\n");
    give_away(data.root());
    read_only(&data, &["ro/sub", "ro", "part"]);
    data
}

#[test]
fn read_only_directories_are_restored_and_brought_back() {
    let data = with_read_only_folders();
    let before = data.state();
    as_nobody(&data, &["backup"]).succeeds();
    data.file("ro/inside", "changed");
    data.file("part/sub/inside", "changed");
    data.file("new/inside", "not in the backup");
    give_away(data.root());
    read_only(&data, &["new"]);
    let changed = data.state();
    as_nobody(&data, &["restore", "-y", "--from-latest", "--dry-run"]).succeeds();
    assert!(names(&data.path(".moorline/spool")).is_empty());
    as_nobody(&data, &["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.state(), before);
    as_nobody(&data, &["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), changed);
    let restores = as_nobody(&data, &["rollback", "--list", "--json"]).json();
    let id = restores["restores"][0]["id"].as_str().expect("text").to_owned();
    as_nobody(&data, &["rollback", "-y", "--discard", &id]).succeeds();
}

#[test]
fn a_stage_with_read_only_directories_that_a_crash_left_keeps_nothing_from_starting() {
    let data = with_read_only_folders();
    as_nobody(&data, &["backup"]).succeeds();
    let stage = ".moorline/restores/00000000000000000000000000000001/stage";
    data.file(&format!("{stage}/ro/inside"), "staged");
    give_away(data.root());
    read_only(&data, &[&format!("{stage}/ro")]);
    let start = as_nobody(&data, &["run", "--", "/bin/echo", "up"]);
    assert_eq!(start.succeeds(), "up\n");
    assert!(names(&data.path(".moorline/restores")).is_empty());
}
