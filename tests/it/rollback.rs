//! What restores replaced: brought back exactly, or not at all.

use std::fs;

use volume::{RestoresLock, Volume};

use crate::fixture::{Data, Ran, in_mount_namespace};

fn restored(data: &Data) -> String {
    let done = data.moorline(&["restore", "-y", "--from-latest", "--json"]);
    done.json()["id"].as_str().expect("text").to_owned()
}

#[test]
fn what_a_restore_brought_goes_again_even_where_the_volume_ignores_it_by_now() {
    let data = Data::with_state();
    data.file("logs/old/x.txt", "in the backup");
    data.database("logs/app.db", "wal", &["in the backup"]);
    data.file("media/one", "in the backup");
    data.backup();
    fs::remove_dir_all(data.path("logs")).expect("removed");
    data.file("media/one", "mine");
    data.file("media/two", "mine");
    data.file(".moorlineignore", "logs/\nmedia/\n");
    let before = data.state();
    restored(&data);
    assert_eq!(data.read("logs/old/x.txt"), "in the backup");
    assert_eq!(data.read("media/two"), "mine");
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), before);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.rows("logs/app.db"), ["in the backup"]);
    assert_eq!(data.read("media/one"), "in the backup");
    // What is ignored and came later is not the restore's.
    data.file("logs/new", "of the server");
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.read("logs/new"), "of the server");
    assert!(!data.path("logs/old").exists() && !data.path("logs/app.db").exists());
    fs::remove_dir_all(data.path("logs")).expect("removed");
    assert_eq!(data.state(), before);
}

#[test]
fn two_restores_are_taken_back_one_after_the_other_by_name() {
    let data = Data::with_state();
    let first = data.state();
    data.backup();
    data.file("config.json", "second");
    let second = data.state();
    let one = restored(&data);
    data.file("config.json", "third");
    let third = data.state();
    let two = restored(&data);
    assert_eq!(data.state(), first);
    data.moorline(&["rollback", "-y", &two]).succeeds();
    assert_eq!(data.state(), third);
    data.moorline(&["rollback", "-y", &two]).fails(10, &["--list"]);
    data.moorline(&["rollback", "-y", &one]).succeeds();
    assert_eq!(data.state(), second);
}

#[test]
fn paths_that_change_their_kind_come_back_as_they_were() {
    let data = Data::with_state();
    data.database("was-database", "delete", &["x"]);
    data.file("was-file", "a file");
    data.file("was-directory/in/it", "x");
    std::os::unix::fs::symlink("conf", data.path("was-link")).expect("a link");
    data.backup();
    let before = data.state();
    for name in ["was-database", "was-file", "was-link"] {
        fs::remove_file(data.path(name)).expect("removed");
    }
    fs::remove_dir_all(data.path("was-directory")).expect("removed");
    data.file("was-database", "text");
    data.file("was-database-wal", "a plain file now");
    data.file("was-file/x/y", "a directory now");
    data.database("was-directory", "delete", &["a database now"]);
    data.file("was-link/x", "a directory now");
    let after = data.state();
    restored(&data);
    assert_eq!(data.state(), before);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), after);
}

#[test]
fn what_is_half_deleted_is_never_brought_back() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "changed");
    data.file("conf/deep/b.txt", "changed");
    let id = restored(&data);
    let before = data.state();
    // A mount in it keeps one file from being deleted, as a crash in the middle would.
    let script = r#"
        mount --bind /etc/hostname "$1/.moorline/restores/$3/replaced/config.json"
        exec "$2" rollback -y --discard "$3" --storage "$1"
    "#;
    let moorline = env!("MOORLINE_PROGRAM").as_ref();
    in_mount_namespace(script, &[data.root().as_os_str(), moorline, id.as_ref()]).fails(1, &["cannot remove"]);
    data.moorline(&["rollback", "-y"]).fails(10, &["--list"]);
    assert_eq!(data.state(), before);
    let mut backup = data.command(&["backup"]);
    backup.env("MOORLINE_KEEP_REPLACED", "0s");
    Ran::of(backup).succeeds();
    let left = crate::fixture::names(&data.path(&format!(".moorline/restores/{id}")));
    assert_eq!(left, ["journal.json"], "the next backup goes on with it");
}

#[test]
fn nothing_is_deleted_of_what_is_being_brought_back() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "changed");
    let before = data.state();
    let id = restored(&data);
    let lock = RestoresLock::take(&Volume::open(data.root()).expect("opens")).expect("is free");
    let mut backup = data.command(&["backup"]);
    backup.env("MOORLINE_KEEP_REPLACED", "0s");
    let backup = Ran::of(backup);
    assert!(backup.stderr.contains("cannot delete the state that a restore replaced"), "{backup:#?}");
    backup.succeeds();
    data.moorline(&["rollback", "-y", "--discard", &id]).fails(75, &["being brought back"]);
    data.moorline(&["rollback", "-y"]).fails(75, &["being brought back"]);
    drop(lock);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), before);
}
