//! Exactly what had been on is on again; what is no longer what quarantine wrote is left, and says why.

use std::collections::BTreeMap;

use engine::quarantine::{self as apps, AppKind, Chosen};
use profile::step::{Action, Moment, Scalar, Step};
use volume::error::Code;

use super::support::{And, Copy, discard, expr, ids, named, off, set, summary, text};

const HOOKS: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled, url);
                     INSERT INTO hooks VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c');";

#[test]
fn a_row_that_was_changed_or_deleted_meanwhile_is_left() {
    let copy = Copy::with(HOOKS);
    let (memory, _) = copy.off(&[off("hooks")]);
    copy.sql("app.db", "UPDATE hooks SET enabled = 2 WHERE id = 1; DELETE FROM hooks WHERE id = 3");
    let release = copy.on(&memory);
    let left = "hooks 1 of 3; hooks 1: changed since: enabled; hooks 3: the row is gone";
    assert_eq!(summary(&release), [left]);
    assert!(release.steps[0].left.iter().all(|left| !left.remembered));
    assert_eq!(copy.table("hooks"), ["1|2|'a'", "2|1|'b'"]);
}

#[test]
fn a_row_that_was_changed_in_part_keeps_that_and_gets_the_rest_back() {
    let copy = Copy::with(HOOKS);
    let both = [("enabled", Scalar::Integer(0)), ("url", text("off"))];
    let (memory, _) = copy.off(&[set("hooks", "", &both)]);
    copy.sql("app.db", "UPDATE hooks SET url = 'mine' WHERE id = 1; UPDATE hooks SET enabled = 1 WHERE id = 2");
    assert_eq!(
        summary(&copy.on(&memory)),
        ["hooks 2 of 3; hooks 1: changed since, while the other columns were restored: url"]
    );
    assert_eq!(copy.table("hooks"), ["1|1|'mine'", "2|1|'b'", "3|1|'c'"], "what is back by hand already is no change");
}

#[test]
fn a_change_to_a_column_that_no_step_wrote_is_kept() {
    let copy = Copy::with(HOOKS);
    let (memory, _) = copy.off(&[off("hooks")]);
    copy.sql("app.db", "UPDATE hooks SET url = 'new' WHERE id = 1; ALTER TABLE hooks ADD COLUMN more DEFAULT 5");
    assert_eq!(summary(&copy.on(&memory)), ["hooks 3 of 3"]);
    assert_eq!(copy.table("hooks")[0], "1|1|'new'|5");
}

#[test]
fn some_may_be_released_by_id_and_all_of_a_step_by_its_name() {
    let copy = Copy::with(HOOKS);
    copy.sql("app.db", "CREATE TABLE jobs (id INTEGER PRIMARY KEY, enabled); INSERT INTO jobs VALUES (1, 1), (2, 1)");
    let (mut memory, _) = copy.off(&[off("hooks"), off("jobs")]);
    let release = copy.release(&mut memory, &named(&["hooks 2", "jobs"]));
    assert_eq!(summary(&release), ["jobs 2 of 2", "hooks 1 of 1"]);
    assert_eq!((ids(&memory), memory.is_over()), (vec!["hooks 1".into(), "hooks 3".into()], false));
    assert_eq!(copy.rows("app.db", "SELECT enabled FROM hooks"), ["0", "1", "0"]);
    let (again, _) = copy.off_again(&[off("hooks"), off("jobs")], Some(memory));
    assert_eq!(again.apps().count(), 5, "what was released goes off again with the rest");
}

#[test]
fn a_name_that_no_app_has_is_an_error_that_knows_better() {
    let copy = Copy::with(HOOKS);
    let (mut memory, _) = copy.off(&[off("hooks").called("web hooks")]);
    let before = memory.clone();
    for (wrong, near) in
        [("Hooks", "web hooks"), ("wbe hooks", "web hooks"), ("web hooks 4", "web hooks"), ("rules", "web hooks")]
    {
        let error = apps::release(copy.root(), &mut memory, &named(&["web hooks 1", wrong]), &mut |_| Ok(()));
        let error = error.expect_err("refuses");
        assert_eq!(error.code(), Code::NotFound);
        assert!(error.message().contains(wrong) && error.advice().is_some_and(|hint| hint.contains(near)), "{error:?}");
    }
    assert_eq!((memory, copy.table("hooks")[0].as_str()), (before, "1|0|'a'"));
}

#[test]
fn steps_of_the_moment_act_before_the_others_are_undone_and_only_then() {
    let copy = Copy::with(
        "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1);
         CREATE TABLE queue (v); INSERT INTO queue VALUES ('old'); CREATE TABLE seen (n);",
    );
    let seen = "(SELECT count(*) FROM hooks WHERE enabled)";
    let steps = [
        discard("queue", "").at_release(),
        expr("queue", "", &[("v", "'never'")]).at_release().called("after the queue is empty"),
        off("hooks"),
        super::support::insert("seen", &[("n", Scalar::Integer(7))]).at_release(),
        expr("seen", "", &[("n", seen)]).at_release().called("what was on then"),
    ];
    let (memory, warnings) = copy.off(&steps);
    assert_eq!((warnings, copy.table("queue"), copy.table("seen")), (vec![], vec!["'old'".to_owned()], vec![]));
    copy.sql("app.db", "INSERT INTO queue VALUES ('of the quarantine')");
    assert_eq!(summary(&copy.on(&memory)), ["hooks 1 of 1"]);
    assert_eq!((copy.table("queue"), copy.table("seen")), (vec![], vec!["0".to_owned()]));
}

#[test]
fn a_step_of_the_moment_that_a_newer_server_has_no_table_for_is_a_warning() {
    let copy = Copy::with(HOOKS);
    copy.sql("app.db", "CREATE TABLE queue (v)");
    let (memory, _) = copy.off(&[discard("queue", "").at_release(), off("hooks")]);
    copy.sql("app.db", "DROP TABLE queue");
    let release = copy.on(&memory);
    assert_eq!(
        (summary(&release), release.warnings),
        (vec!["hooks 3 of 3".into()], vec!["queue: app.db: there is no table queue".into()])
    );
}

#[test]
fn a_step_of_the_moment_that_cannot_act_is_known_when_quarantine_begins() {
    let copy = Copy::with(HOOKS);
    let error = copy.refuses(&[discard("queue", "").at_release()]);
    assert!(error.message().contains("\"queue\"") && error.message().contains("no table queue"), "{error}");
}

#[test]
fn where_two_steps_changed_a_row_the_later_is_undone_first() {
    let copy = Copy::with(HOOKS);
    let steps = [off("hooks"), set("hooks", "id = 2", &[("enabled", Scalar::Integer(-5))]).called("later")];
    let (mut memory, _) = copy.off(&steps);
    let release = copy.release(&mut memory, &named(&["hooks"]));
    let left = &release.steps[0].left;
    assert!(left.len() == 1 && left[0].remembered && left[0].why.contains("\"later\""), "{left:?}");
    assert_eq!(copy.rows("app.db", "SELECT enabled FROM hooks"), ["1", "-5", "1"]);
    assert_eq!(summary(&copy.on(&memory)), ["later 1 of 1", "hooks 1 of 1"]);
    assert_eq!(copy.rows("app.db", "SELECT enabled FROM hooks"), ["1", "1", "1"]);
}

#[test]
fn a_database_or_table_that_is_gone_leaves_its_apps_and_quarantine_ends() {
    let copy = Copy::with(HOOKS);
    copy.sql("b.db", HOOKS);
    let (memory, _) = copy.off(&[off("hooks"), off("hooks").called("b").with(|rows| rows.database = "b.db".into())]);
    std::fs::remove_file(copy.path("b.db")).expect("removed");
    copy.sql("app.db", "ALTER TABLE hooks RENAME TO webhooks");
    let release = copy.on(&memory);
    assert!(release.steps.iter().all(|step| step.released == 0 && step.left.len() == 3), "{release:?}");
    assert_eq!(release.steps[0].left[0].why, "b.db is gone");
    assert_eq!(release.steps[1].left[0].why, "there is no table hooks");
}

#[test]
fn what_the_server_is_given_is_an_app_of_its_own() {
    let copy = Copy::with(HOOKS);
    let step = |name: &str, action| Step { name: name.to_owned(), at: Moment::Restore, optional: false, action };
    let env = BTreeMap::from([("ALERTS".to_owned(), "off".to_owned())]);
    let steps = [step("no alerts", Action::Env(env.clone())), step("safe mode", Action::Args(vec!["--safe".into()]))];
    let (mut memory, _) = copy.off(&steps);
    let (memory_again, _) = copy.off_again(&steps, Some(memory.clone()));
    assert_eq!(memory_again, memory);
    let apps: Vec<_> = memory.apps().map(|app| (app.id, app.kind, app.detail)).collect();
    let expected =
        [("no alerts".into(), AppKind::Env, "ALERTS".into()), ("safe mode".into(), AppKind::Args, "--safe".into())];
    assert_eq!(apps, expected);
    assert_eq!((memory.env(), memory.args()), (env, vec!["--safe".to_owned()]));
    copy.release(&mut memory, &named(&["no alerts"]));
    assert_eq!((memory.env(), memory.args(), memory.is_over()), (BTreeMap::new(), vec!["--safe".to_owned()], false));
    copy.release(&mut memory, &Chosen::All);
    assert!(memory.is_over() && memory.args().is_empty());
}

#[test]
fn where_something_else_is_in_the_databases_place_nothing_is_forgotten() {
    let copy = Copy::with(HOOKS);
    let (memory, _) = copy.off(&[off("hooks"), discard("hooks", "0").at_release().called("queue")]);
    let database = std::fs::read(copy.path("app.db")).expect("reads");
    std::fs::write(copy.path("app.db"), "no database".repeat(100)).expect("written");
    for steps in [&memory.steps[..], &memory.steps[..1]] {
        let mut memory = memory.clone();
        memory.steps = steps.to_vec();
        let before = memory.clone();
        let error = apps::release(copy.root(), &mut memory, &Chosen::All, &mut |_| panic!("nothing to keep"));
        let error = error.expect_err("refuses");
        assert!(
            error.code() == Code::AppsUnknown && error.message().contains("a step acts on app.db as a SQLite database"),
            "{error}"
        );
        assert_eq!(memory, before);
    }
    std::fs::write(copy.path("app.db"), database).expect("mended");
    assert_eq!(summary(&copy.on(&memory)), ["hooks 3 of 3"]);
}

#[test]
fn rows_whose_keys_look_the_same_are_released_one_by_one() {
    let copy = Copy::with(
        "CREATE TABLE hooks (a, b, enabled, PRIMARY KEY (a, b));
         INSERT INTO hooks VALUES ('x,y', 'z', 1), ('x', 'y,z', 1)",
    );
    let (mut memory, _) = copy.off(&[off("hooks")]);
    assert_eq!(ids(&memory), ["hooks x,y,z", "hooks x,y,z-2"]);
    copy.release(&mut memory, &named(&["hooks x,y,z"]));
    assert_eq!(copy.rows("app.db", "SELECT sum(enabled) FROM hooks"), ["1"]);
    copy.on(&memory);
    assert_eq!(copy.rows("app.db", "SELECT sum(enabled) FROM hooks"), ["2"]);
}

#[test]
fn a_name_of_a_step_and_of_another_ones_app_releases_neither() {
    let copy = Copy::with(HOOKS);
    let second = set("hooks", "id = 2", &[("url", text("off"))]).called("hooks 1");
    let (mut memory, _) = copy.off(&[set("hooks", "id = 1", &[("url", text("off"))]), second]);
    let error = apps::release(copy.root(), &mut memory, &named(&["hooks 1"]), &mut |_| Ok(())).expect_err("is two");
    assert_eq!(error.code(), Code::Usage);
    assert!(error.message().contains("all of the step \"hooks 1\", and an app of \"hooks\""), "{error}");
    assert_eq!(copy.rows("app.db", "SELECT url FROM hooks"), ["'off'", "'off'", "'c'"]);
    copy.release(&mut memory, &named(&["hooks 1 2"]));
    assert_eq!(copy.rows("app.db", "SELECT url FROM hooks"), ["'off'", "'b'", "'c'"]);
}
