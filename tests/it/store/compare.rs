//! What a restore would change, row by row.

use std::{fs, time::Duration};

use engine::store::compare::{TableChange, databases};
use rusqlite::Connection;

use super::support::{Volume, names, python};

/// `(table, appear, change, vanish)` between two databases that begin as `both`.
fn changes(both: &str, live: &str, staged: &str) -> Vec<(String, u64, u64, u64)> {
    let volume = Volume::new();
    let make = |path, own: &str| {
        let database = Connection::open(path).expect("opens");
        database.execute_batch("PRAGMA journal_mode = wal").expect("sets");
        database.execute_batch(both).expect("fills");
        database.execute_batch(own).expect("changes");
    };
    make(volume.path("x.db"), live);
    make(volume.out("staged ?#%.db"), staged);
    compared(&volume)
}

fn compared(volume: &Volume) -> Vec<(String, u64, u64, u64)> {
    let before = fs::read(volume.out("staged ?#%.db")).expect("reads");
    let changes = databases(&volume.path("x.db"), &volume.out("staged ?#%.db"), Duration::ZERO).expect("compares");
    assert_eq!(names(&volume.root()), [volume.path("x.db")], "no sidecar is left");
    assert_eq!(names(&volume.out("")), [volume.out("staged ?#%.db")], "nor made");
    assert_eq!(fs::read(volume.out("staged ?#%.db")).expect("reads"), before);
    let row = |TableChange { table, appear, change, vanish }| (table, appear, change, vanish);
    changes.into_iter().map(row).collect()
}

fn change(table: &str, appear: u64, change: u64, vanish: u64) -> (String, u64, u64, u64) {
    (table.to_owned(), appear, change, vanish)
}

const FLOWS: &str = "CREATE TABLE flow(id INTEGER PRIMARY KEY, name TEXT, content BLOB);
    INSERT INTO flow VALUES (1, 'a', x'00ff'), (2, 'b', NULL), (3, 'c', x''), (9223372036854775807, 'd', x'01');";

#[test]
fn the_same_is_no_change() {
    assert_eq!(changes(FLOWS, "", ""), []);
}

#[test]
fn rows_appear_change_and_vanish() {
    let live =
        "INSERT INTO flow VALUES (50, 'new', NULL), (51, 'new', NULL); UPDATE flow SET content = x'00fe' WHERE id = 1;
        UPDATE flow SET content = x'01' WHERE id = 2; DELETE FROM flow WHERE id = 3;";
    assert_eq!(changes(FLOWS, live, ""), [change("flow", 1, 2, 2)]);
    assert_eq!(changes(FLOWS, "", live), [change("flow", 2, 2, 1)]);
}

#[test]
fn keys_of_every_kind_tell_rows_apart() {
    let both = "CREATE TABLE pair(a TEXT, b INTEGER, v, PRIMARY KEY (b, a)) WITHOUT ROWID;
        INSERT INTO pair VALUES ('x', 1, 1), ('x', 2, 2), ('y', 1, 3);
        CREATE TABLE plain(v); INSERT INTO plain VALUES (1), (NULL), (3);
        CREATE TABLE nocase(k TEXT COLLATE NOCASE PRIMARY KEY, v); INSERT INTO nocase VALUES ('Key', 1), ('b', 2);
        CREATE TABLE nulls(k TEXT PRIMARY KEY, v); INSERT INTO nulls VALUES (NULL, 1), (NULL, 2), ('k', 3);
        CREATE TABLE taken(rowid TEXT, _rowid_ TEXT); INSERT INTO taken VALUES ('a', 'b');
        CREATE TABLE \"odd \"\"name\"(\"a b\" PRIMARY KEY, \"select\"); INSERT INTO \"odd \"\"name\" VALUES (1, 2);";
    let staged = "UPDATE pair SET v = 9 WHERE a = 'x' AND b = 2; DELETE FROM pair WHERE a = 'y';
        UPDATE plain SET v = 2 WHERE v IS NULL;
        UPDATE nocase SET k = 'KEY' WHERE k = 'key';
        UPDATE nulls SET v = 7 WHERE v = 2;
        UPDATE taken SET rowid = 'c';
        UPDATE \"odd \"\"name\" SET \"select\" = 3;";
    assert_eq!(
        changes(both, "", staged),
        [
            change("nocase", 0, 1, 0),
            change("nulls", 0, 1, 0),
            change("odd \"name", 0, 1, 0),
            change("pair", 0, 1, 1),
            change("plain", 0, 1, 0),
            change("taken", 0, 1, 0),
        ]
    );
}

#[test]
fn a_value_of_another_type_or_case_is_a_change() {
    let both = "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b TEXT COLLATE NOCASE); INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y');";
    assert_eq!(
        changes(both, "", "UPDATE t SET a = 1.0 WHERE k = 1; UPDATE t SET b = 'Y' WHERE k = 2"),
        [change("t", 0, 2, 0)]
    );
}

#[test]
fn tables_of_one_side_or_of_another_shape_count_whole() {
    assert_eq!(
        changes(
            FLOWS,
            "CREATE TABLE old(x); INSERT INTO old VALUES (1), (2)",
            "CREATE TABLE new(x); INSERT INTO new VALUES (1)"
        ),
        [change("new", 1, 0, 0), change("old", 0, 0, 2)]
    );
    assert_eq!(
        changes(FLOWS, "", "ALTER TABLE flow ADD COLUMN z; DELETE FROM flow WHERE id = 1"),
        [change("flow", 0, 3, 1)]
    );
    let rekeyed = "DROP TABLE flow; CREATE TABLE flow(name TEXT PRIMARY KEY, id); INSERT INTO flow VALUES ('a', 1)";
    assert_eq!(changes(FLOWS, "", rekeyed), [change("flow", 1, 0, 4)]);
}

#[test]
fn what_is_computed_or_virtual_is_seen_through_what_is_stored() {
    let both = "CREATE TABLE t(k INTEGER PRIMARY KEY AUTOINCREMENT, a, twice AS (a * 2), more AS (a + 1) STORED); INSERT INTO t(a) VALUES (1);
        CREATE VIEW v AS SELECT * FROM t; CREATE INDEX i ON t(twice); ANALYZE;
        CREATE VIRTUAL TABLE note USING fts5(text); INSERT INTO note VALUES ('one');";
    let found = changes(both, "", "UPDATE t SET a = 2; INSERT INTO note VALUES ('two'); ANALYZE");
    assert!(found.contains(&change("t", 0, 1, 0)), "{found:?}");
    assert!(found.contains(&change("note_content", 1, 0, 0)), "{found:?}");
    assert!(!found.iter().any(|(table, ..)| table == "note" || table.starts_with("sqlite_stat")), "{found:?}");
    let found = changes(both, "", "INSERT INTO t(a) VALUES (5)");
    assert_eq!(found, [change("sqlite_sequence", 0, 1, 0), change("t", 1, 0, 0)]);
}

#[test]
fn a_collation_that_only_the_server_has_is_no_obstacle() {
    let volume = Volume::new();
    for (path, rows) in
        [(volume.path("x.db"), "('a', 1), ('b', 2)"), (volume.out("staged ?#%.db"), "('b', 3), ('c', 4)")]
    {
        let script = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1])\n\
            db.create_collation('SERVER', lambda a, b: (a > b) - (a < b))\n\
            db.executescript('CREATE TABLE t(k TEXT COLLATE SERVER PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO t VALUES ' + sys.argv[2])";
        python(script, &[path.as_os_str(), rows.as_ref()]);
    }
    assert_eq!(compared(&volume), [change("t", 1, 1, 1)]);
}
