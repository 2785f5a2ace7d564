//! Rows taken out whole, and brought back whole.

use super::support::{And, Copy, delete, discard, ids, off, summary};

#[test]
fn a_whole_row_comes_back_with_its_blobs_and_its_number() {
    let copy = Copy::with(
        "CREATE TABLE t (name TEXT PRIMARY KEY, body BLOB, n REAL, up TEXT AS (upper(name)));
         INSERT INTO t (rowid, name, body, n) VALUES (42, 'a', x'00ff10', 0.1), (43, 'b', NULL, 2), (44, 'c', '', 3);",
    );
    let all = "SELECT rowid, * FROM t ORDER BY name";
    let before = copy.rows("app.db", all);
    let (memory, _) = copy.off(&[delete("t", "name <> 'c'")]);
    assert_eq!((ids(&memory), copy.table("t").len()), (vec!["t a".to_owned(), "t b".to_owned()], 1));
    assert_eq!(summary(&copy.on(&memory)), ["t 2 of 2"]);
    assert_eq!(copy.rows("app.db", all), before);
}

#[test]
fn a_row_whose_key_exists_again_is_left_and_the_very_same_row_counts_as_back() {
    let copy =
        Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');");
    let (memory, _) = copy.off(&[delete("t", "")]);
    copy.sql("app.db", "INSERT INTO t VALUES (1, 'another'), (2, 'b')");
    assert_eq!(summary(&copy.on(&memory)), ["t 2 of 3; t 1: another row has its key now"]);
    assert_eq!(copy.table("t"), ["1|'another'", "2|'b'", "3|'c'"]);
}

#[test]
fn a_row_that_clashes_with_another_rule_is_left_and_says_which() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name UNIQUE); INSERT INTO t VALUES (1, 'secret'), (2, 'b');",
    );
    let (memory, _) = copy.off(&[delete("t", "")]);
    copy.sql("app.db", "INSERT INTO t VALUES (9, 'secret')");
    assert_eq!(summary(&copy.on(&memory)), ["t 1 of 2; t 1: UNIQUE constraint failed: t.name"]);
    assert_eq!(copy.table("t"), ["2|'b'", "9|'secret'"]);
}

#[test]
fn a_number_that_another_row_has_by_now_is_given_up() {
    let copy = Copy::with("CREATE TABLE t (name TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1);");
    let (memory, _) = copy.off(&[delete("t", "")]);
    copy.sql("app.db", "INSERT INTO t (rowid, name, v) VALUES (1, 'b', 2)");
    assert_eq!(summary(&copy.on(&memory)), ["t 1 of 1"]);
    assert_eq!(copy.rows("app.db", "SELECT * FROM t ORDER BY name"), ["'a'|1", "'b'|2"]);
}

#[test]
fn a_table_without_a_key_gets_its_rows_back_at_their_numbers() {
    let copy = Copy::with("CREATE TABLE t (v); INSERT INTO t VALUES ('a'), ('a'), ('b');");
    let before = copy.rows("app.db", "SELECT rowid, v FROM t");
    let (memory, _) = copy.off(&[delete("t", "v = 'a'")]);
    assert_eq!(ids(&memory), ["t 1", "t 2"]);
    copy.on(&memory);
    assert_eq!(copy.rows("app.db", "SELECT rowid, v FROM t"), before);
}

#[test]
fn a_table_without_rowid_gets_its_rows_back() {
    let copy = Copy::with(
        "CREATE TABLE t (a, b TEXT, v BLOB, PRIMARY KEY (b, a)) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 'x', x'01'), (2, 'x', x'02'), (1, 'y', NULL);",
    );
    let before = copy.table("t");
    let (memory, _) = copy.off(&[delete("t", "b = 'x'")]);
    assert_eq!(ids(&memory), ["t x,1", "t x,2"]);
    copy.on(&memory);
    assert_eq!(copy.table("t"), before);
}

#[test]
fn what_is_discarded_is_no_app_and_never_comes_back() {
    let copy = Copy::with(
        "CREATE TABLE queue (v); INSERT INTO queue VALUES (1), (2);
         CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1);",
    );
    let (memory, warnings) = copy.off(&[discard("queue", "v = 1"), off("hooks")]);
    assert_eq!((ids(&memory), warnings), (vec!["hooks 1".to_owned()], vec![]));
    copy.on(&memory);
    assert_eq!(copy.table("queue"), ["2"]);
}

#[test]
fn the_first_row_comes_back_where_one_with_its_key_was_made_and_taken_out_again() {
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'first');");
    let steps = [delete("t", "")];
    let (memory, _) = copy.off(&steps);
    copy.sql("app.db", "INSERT INTO t VALUES (1, 'second'), (2, 'new')");
    let (memory, warnings) = copy.off_again(&steps, Some(memory));
    assert_eq!((ids(&memory), copy.table("t").len()), (vec!["t 1".to_owned(), "t 2".to_owned()], 0));
    assert!(warnings.len() == 1 && warnings[0].contains("1 existed again"), "{warnings:?}");
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["1|'first'", "2|'new'"]);
}

#[test]
fn a_newer_table_that_lacks_a_column_or_wants_one_leaves_the_row_out_and_quarantine_ends() {
    let copy = Copy::with(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v, w); INSERT INTO a VALUES (1, 2, 3);
         CREATE TABLE b (id INTEGER PRIMARY KEY, v); INSERT INTO b VALUES (1, 2);
         CREATE TABLE c (id INTEGER PRIMARY KEY, v); INSERT INTO c VALUES (1, 2);",
    );
    let (memory, _) = copy.off(&[delete("a", ""), delete("b", ""), delete("c", "").called("gone")]);
    copy.sql(
        "app.db",
        "ALTER TABLE a DROP COLUMN w; DROP TABLE b; DROP TABLE c;
         CREATE TABLE b (id INTEGER PRIMARY KEY, v, must NOT NULL);",
    );
    assert_eq!(
        summary(&copy.on(&memory)),
        [
            "gone 0 of 1; gone 1: there is no table c",
            "b 0 of 1; b 1: NOT NULL constraint failed: b.must",
            "a 0 of 1; a 1: there is no column w in a"
        ]
    );
}
