//! What is missing, what makes no sense, and what a person is told.

use profile::step::Scalar;
use rusqlite::Connection;

use super::support::{And, Copy, delete, expr, ids, off, set, text};

const HOOKS: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled, url);
                     INSERT INTO hooks VALUES (1, 1, 'secret'), (2, 1, 'secret');";

#[test]
fn a_missing_table_column_or_database_fails_with_the_steps_name_unless_it_is_optional() {
    let copy = Copy::with(HOOKS);
    copy.sql("app.db", "CREATE VIEW seen AS SELECT * FROM hooks");
    let missing = [
        (off("rules"), "app.db: there is no table rules"),
        (off("seen"), "app.db: there is no table seen: it is a view"),
        (set("hooks", "", &[("active", Scalar::Null)]), "app.db: there is no column active in hooks"),
        (set("hooks", "active = 1", &[("enabled", Scalar::Null)]), "app.db: no such column: active"),
        (delete("hooks", "id IN (SELECT hook FROM rules)"), "app.db: no such table: rules"),
        (off("hooks").with(|rows| rows.key = vec!["uuid".into()]), "app.db: there is no column uuid in hooks"),
        (off("hooks").with(|rows| rows.database = "other.db".into()), "other.db does not exist"),
        (off("hooks").with(|rows| rows.when = Some("(SELECT 1 FROM x)".into())), "app.db: no such table: x"),
    ];
    for (step, why) in missing {
        let step = step.called("the hooks");
        let error = copy.refuses(&[off("hooks"), step.clone()]);
        assert_eq!(error.message(), format!("the step \"the hooks\": {why}"));
        assert!(error.advice().is_some_and(|hint| hint.contains("optional = true")), "{error:?}");
        let (memory, warnings) = copy.off(&[step.optional()]);
        assert!(memory.is_over() && warnings.iter().all(|line| line.contains("ignored in")), "{warnings:?}");
    }
}

#[test]
fn a_database_that_only_its_server_can_read_is_not_a_missing_one() {
    let copy = Copy::with(HOOKS);
    std::fs::write(copy.path("secret.db"), [0xa5; 4096]).expect("writes");
    let step = off("hooks").optional().with(|rows| rows.database = "secret.db".into());
    let error = copy.refuses(&[step]);
    assert!(
        error.message().contains("secret.db as a SQLite database, but it does not have the header of one"),
        "{error}"
    );
}

#[test]
fn a_step_that_matches_nothing_is_one_warning() {
    let copy = Copy::with(HOOKS);
    copy.sql("b.db", HOOKS);
    let none = |step: profile::step::Step| step.with(|rows| rows.filter = Some("url = 'x'".into()));
    let several = none(off("hooks")).called("several").with(|rows| rows.database = "*.db".into());
    let (_, warnings) = copy.off(&[none(off("hooks")), several, none(delete("hooks", "")).called("deleted")]);
    let starts: Vec<_> = warnings.iter().filter_map(|line| line.split_once(": nothing matched")).collect();
    assert_eq!(starts.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["hooks", "several", "deleted"]);
}

#[test]
fn a_step_does_not_exist_where_its_when_is_false() {
    let copy = Copy::with(HOOKS);
    let has = |column: &str| Some(format!("EXISTS (SELECT 1 FROM pragma_table_info('hooks') WHERE name = '{column}')"));
    let new = set("hooks", "", &[("active", Scalar::Integer(0))]).called("new").with(|rows| rows.when = has("active"));
    let old = off("hooks").with(|rows| rows.when = has("enabled"));
    let null = off("nothing").with(|rows| rows.when = Some("NULL".into()));
    let (memory, warnings) = copy.off(&[new, old, null]);
    assert_eq!((ids(&memory), warnings), (vec!["hooks 1".into(), "hooks 2".into()], vec![]));
}

#[test]
fn an_error_of_sql_says_what_sqlite_says_and_nothing_of_what_is_in_a_row() {
    let copy = Copy::with(HOOKS);
    copy.sql("app.db", "CREATE UNIQUE INDEX one ON hooks (enabled) WHERE enabled = 0; CREATE TABLE c (v CHECK (v <> 3)); INSERT INTO c VALUES (1)");
    let wrong = [
        (off("hooks").with(|rows| rows.filter = Some("enabled ==== 1".into())), "near \"==\": syntax error"),
        (
            off("hooks").with(|rows| rows.filter = Some("1); DELETE FROM hooks; SELECT (1".into())),
            "near \";\": syntax error",
        ),
        (off("hooks").with(|rows| rows.filter = Some("no_such(url)".into())), "no such function: no_such"),
        (expr("hooks", "", &[("url", "json(url)")]), "malformed JSON"),
        (off("hooks"), "UNIQUE constraint failed: hooks.enabled"),
        (set("c", "", &[("v", Scalar::Integer(3))]), "CHECK constraint failed: v <> 3"),
        (set("hooks", "", &[("enabled", Scalar::Real(f64::INFINITY))]), "not a finite number"),
        (set("hooks", "", &[("id", Scalar::Null)]), "id is part of the key"),
        (off("hooks").with(|rows| rows.key = vec!["url".into()]), "`key` (url) does not identify the rows of hooks"),
        (
            expr("hooks", "", &[("enabled", "0")]).with(|rows| {
                let profile::step::Change::Update { set, .. } = &mut rows.change else { panic!("an update") };
                set.insert("ENABLED".into(), Scalar::Null);
            }),
            "enabled is written twice",
        ),
    ];
    for (step, why) in wrong {
        let error = copy.refuses(&[step.called("the step's name").optional()]);
        let message = error.message();
        assert!(message.starts_with("the step \"the step's name\": app.db: ") && message.contains(why), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn a_text_in_double_quotes_is_a_mistake_and_no_missing_column() {
    let copy = Copy::with(HOOKS);
    let error = copy.refuses(&[off("hooks").with(|rows| rows.filter = Some("url = \"secret\"".into())).optional()]);
    assert!(error.message().contains("should this be a string literal in single-quotes?"), "{error}");
}

/// A database with an index in an order that only its server knows.
fn of_its_own_order(schema: &str) -> Copy {
    let copy = Copy::with("");
    let connection = Connection::open(copy.path("app.db")).expect("opens");
    connection.create_collation("its_own", |a, b| b.cmp(a)).expect("made");
    connection.execute_batch(schema).expect("is SQL");
    copy
}

#[test]
fn an_index_in_an_order_that_only_the_server_knows_is_never_broken() {
    let copy = of_its_own_order(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT COLLATE its_own, enabled);
         CREATE INDEX i ON t (name); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 1);",
    );
    for step in [set("t", "", &[("name", text("x"))]), delete("t", "")] {
        let error = copy.refuses(&[step]);
        assert!(error.message().contains("no such collation sequence: its_own"), "{error}");
        assert!(error.advice().is_some_and(|hint| hint.contains("defines that collation itself")), "{error:?}");
    }
    let (memory, _) = copy.off(&[off("t")]);
    assert_eq!(copy.table("t"), ["1|'a'|0", "2|'b'|0"]);
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["1|'a'|1", "2|'b'|1"]);
}

#[test]
fn a_key_in_an_order_that_only_the_server_knows_is_compared_by_its_bytes() {
    let copy = of_its_own_order(
        "CREATE TABLE t (name TEXT COLLATE its_own PRIMARY KEY, enabled);
         INSERT INTO t VALUES ('a', 1), ('b', 1);",
    );
    let (memory, _) = copy.off(&[off("t")]);
    assert_eq!(ids(&memory), ["t a", "t b"]);
    copy.on(&memory);
    assert_eq!(copy.table("t"), ["'a'|1", "'b'|1"]);
}

#[test]
fn a_link_is_said_to_be_one_and_never_taken_for_nothing() {
    let copy = Copy::with(HOOKS);
    std::fs::create_dir(copy.root().join("real")).expect("made");
    copy.sql("real/app.db", HOOKS);
    std::os::unix::fs::symlink("real", copy.root().join("conf")).expect("a link");
    std::os::unix::fs::symlink("real/app.db", copy.root().join("linked.db")).expect("a link");
    let on = |glob: &str| off("hooks").with(|rows| rows.database = glob.to_owned()).optional();
    for (step, why) in [(on("conf/app.db"), "conf is a link"), (on("linked.db"), "linked.db is a link")] {
        let error = copy.refuses(&[step]);
        assert!(error.message().contains(why), "{error}");
    }
}
