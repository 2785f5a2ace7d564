//! What SQLite keeps beside a database, and the database's own file.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use rusqlite::Connection;

use super::support::{Copy, off};

const HOOKS: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1);";

fn beside(copy: &Copy) -> Vec<String> {
    let names = fs::read_dir(copy.root()).expect("lists").map(|entry| entry.expect("reads").file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn what_is_only_in_a_wal_that_a_crash_left_behind_goes_off_too() {
    let copy = Copy::with(&format!("PRAGMA journal_mode = WAL; {HOOKS}"));
    let server = Connection::open(copy.path("server.db")).expect("opens");
    server
        .execute_batch(&format!("PRAGMA journal_mode = WAL; {HOOKS} INSERT INTO hooks VALUES (2, 1)"))
        .expect("is SQL");
    for suffix in ["", "-wal"] {
        fs::copy(copy.path(&format!("server.db{suffix}")), copy.path(&format!("app.db{suffix}"))).expect("copied");
    }
    drop(server);
    fs::remove_file(copy.path("server.db")).expect("removed");
    assert!(copy.path("app.db-wal").metadata().expect("is there").len() > 0);
    let (memory, _) = copy.off(&[off("hooks")]);
    assert_eq!(beside(&copy), ["app.db"]);
    assert_eq!(fs::read(copy.path("app.db")).expect("reads")[18..20], [2, 2], "it is still in WAL mode");
    assert_eq!(copy.table("hooks"), ["1|0", "2|0"]);
    copy.on(&memory);
    assert_eq!((copy.table("hooks"), beside(&copy)), (vec!["1|1".into(), "2|1".into()], vec!["app.db".into()]));
}

#[test]
fn the_journal_mode_owner_and_mode_stay_what_they_were() {
    for mode in ["WAL", "DELETE", "TRUNCATE"] {
        let copy = Copy::with(&format!("PRAGMA journal_mode = {mode}; {HOOKS}"));
        let path = copy.path("app.db");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1234), Some(1235)).expect("changed");
        }
        let (meta, version) = (fs::metadata(&path).expect("is there"), fs::read(&path).expect("reads")[18]);
        let (memory, _) = copy.off(&[off("hooks")]);
        copy.on(&memory);
        let after = fs::metadata(&path).expect("is there");
        assert_eq!((after.mode(), after.uid(), after.gid()), (meta.mode(), meta.uid(), meta.gid()));
        assert_eq!((fs::read(&path).expect("reads")[18], beside(&copy)), (version, vec!["app.db".to_owned()]));
    }
}

#[test]
fn a_transaction_that_a_crash_cut_off_is_rolled_back_first() {
    let copy = Copy::with(HOOKS);
    let server = Connection::open(copy.path("app.db")).expect("opens");
    let script = "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE hooks SET enabled = 'torn';
                  CREATE TABLE filler (v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
                  INSERT INTO filler SELECT randomblob(500) FROM n;";
    server.execute_batch(script).expect("is SQL");
    // As a kill would leave them: pages of the transaction in the file, and the journal that takes them back.
    for name in ["app.db", "app.db-journal"] {
        fs::copy(copy.path(name), copy.path(&format!("killed-{name}"))).expect("copied");
    }
    drop(server);
    for name in ["app.db", "app.db-journal"] {
        fs::rename(copy.path(&format!("killed-{name}")), copy.path(name)).expect("renamed");
    }
    let (memory, _) = copy.off(&[off("hooks")]);
    assert_eq!((copy.table("hooks"), memory.apps().count()), (vec!["1|0".to_owned()], 1));
    assert_eq!(beside(&copy), ["app.db"]);
}

#[test]
fn a_database_that_another_process_has_locked_is_for_later() {
    let copy = Copy::with(HOOKS);
    let holder = Connection::open(copy.path("app.db")).expect("opens");
    holder.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let error = copy.try_off(&[off("hooks")], None).expect_err("refuses");
    assert_eq!(error.code().exit(), 75, "{error}");
    assert!(error.advice().is_some_and(|hint| hint.contains("stop the server")), "{error:?}");
}
