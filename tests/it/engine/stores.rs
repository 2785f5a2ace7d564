//! Steps on rows, JSON and files in one quarantine.

use std::{collections::BTreeMap, fs};

use engine::quarantine::{self as apps, Chosen, QuarantineRecord};
use profile::step::{Action, Condition, Files, Moment, Nodes, Step};
use volume::error::{Code, Error};

use super::support::{And, Copy, discard, ids, named, off, reread, summary};

const FLOWS: &str = "[\n  {\"id\": \"a\", \"type\": \"tab\", \"n\": 12345678901234567890},\n  {\"id\": \"b\", \"type\": \"tab\", \"disabled\": true},\n  {\"id\": \"c\", \"type\": \"http\"}\n]\n";

fn step(name: &str, action: Action) -> Step {
    Step { name: name.to_owned(), at: Moment::Restore, optional: false, action }
}

fn flows(files: &str) -> Step {
    let tab = Condition::Is("tab".into());
    let on = Condition::OneOf(vec![Condition::Absent, Condition::Is(false.into())]);
    step(
        "flows",
        Action::Json(Nodes {
            files: files.to_owned(),
            each: "/*".to_owned(),
            key: Some("id".to_owned()),
            filter: BTreeMap::from([("type".to_owned(), tab), ("disabled".to_owned(), on)]),
            set: BTreeMap::from([("disabled".to_owned(), Some(true.into()))]),
        }),
    )
}

fn hook(content: Option<&str>) -> Step {
    step("hook", Action::File(Files { files: "hook.sh".to_owned(), content: content.map(str::to_owned) }))
}

fn copy() -> Copy {
    let copy = Copy::with(
        "CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1);
         CREATE TABLE queue (v); INSERT INTO queue VALUES (1);",
    );
    fs::write(copy.path("flows.json"), FLOWS).expect("written");
    fs::write(copy.path("hook.sh"), "fire").expect("written");
    copy
}

fn steps() -> Vec<Step> {
    let env = Action::Env(BTreeMap::from([("SAFE".to_owned(), "1".to_owned())]));
    vec![
        off("hooks"),
        flows("flows.json"),
        hook(Some("exit 0\n")),
        step("safe", env),
        discard("queue", "").at_release(),
    ]
}

/// What a server would find.
fn state(copy: &Copy) -> (Vec<String>, Vec<String>, String, Option<String>) {
    let file = |name: &str| fs::read_to_string(copy.path(name)).ok();
    (copy.table("hooks"), copy.table("queue"), file("flows.json").unwrap_or_default(), file("hook.sh"))
}

fn on_again() -> (Vec<String>, Vec<String>, String, Option<String>) {
    (vec!["1|1".to_owned()], vec![], FLOWS.to_owned(), Some("fire".to_owned()))
}

#[test]
fn every_kind_goes_off_and_comes_back() {
    let copy = copy();
    let (memory, warnings) = copy.off(&steps());
    assert_eq!(
        (ids(&memory), warnings),
        (vec!["hooks 1".into(), "flows a".into(), "hook".into(), "safe".into()], vec![])
    );
    assert_eq!(memory.files().iter().map(ToString::to_string).collect::<Vec<_>>(), ["hook.sh.quarantined"]);
    let off = state(&copy);
    assert_eq!((&*off.0, off.3.as_deref()), (&["1|0".to_owned()][..], Some("exit 0\n")));
    assert_eq!(off.2.matches("\"disabled\": true").count() + off.2.matches("\"disabled\":true").count(), 2);
    let (again, warnings) = copy.off_again(&steps(), Some(memory.clone()));
    assert_eq!((&again, warnings, state(&copy)), (&memory, vec![], off));
    assert_eq!(summary(&copy.on(&again)), ["safe 1 of 1", "hook 1 of 1", "flows 1 of 1", "hooks 1 of 1"]);
    assert_eq!(state(&copy), on_again());
    assert!(!copy.path("hook.sh.quarantined").exists());
}

#[test]
fn each_may_be_released_by_itself() {
    let copy = copy();
    let (mut memory, _) = copy.off(&steps());
    for (name, left) in [("flows a", 3), ("hook", 2), ("safe", 1), ("hooks", 0)] {
        copy.release(&mut memory, &named(&[name]));
        memory = reread(&memory);
        assert_eq!(memory.apps().count(), left, "{name}");
    }
    assert!(memory.is_over());
    assert_eq!(state(&copy), on_again());
}

#[test]
fn it_may_be_cut_off_anywhere() {
    let went = || Error::new(Code::Unexpected, "the power went");
    for after in 0..6 {
        let copy = copy();
        let before = state(&copy);
        let mut kept = None;
        let cut = apps::quarantine(copy.root(), &steps(), None, &mut |memory| {
            kept = Some(memory.clone());
            Err(went())
        });
        cut.expect_err("is cut off");
        assert_eq!(state(&copy), before);
        let (mut memory, _) = copy.off_again(&steps(), kept);
        let (mut kept, mut calls) = (memory.clone(), 0);
        let done = apps::release(copy.root(), &mut memory, &Chosen::All, &mut |memory: &QuarantineRecord| {
            if calls == after {
                return Err(went());
            }
            calls += 1;
            kept = memory.clone();
            Ok(())
        });
        assert_eq!(done.is_err(), after < 4, "kept after the database, the documents, the file, and at the end");
        let release = copy.release(&mut kept, &Chosen::All);
        assert!(release.steps.iter().all(|step| step.left.is_empty()) && kept.is_over(), "{:?}", summary(&release));
        assert_eq!(state(&copy), on_again());
    }
}

#[test]
fn what_matches_nothing_is_a_warning_and_what_is_not_there_an_error_unless_it_is_optional() {
    let copy = copy();
    fs::write(copy.path("none.json"), "[]").expect("written");
    let (memory, warnings) = copy.off(&[flows("none.json")]);
    assert!(
        memory.is_over() && warnings.len() == 1 && warnings[0].starts_with("flows: nothing matched"),
        "{warnings:?}"
    );
    let error = copy.refuses(&[off("hooks"), flows("missing.json")]);
    assert!(error.message().starts_with("the step \"flows\": ") && error.message().contains("missing.json"), "{error}");
    let (memory, warnings) = copy.off(&[flows("missing.json").optional()]);
    assert!(memory.is_over() && warnings.is_empty(), "{warnings:?}");
    fs::remove_file(copy.path("hook.sh")).expect("removed");
    let error = copy.refuses(&[hook(None)]);
    assert!(error.message().starts_with("the step \"hook\": "), "{error}");
}

#[test]
fn to_look_names_them_all_and_changes_nothing() {
    let copy = copy();
    let before = state(&copy);
    let looks = apps::inspect(copy.root(), &[flows("*.json"), hook(None), flows("missing.json")]).expect("looks");
    assert_eq!(looks.iter().map(|look| look.apps.join(",")).collect::<Vec<_>>(), ["flows a", "hook", ""]);
    assert_eq!(looks.iter().map(|look| look.missing.len()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(state(&copy), before);
}
