//! To look is to change nothing.

use std::fs;

use engine::quarantine as apps;
use profile::step::Scalar;

use super::support::{And, Copy, delete, expr, insert, off, set, text};

#[test]
fn it_names_what_would_go_off_and_what_is_missing() {
    let copy = Copy::with(
        "PRAGMA journal_mode = WAL; CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled);
         INSERT INTO hooks VALUES (1, 1), (2, 0), (3, 1); CREATE TABLE mail (host PRIMARY KEY);",
    );
    copy.sql("b.db", "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (7, 1);");
    let steps = [
        off("hooks"),
        off("hooks").called("all").with(|rows| rows.database = "*.db".into()),
        set("hooks", "", &[("enabled", Scalar::Integer(0))]).called("only what changes"),
        expr("hooks", "enabled", &[("enabled", "enabled -- \n")]).called("nothing changes"),
        delete("hooks", "id = 2").called("deleted"),
        insert("mail", &[("host", text("nowhere"))]),
        off("rules").optional(),
        off("hooks").called("no database").with(|rows| rows.database = "c.db".into()),
        off("hooks").called("not here").with(|rows| rows.when = Some("0".into())),
    ];
    let before = fs::read(copy.path("app.db")).expect("reads");
    let looks = apps::inspect(copy.root(), &steps).expect("looks");
    let apps: Vec<_> = looks.iter().map(|look| look.apps.join(", ")).collect();
    let expected = [
        "hooks 1, hooks 3",
        "all app.db 1, all app.db 3, all b.db 7",
        "only what changes 1, only what changes 3",
        "",
        "deleted 2",
        "mail nowhere",
        "",
        "",
        "",
    ];
    assert_eq!(apps, expected);
    let missing: Vec<_> = looks.iter().map(|look| look.missing.join(", ")).collect();
    assert_eq!(missing[6..], ["app.db: there is no table rules", "c.db does not exist", ""]);
    assert_eq!(looks.iter().map(|look| look.absent).collect::<Vec<_>>()[6..], [false, false, true]);
    assert!(looks[6].optional && !looks[7].optional);
    assert!(fs::read(copy.path("app.db")).expect("reads") == before);
    assert!(!copy.path("app.db-wal").exists() && !copy.path("app.db-shm").exists());
}

#[test]
fn sql_that_makes_no_sense_is_an_error_that_names_the_step() {
    let copy = Copy::with("CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled)");
    let error = apps::inspect(copy.root(), &[off("hooks").with(|rows| rows.filter = Some("enabled = \"x\"".into()))]);
    let error = error.expect_err("refuses");
    assert!(error.message().starts_with("the step \"hooks\": app.db: no such column: \"x\""), "{error}");
}
