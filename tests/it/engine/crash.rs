//! Cut off at each moment: nothing is lost, and to begin again is to go on.

use std::fs;

use engine::quarantine::{self as apps, Chosen, QuarantineRecord};
use profile::step::Step;
use volume::error::{Code, Error};

use super::support::{And, Copy, delete, expr, ids, insert, off, reread, summary, text};

const STATE: &str = "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1), (2, NULL);
                     CREATE TABLE jobs (id INTEGER PRIMARY KEY, v BLOB); INSERT INTO jobs VALUES (1, x'ff');
                     CREATE TABLE mail (id INTEGER PRIMARY KEY, host);";

fn two() -> Copy {
    let copy = Copy::with(STATE);
    copy.sql("b.db", STATE);
    copy
}

fn steps() -> Vec<Step> {
    let on = |database: &str| {
        let database = database.to_owned();
        move |rows: &mut profile::step::Rows| rows.database = database
    };
    let of = |database: &str| {
        [
            expr("hooks", "", &[("enabled", "coalesce(enabled, 'x') || '-off'")]).called(&format!("hooks {database}")),
            delete("jobs", "").called(&format!("jobs {database}")),
            insert("mail", &[("host", text("nowhere"))]).called(&format!("mail {database}")),
        ]
        .map(|step| step.with(on(database)))
    };
    of("app.db").into_iter().chain(of("b.db")).collect()
}

fn dump(copy: &Copy) -> Vec<String> {
    let tables = ["hooks", "jobs", "mail"];
    let of = |database| tables.map(|table| copy.rows(database, &format!("SELECT * FROM {table}")).join(" ; "));
    ["app.db", "b.db"].into_iter().flat_map(of).collect()
}

fn cut_off() -> Error {
    Error::new(Code::Unexpected, "the power went")
}

#[test]
fn what_had_been_on_is_kept_before_anything_is_changed() {
    let copy = two();
    let before = dump(&copy);
    let mut kept = None;
    let done = apps::quarantine(copy.root(), &steps(), None, &mut |memory| {
        kept = Some(memory.clone());
        Err(cut_off())
    });
    assert_eq!(done.expect_err("is cut off").message(), "the power went");
    let kept = kept.expect("was kept");
    assert!(kept.pending && !kept.is_over() && kept.apps().count() == 8, "{:?}", ids(&kept));
    assert_eq!(dump(&copy), before, "nothing was changed");

    let (memory, _) = copy.off_again(&steps(), Some(reread(&kept)));
    let whole = two();
    assert_eq!(ids(&memory), ids(&whole.off(&steps()).0));
    assert_eq!(dump(&copy), dump(&whole));
    copy.on(&memory);
    assert_eq!(dump(&copy), before);
}

#[test]
fn what_a_crash_left_between_two_databases_is_finished() {
    let copy = two();
    let before = dump(&copy);
    let untouched = fs::read(copy.path("b.db")).expect("reads");
    let mut first = None;
    let done = apps::quarantine(copy.root(), &steps(), None, &mut |memory: &QuarantineRecord| {
        first.get_or_insert_with(|| memory.clone());
        Ok(())
    });
    let (whole, after) = (done.expect("quarantines").0, dump(&copy));
    fs::write(copy.path("b.db"), untouched).expect("written");
    let first = reread(&first.expect("was kept"));
    let own: Vec<Step> = first.steps.iter().map(|remembered| remembered.step.clone()).collect();
    let (memory, warnings) = copy.off_again(&own, Some(first));
    assert_eq!((dump(&copy), &memory, warnings), (after, &whole, vec![]));
    assert_eq!(copy.on(&memory).steps.iter().map(|step| step.left.len()).sum::<usize>(), 0);
    assert_eq!(dump(&copy), before);
}

#[test]
fn a_release_that_was_cut_off_goes_on_where_it_was() {
    for after in 0..4 {
        let copy = two();
        let before = dump(&copy);
        let (memory, _) = copy.off(&steps());
        let (mut kept, mut calls) = (memory.clone(), 0);
        let done = apps::release(copy.root(), &mut memory.clone(), &Chosen::All, &mut |memory| {
            if calls == after {
                return Err(cut_off());
            }
            calls += 1;
            kept = memory.clone();
            Ok(())
        });
        assert_eq!(done.is_err(), after < 3, "it is kept after each of two databases, and at the end");
        let mut kept = reread(&kept);
        let release = copy.release(&mut kept, &Chosen::All);
        assert!(kept.is_over() && release.steps.iter().all(|step| step.left.is_empty()), "{:?}", summary(&release));
        assert_eq!(dump(&copy), before);
    }
}

#[test]
fn what_is_back_already_counts_as_released() {
    let copy = two();
    let before = dump(&copy);
    let (memory, _) = copy.off(&steps());
    copy.on(&memory);
    let again = copy.on(&memory);
    assert_eq!(again.steps.iter().map(|step| step.released).sum::<usize>(), 8);
    assert_eq!(dump(&copy), before);
}

#[test]
fn a_step_that_fails_in_the_second_database_leaves_the_first_as_it_was() {
    let copy = two();
    let before = dump(&copy);
    let bad = off("hooks").with(|rows| rows.database = "b.db".into()).with(|rows| rows.filter = Some("(".into()));
    copy.try_off(&[steps()[0].clone(), bad], None).expect_err("refuses");
    assert_eq!(dump(&copy), before);
}
