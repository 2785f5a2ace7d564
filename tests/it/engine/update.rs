//! Columns written, and every old value back bit for bit.

use profile::step::Scalar;

use super::support::{And, Copy, expr, ids, off, set, summary, text};

const HOOKS: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled);
                     INSERT INTO hooks VALUES (1, 1), (2, 0), (3, 1), (4, NULL);";

#[test]
fn what_was_on_is_off_and_on_again_and_what_was_off_stays_off() {
    let copy = Copy::with(HOOKS);
    let (memory, warnings) = copy.off(&[off("hooks")]);
    assert_eq!((ids(&memory), warnings), (vec!["hooks 1".to_owned(), "hooks 3".to_owned()], vec![]));
    assert_eq!(copy.table("hooks"), ["1|0", "2|0", "3|0", "4|NULL"]);
    assert_eq!(summary(&copy.on(&memory)), ["hooks 2 of 2"]);
    assert_eq!(copy.table("hooks"), ["1|1", "2|0", "3|1", "4|NULL"]);
}

#[test]
fn an_old_value_of_any_type_comes_back_bit_for_bit() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v);
         INSERT INTO t (v) VALUES (NULL), (9223372036854775807), (-9223372036854775808), (0.1), (1e308 * 10), (-0.0),
            ('2991652317c12d66-uuid'), (''), (CAST(x'636166e9' AS TEXT)), (CAST(x'610062' AS TEXT)), (x''), (x'00ff'),
            ('naïve 🦀'), (1.0), (5e-324);",
    );
    let before = copy.table("t");
    let (memory, _) = copy.off(&[set("t", "", &[("v", text("off"))])]);
    assert_eq!(memory.apps().count(), 15);
    assert!(copy.rows("app.db", "SELECT DISTINCT v FROM t") == ["'off'"]);
    copy.on(&memory);
    assert_eq!(copy.table("t"), before);
}

#[test]
fn what_a_column_makes_of_a_value_still_is_what_quarantine_wrote() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL, d NUMERIC);
         INSERT INTO t VALUES (1, 'true', 5, 1.5, 'x');",
    );
    let columns = [("a", Scalar::Integer(0)), ("b", text("7")), ("c", Scalar::Integer(2)), ("d", Scalar::Real(3.0))];
    let (memory, _) = copy.off(&[set("t", "", &columns)]);
    assert_eq!(copy.table("t"), ["1|'0'|7|2.0|3"]);
    assert_eq!(summary(&copy.on(&memory)), ["t 1 of 1"]);
    assert_eq!(copy.table("t"), ["1|'true'|5|1.5|'x'"]);
}

#[test]
fn null_is_on_where_the_profile_says_so_and_comes_back_as_null() {
    let copy = Copy::with(HOOKS);
    let (memory, _) = copy.off(&[set("hooks", "COALESCE(enabled, 1) = 1", &[("enabled", Scalar::Integer(0))])]);
    assert_eq!(ids(&memory), ["hooks 1", "hooks 3", "hooks 4"]);
    copy.on(&memory);
    assert_eq!(copy.table("hooks"), ["1|1", "2|0", "3|1", "4|NULL"]);
}

#[test]
fn a_condition_that_is_null_is_not_met() {
    let copy = Copy::with(HOOKS);
    let (memory, _) = copy.off(&[set("hooks", "enabled <> 0 -- a comment", &[("enabled", Scalar::Null)])]);
    assert_eq!(ids(&memory), ["hooks 1", "hooks 3"]);
    assert_eq!(copy.table("hooks"), ["1|NULL", "2|0", "3|NULL", "4|NULL"]);
}

#[test]
fn json_in_a_column_is_edited_by_an_expression() {
    let copy = Copy::with(
        r#"CREATE TABLE params (id TEXT PRIMARY KEY, value TEXT);
           INSERT INTO params VALUES ('settings', '{"smtp": {"enabled":true}, "n": 12345678901234567890}'), ('x', '{}');"#,
    );
    let before = copy.table("params");
    let (memory, _) = copy.off(&[expr(
        "params",
        "id = 'settings'",
        &[("value", "json_set(value, '$.smtp.enabled', json('false'))")],
    )]);
    assert_eq!(ids(&memory), ["params settings"]);
    assert!(copy.table("params")[0].contains(r#"\"enabled\":false"#), "{:?}", copy.table("params"));
    copy.on(&memory);
    assert_eq!(copy.table("params"), before);
}

#[test]
fn an_expression_that_changes_nothing_on_a_row_makes_no_app_of_it() {
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES ('a'), ('B'), ('c');");
    let (memory, warnings) = copy.off(&[expr("t", "", &[("v", "upper(v)")])]);
    assert_eq!((ids(&memory), warnings), (vec!["t 1".to_owned(), "t 3".to_owned()], vec![]));
}

#[test]
fn set_and_expr_may_stand_in_one_step() {
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 1, 'x');");
    let step = expr("t", "", &[("b", "'off: ' || b || a")]).with(|rows| {
        let profile::step::Change::Update { set, .. } = &mut rows.change else { panic!("an update") };
        set.insert("a".to_owned(), Scalar::Integer(0));
    });
    let (memory, _) = copy.off(&[step]);
    assert_eq!(copy.table("t"), ["1|0|'off: x1'"], "an expression sees the row as it was");
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["1|1|'x'"]);
}

#[test]
fn a_sub_select_sees_the_table_as_it_was_and_a_later_step_what_the_earlier_did() {
    let copy = Copy::with(
        "CREATE TABLE pushers (id INTEGER PRIMARY KEY, at); CREATE TABLE events (n); CREATE TABLE t (id, v, PRIMARY KEY (id));
         INSERT INTO pushers VALUES (1, 5), (2, 6); INSERT INTO events VALUES (7), (9); INSERT INTO t VALUES ('x', 0);",
    );
    let steps = [
        expr("pushers", "", &[("at", "(SELECT max(n) FROM events) + (SELECT max(at) FROM pushers)")]),
        expr("t", "EXISTS (SELECT 1 FROM pushers WHERE at = 15)", &[("v", "(SELECT sum(at) FROM pushers)")]),
    ];
    let (memory, _) = copy.off(&steps);
    assert_eq!(copy.table("pushers"), ["1|15", "2|15"]);
    assert_eq!(copy.table("t"), ["'x'|30"]);
    assert_eq!(summary(&copy.on(&memory)), ["t 1 of 1", "pushers 2 of 2"]);
    assert_eq!((copy.table("pushers"), copy.table("t")), (vec!["1|5".into(), "2|6".into()], vec!["'x'|0".into()]));
}

#[test]
fn rows_without_rowid_and_with_a_composite_key_are_told_apart() {
    let copy = Copy::with(
        "CREATE TABLE t (user TEXT, n, enabled BOOLEAN, PRIMARY KEY (n, user)) WITHOUT ROWID;
         INSERT INTO t VALUES ('a', 1, 1), ('a', 2, 1), ('b', 1, 0), ('b', x'ff', 1);",
    );
    let before = copy.table("t");
    let (memory, _) = copy.off(&[off("t")]);
    assert_eq!(ids(&memory), ["t 1,a", "t 2,a", "t ff,b"]);
    copy.sql("app.db", "UPDATE t SET enabled = 7 WHERE user = 'a' AND n = 2");
    assert_eq!(summary(&copy.on(&memory)), ["t 2 of 3; t 2,a: changed since: enabled"]);
    assert_eq!(copy.table("t"), before.iter().map(|row| row.replace("2|1", "2|7")).collect::<Vec<_>>());
}

#[test]
fn a_key_may_be_named_and_a_table_needs_none() {
    let copy = Copy::with(
        "CREATE TABLE t (name, enabled); INSERT INTO t VALUES ('x', 1), ('y', 1);
         CREATE TABLE n (a, b, enabled, PRIMARY KEY (a, b)); INSERT INTO n VALUES (NULL, 1, 1), (NULL, 1, 1), (2, 2, 1);",
    );
    let by_name = off("t").with(|rows| rows.key = vec!["name".to_owned()]);
    let (memory, _) = copy.off(&[by_name, off("t").called("by number"), off("n")]);
    assert_eq!(ids(&memory), ["t x", "t y", "n 1", "n 2", "n 3"], "a key with NULLs tells nothing apart");
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["'x'|1", "'y'|1"]);
    assert_eq!(copy.rows("app.db", "SELECT sum(enabled) FROM n"), ["3"]);
}

#[test]
fn names_that_sql_would_stumble_over_are_names() {
    let copy = Copy::with(
        r#"CREATE TABLE "order ""x""" ("group" INTEGER PRIMARY KEY, "select from" INTEGER);
           INSERT INTO "order ""x""" VALUES (1, 1);"#,
    );
    let step = set(r#"Order "X""#, r#""select from" = 1"#, &[("SELECT from", Scalar::Integer(0))]);
    let (memory, _) = copy.off(&[step]);
    assert_eq!(copy.rows("app.db", r#"SELECT * FROM "order ""x""""#), ["1|0"]);
    copy.on(&memory);
    assert_eq!(copy.rows("app.db", r#"SELECT * FROM "order ""x""""#), ["1|1"]);
}

#[test]
fn triggers_do_not_fire_and_foreign_keys_do_not_cascade() {
    let copy = Copy::with(
        "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1);
         CREATE TABLE log (what);
         CREATE TRIGGER u AFTER UPDATE ON hooks BEGIN INSERT INTO log VALUES ('updated'); END;
         CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent(id) ON DELETE CASCADE);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1);
         CREATE TRIGGER d AFTER DELETE ON child BEGIN INSERT INTO log VALUES ('deleted'); END;
         CREATE TRIGGER i BEFORE INSERT ON parent BEGIN SELECT RAISE(FAIL, 'no'); END;",
    );
    let (memory, _) = copy.off(&[off("hooks"), super::support::delete("parent", "")]);
    assert_eq!((copy.table("log"), copy.table("child")), (vec![], vec!["1|1".to_owned()]));
    copy.off(&[super::support::delete("child", "")]);
    copy.on(&memory);
    assert_eq!((copy.table("log"), copy.table("parent")), (vec![], vec!["1".to_owned()]));
}

#[test]
fn a_glob_of_several_databases_puts_the_file_into_the_id() {
    let copy = Copy::with(HOOKS);
    copy.sql("users/1.db", HOOKS);
    copy.sql("users/2.db", HOOKS);
    let steps = [off("hooks").with(|rows| rows.database = "users/*.db".to_owned())];
    let (mut memory, _) = copy.off(&steps);
    assert_eq!(ids(&memory), ["hooks users/1.db 1", "hooks users/1.db 3", "hooks users/2.db 1", "hooks users/2.db 3"]);
    assert_eq!(copy.table("hooks")[0], "1|1", "app.db is not meant");
    let release = copy.release(&mut memory, &super::support::named(&["hooks users/2.db 1"]));
    assert_eq!(summary(&release), ["hooks 1 of 1"]);
    assert_eq!(copy.rows("users/1.db", "SELECT enabled FROM hooks"), ["0", "0", "0", "NULL"]);
    assert_eq!(copy.rows("users/2.db", "SELECT enabled FROM hooks"), ["1", "0", "0", "NULL"]);
}

#[test]
fn a_computed_column_follows() {
    let copy = Copy::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, enabled, shown AS (iif(enabled, 'on', 'off')) STORED);
         INSERT INTO t (enabled) VALUES (1); CREATE INDEX i ON t (shown);",
    );
    let (memory, _) = copy.off(&[off("t").with(|rows| rows.filter = Some("shown = 'on'".to_owned()))]);
    assert_eq!(copy.table("t"), ["1|0|'off'"]);
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["1|1|'on'"]);
    assert!(copy.refuses(&[set("t", "", &[("shown", text("x"))])]).message().contains("no column shown"));
}

#[test]
fn a_database_in_utf_16_and_strict_tables_are_no_different() {
    let copy = Copy::with(
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (name TEXT PRIMARY KEY, url TEXT, n REAL) STRICT;
         INSERT INTO t VALUES ('naïve', 'https://é/🦀', 3), ('b', NULL, 0.1);",
    );
    let before = copy.table("t");
    let (memory, _) = copy.off(&[set("t", "", &[("url", text("–")), ("n", Scalar::Integer(0))])]);
    assert_eq!(ids(&memory), ["t naïve", "t b"]);
    assert_eq!(summary(&copy.on(&memory)), ["t 2 of 2"]);
    assert_eq!(copy.table("t"), before);
}

#[test]
fn a_column_that_is_called_rowid_is_not_the_number_of_the_row() {
    let copy = Copy::with(
        "CREATE TABLE hooks (rowid INT, name, url); INSERT INTO hooks VALUES (2, 'a', 'http://a'), (1, 'b', 'http://b')",
    );
    let (memory, _) = copy.off(&[set("hooks", "", &[("url", text(""))])]);
    copy.on(&memory);
    assert_eq!(copy.table("hooks"), ["2|'a'|'http://a'", "1|'b'|'http://b'"]);
}
