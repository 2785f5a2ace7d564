//! Quarantine on top of quarantine: the first memory stands.

use profile::step::Scalar;

use super::support::{And, Copy, delete, expr, ids, off, set, summary, text};

const HOOKS: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled, url);
                     INSERT INTO hooks VALUES (1, 1, 'a'), (2, 0, 'b'), (3, 'yes', 'c');";

#[test]
fn to_apply_it_twice_changes_nothing_and_forgets_nothing() {
    let copy = Copy::with(HOOKS);
    let steps = [set("hooks", "enabled <> 0", &[("enabled", Scalar::Integer(0))])];
    let (first, _) = copy.off(&steps);
    let (second, warnings) = copy.off_again(&steps, Some(first.clone()));
    assert_eq!((&second, warnings), (&first, vec![]));
    copy.on(&second);
    assert_eq!(copy.table("hooks"), ["1|1|'a'", "2|0|'b'", "3|'yes'|'c'"]);
}

#[test]
fn an_expression_does_not_act_on_its_own_result() {
    let copy = Copy::with(HOOKS);
    let steps = [expr("hooks", "", &[("url", "'off:' || url")])];
    let (first, _) = copy.off(&steps);
    let (second, _) = copy.off_again(&steps, Some(first));
    assert_eq!(copy.rows("app.db", "SELECT url FROM hooks"), ["'off:a'", "'off:b'", "'off:c'"]);
    copy.on(&second);
    assert_eq!(copy.rows("app.db", "SELECT url FROM hooks"), ["'a'", "'b'", "'c'"]);
}

#[test]
fn a_row_switched_on_by_hand_is_off_again_and_comes_back_as_it_was_at_first() {
    let copy = Copy::with(HOOKS);
    let steps = [set("hooks", "enabled <> 0", &[("enabled", Scalar::Integer(0))])];
    let (first, _) = copy.off(&steps);
    copy.sql("app.db", "UPDATE hooks SET enabled = 1 WHERE id IN (2, 3); INSERT INTO hooks VALUES (4, 1, 'd')");
    let (second, _) = copy.off_again(&steps, Some(first));
    assert_eq!(ids(&second), ["hooks 1", "hooks 3", "hooks 2", "hooks 4"]);
    assert_eq!(copy.rows("app.db", "SELECT enabled FROM hooks"), ["0", "0", "0", "0"]);
    assert_eq!(summary(&copy.on(&second)), ["hooks 4 of 4"]);
    assert_eq!(copy.rows("app.db", "SELECT enabled FROM hooks"), ["1", "1", "'yes'", "1"]);
}

#[test]
fn another_profile_adds_to_what_is_remembered() {
    let copy = Copy::with(HOOKS);
    let (first, _) = copy.off(&[off("hooks")]);
    let other = [set("hooks", "url = 'a'", &[("enabled", Scalar::Integer(-1)), ("url", text("nowhere"))])];
    let (second, _) = copy.off_again(&other, Some(first.clone()));
    assert_eq!((copy.table("hooks")[0].as_str(), ids(&second)), ("1|-1|'nowhere'", vec!["hooks 1".to_owned()]));
    copy.on(&second);
    assert_eq!(copy.table("hooks")[0], "1|1|'a'");

    let (first, _) = copy.off(&[off("hooks")]);
    let renamed = [expr("hooks", "url = 'a'", &[("enabled", "enabled - 1"), ("url", "'x'")]).called("others")];
    let (second, _) = copy.off_again(&renamed, Some(first));
    assert_eq!(
        (copy.table("hooks")[0].as_str(), ids(&second)),
        ("1|-1|'x'", vec!["hooks 1".into(), "others 1".into()])
    );
    assert_eq!(summary(&copy.on(&second)), ["others 1 of 1", "hooks 1 of 1"]);
    assert_eq!(copy.table("hooks")[0], "1|1|'a'");
}

#[test]
fn no_steps_at_all_forget_nothing() {
    let copy = Copy::with(HOOKS);
    let steps = [off("hooks"), set("hooks", "", &[("url", text("dropped"))]).called("drop").at_release()];
    let (first, _) = copy.off(&steps);
    let (second, _) = copy.off_again(&[], Some(first));
    copy.on(&second);
    assert_eq!(copy.table("hooks"), ["1|1|'dropped'", "2|0|'dropped'", "3|'yes'|'dropped'"]);
}

#[test]
fn many_rows_go_off_and_come_back() {
    let rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)";
    let copy = Copy::with(&format!(
        "CREATE TABLE hooks (a, b, enabled, PRIMARY KEY (a, b)) WITHOUT ROWID; {rows} INSERT INTO hooks SELECT i, 'x', 1 FROM n;
         CREATE TABLE jobs (name TEXT PRIMARY KEY, v); {rows} INSERT INTO jobs SELECT 'job ' || i, i FROM n;"
    ));
    let before = (copy.table("hooks"), copy.table("jobs"));
    let steps = [off("hooks"), super::support::delete("jobs", "")];
    let (memory, _) = copy.off(&steps);
    copy.sql("app.db", "UPDATE hooks SET enabled = 1 WHERE a % 2");
    let (memory, _) = copy.off_again(&steps, Some(memory));
    assert_eq!(memory.apps().count(), 10_000);
    assert_eq!(summary(&copy.on(&memory)), ["jobs 5000 of 5000", "hooks 5000 of 5000"]);
    assert!((copy.table("hooks"), copy.table("jobs")) == before);
}

#[test]
fn what_only_another_profile_knew_is_switched_off_again_too() {
    let copy = Copy::with(HOOKS);
    let (first, _) = copy.off(&[off("hooks")]);
    // By hand, or because it was cut off between remembering and changing.
    copy.sql("app.db", "UPDATE hooks SET enabled = 1 WHERE id = 1");
    let (second, _) = copy.off_again(&[delete("hooks", "id = 3").called("others")], Some(first));
    assert_eq!(copy.table("hooks"), ["1|0|'a'", "2|0|'b'"]);
    assert_eq!(ids(&second), ["hooks 1", "others 3"]);
    copy.on(&second);
    assert_eq!(copy.table("hooks"), ["1|1|'a'", "2|0|'b'", "3|'yes'|'c'"]);
}

#[test]
fn a_step_that_names_fewer_databases_forgets_none() {
    let copy = Copy::with(HOOKS);
    copy.sql("two.db", HOOKS);
    let on = |glob: &str| off("hooks").with(|rows| rows.database = glob.to_owned());
    let (first, _) = copy.off(&[on("*.db")]);
    copy.sql("app.db", "UPDATE hooks SET enabled = 1 WHERE id = 1");
    let (second, _) = copy.off_again(&[on("two.db")], Some(first));
    assert_eq!(copy.table("hooks")[0], "1|0|'a'");
    copy.on(&second);
    assert_eq!(copy.table("hooks")[0], "1|1|'a'");
}
