//! Steps on JSON files and on whole files, together with those on rows.

use std::{collections::BTreeMap, fs, path::Path};

use engine::quarantine::{self as apps, AppKind, Chosen, QuarantineRecord};
use profile::step::{Action, Condition, Files, Moment, Nodes, Step};
use serde_json::{Value, json};
use volume::error::{Code, Error};

use super::support::{And, Copy, discard, ids, named, off, reread, summary};

const JOBS: &str =
    "{\"jobs\": [\r\n\t{\"id\": 1, \"on\": 1.0},\r\n\t{\"on\": false, \"id\": 2}, {\"id\": 3, \"url\": \"x\"}]}";

fn copy() -> Copy {
    let copy = Copy::with("CREATE TABLE hooks (id INTEGER PRIMARY KEY, enabled); INSERT INTO hooks VALUES (1, 1)");
    write(&copy, "a/jobs.json", JOBS);
    write(&copy, "b/jobs.json", "{\"jobs\":[]}");
    write(&copy, "cron.yaml", "jobs: [a]\n");
    write(&copy, "hooks/send", "#!/bin/sh\n");
    copy
}

fn write(copy: &Copy, name: &str, content: &str) {
    let path = copy.path(name);
    fs::create_dir_all(path.parent().expect("has one")).expect("made");
    fs::write(path, content).expect("written");
}

/// Every file but the database.
fn files(copy: &Copy) -> BTreeMap<String, String> {
    fn add(root: &Path, folder: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below").display().to_string();
            if path.is_dir() {
                add(root, &path, all);
            } else if !name.starts_with("app.db") {
                drop(all.insert(name, fs::read_to_string(path).expect("reads")));
            }
        }
    }
    let mut all = BTreeMap::new();
    add(copy.root(), copy.root(), &mut all);
    all
}

fn step(name: &str, action: Action) -> Step {
    Step { name: name.to_owned(), at: Moment::Restore, optional: false, action }
}

fn nodes(name: &str, each: &str, set: &[(&str, Option<Value>)]) -> Step {
    let set = set.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let (files, key) = ("*/jobs.json".to_owned(), Some("id".to_owned()));
    step(name, Action::Json(Nodes { files, each: each.to_owned(), key, filter: BTreeMap::new(), set }))
}

/// Jobs that are not off.
fn jobs() -> Step {
    let mut step = nodes("jobs", "/jobs/*", &[("on", Some(json!(false))), ("url", None)]);
    let Action::Json(nodes) = &mut step.action else { panic!("a step on JSON") };
    nodes.filter.insert("on".to_owned(), Condition::Not(Box::new(Condition::Is(json!(false)))));
    step
}

fn file(name: &str, glob: &str, content: Option<&str>) -> Step {
    step(name, Action::File(Files { files: glob.to_owned(), content: content.map(str::to_owned) }))
}

fn steps() -> Vec<Step> {
    let env = step("safe mode", Action::Env(BTreeMap::from([("SAFE".to_owned(), "1".to_owned())])));
    vec![off("hooks"), jobs(), file("cron", "cron.yaml", Some("jobs: []\n")), file("scripts", "hooks", None), env]
}

#[test]
fn all_kinds_go_off_together_and_come_back_byte_for_byte() {
    let copy = copy();
    let before = files(&copy);
    let (memory, warnings) = copy.off(&steps());
    assert_eq!(warnings, [""; 0]);
    let expected = ["hooks 1", "jobs a/jobs.json 1", "jobs a/jobs.json 3", "cron", "scripts", "safe mode"];
    assert_eq!(ids(&memory), expected);
    let shown: Vec<_> = memory.apps().map(|app| (app.kind, app.detail)).collect();
    assert_eq!(shown[1], (AppKind::Json, "/jobs/0 in a/jobs.json".to_owned()));
    let kept: Vec<String> = memory.files().iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["cron.yaml.quarantined", "hooks.quarantined"]);
    let off = files(&copy);
    assert_eq!(off["a/jobs.json"], JOBS.replace("1.0", "false").replace("\"url\": \"x\"", "\"on\": false"));
    assert_eq!((off["b/jobs.json"].as_str(), off["cron.yaml"].as_str()), ("{\"jobs\":[]}", "jobs: []\n"));
    assert_eq!(off["hooks.quarantined/send"], "#!/bin/sh\n");
    assert!(!copy.path("hooks").exists());
    let released = ["safe mode 1 of 1", "scripts 1 of 1", "cron 1 of 1", "jobs 2 of 2", "hooks 1 of 1"];
    assert_eq!(summary(&copy.on(&memory)), released);
    assert_eq!((files(&copy), copy.table("hooks")), (before, vec!["1|1".to_owned()]));
}

fn cut_off() -> Error {
    Error::new(Code::Unexpected, "the power went")
}

#[test]
fn what_had_been_on_is_kept_before_any_file_is_changed() {
    let copy = copy();
    let before = files(&copy);
    let mut kept = None;
    let done = apps::quarantine(copy.root(), &steps(), None, &mut |memory: &QuarantineRecord| {
        kept = Some(memory.clone());
        Err(cut_off())
    });
    done.expect_err("is cut off");
    assert_eq!(files(&copy), before);
    let kept = reread(&kept.expect("was kept"));
    assert!(kept.pending && kept.apps().count() == 6, "{:?}", ids(&kept));
    let (memory, _) = copy.off_again(&steps(), Some(kept));
    let other = self::copy();
    assert_eq!((ids(&memory), files(&copy)), (ids(&other.off(&steps()).0), files(&other)));
    copy.on(&memory);
    assert_eq!(files(&copy), before);
}

#[test]
fn a_crash_between_any_two_files_is_made_good() {
    let whole = copy();
    let before = files(&whole);
    let mut first = None;
    let done = apps::quarantine(whole.root(), &steps(), None, &mut |memory: &QuarantineRecord| {
        first.get_or_insert_with(|| memory.clone());
        Ok(())
    });
    let (memory, off) = (done.expect("quarantines").0, files(&whole));
    let first = reread(&first.expect("was kept"));
    // What is done, in the order in which it is done.
    let moments: [fn(&Copy); 4] = [
        |_| (),
        |copy| write(copy, "a/jobs.json", &JOBS.replace("1.0", "false").replace("\"url\": \"x\"", "\"on\": false")),
        |copy| fs::rename(copy.path("cron.yaml"), copy.path("cron.yaml.quarantined")).expect("renamed"),
        |copy| write(copy, "cron.yaml", "jobs: []\n"),
    ];
    for done in 0..moments.len() {
        let copy = copy();
        moments[..=done].iter().for_each(|moment| moment(&copy));
        let (again, warnings) = copy.off_again(&steps(), Some(first.clone()));
        assert_eq!((&again, files(&copy), warnings), (&memory, off.clone(), vec![]), "{done}");
        copy.on(&again);
        assert_eq!(files(&copy), before, "{done}");
    }
}

#[test]
fn a_release_that_was_cut_off_goes_on_where_it_was() {
    for after in 0..6 {
        let copy = copy();
        let before = files(&copy);
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
        assert_eq!(done.is_err(), after < 5, "kept after the database, the documents, each file, and at the end");
        let mut kept = reread(&kept);
        let release = copy.release(&mut kept, &Chosen::All);
        assert!(kept.is_over() && release.steps.iter().all(|step| step.left.is_empty()), "{:?}", summary(&release));
        assert_eq!((files(&copy), copy.table("hooks")), (before, vec!["1|1".to_owned()]));
    }
}

#[test]
fn what_drops_a_queue_is_final_before_anything_is_on() {
    let copy = copy();
    write(&copy, "queue/1", "mail");
    copy.sql("app.db", "CREATE TABLE outbox (v); INSERT INTO outbox VALUES (1)");
    let mut steps = steps();
    steps.push(file("waiting files", "queue/*", None).at_release());
    steps.push(nodes("waiting jobs", "", &[("queue", None)]).at_release());
    steps.push(discard("outbox", "").at_release());
    let (memory, _) = copy.off(&steps);
    assert!(copy.path("queue/1").exists(), "it acts at release");
    write(&copy, "b/jobs.json", "{\"jobs\":[], \"queue\": [1]}");
    let mut seen = Vec::new();
    let done = apps::release(copy.root(), &mut memory.clone(), &Chosen::All, &mut |_| {
        let is_on = copy.table("hooks") == ["1|1"] || files(&copy)["a/jobs.json"] == JOBS;
        let is_dropped = !copy.path("queue/1").exists();
        seen.push((is_on, is_dropped, copy.table("outbox").is_empty()));
        Ok(())
    });
    assert_eq!(done.expect("releases").warnings, [""; 0]);
    assert!(seen.iter().all(|(is_on, file, row)| !is_on || (*file && *row)), "{seen:?}");
    assert_eq!(files(&copy)["b/jobs.json"], "{\"jobs\":[]}");
    assert_eq!(files(&copy)["a/jobs.json"], JOBS);
}

#[test]
fn a_file_that_one_step_edits_and_another_puts_aside_is_refused() {
    let copy = copy();
    let before = files(&copy);
    for aside in [file("aside", "a/jobs.json", Some("{}")), file("aside", "a", None)] {
        let error = copy.refuses(&[off("hooks"), jobs(), aside]);
        assert_eq!(error.message(), "the step \"aside\" renames a/jobs.json, but another step edits it");
    }
    assert_eq!(files(&copy), before);
}

#[test]
fn what_a_later_step_has_changed_too_is_not_released_beneath_it() {
    let copy = copy();
    let before = files(&copy);
    let (mut memory, _) = copy.off(&[jobs(), nodes("all jobs", "", &[("jobs", Some(json!([])))])]);
    assert_eq!(files(&copy)["a/jobs.json"], "{\"jobs\": []}");
    let release = copy.release(&mut memory, &named(&["jobs"]));
    assert!(
        release.steps[0].left.iter().all(|left| left.remembered && left.why.contains("\"all jobs\"")),
        "{release:?}"
    );
    assert_eq!((ids(&memory).len(), release.steps[0].released), (3, 0));
    assert_eq!(summary(&copy.release(&mut memory, &named(&["all jobs"]))), ["all jobs 1 of 1"]);
    assert_eq!(summary(&copy.release(&mut memory, &Chosen::All)), ["jobs 2 of 2"]);
    assert_eq!(files(&copy), before);
}

#[test]
fn a_step_that_writes_something_else_by_now_gives_both_back() {
    let copy = copy();
    let before = files(&copy);
    let (memory, _) = copy.off(&[jobs()]);
    let now = nodes("jobs", "/jobs/*", &[("on", Some(json!("never"))), ("muted", Some(json!(null)))]);
    let (memory, _) = copy.off_again(&[now], Some(memory));
    assert_eq!(ids(&memory), ["jobs a/jobs.json 1", "jobs a/jobs.json 3", "jobs a/jobs.json 2"]);
    assert!(files(&copy)["a/jobs.json"].contains("{\"id\": 1, \"on\": \"never\", \"muted\": null}"));
    assert_eq!(summary(&copy.on(&memory)), ["jobs 3 of 3"]);
    assert_eq!(files(&copy), before);
}

#[test]
fn what_was_changed_in_quarantine_is_left_with_a_reason() {
    let copy = copy();
    let (memory, _) = copy.off(&steps());
    write(&copy, "cron.yaml", "jobs: [mine]\n");
    write(&copy, "a/jobs.json", "{\"jobs\": [{\"id\": 3, \"on\": 7}, {\"id\": 1, \"on\": false}]}");
    let expected = [
        "safe mode 1 of 1",
        "scripts 1 of 1",
        "cron 0 of 1; cron: cron.yaml was changed since; the original stays in cron.yaml.quarantined",
        "jobs 1 of 2; jobs a/jobs.json 3: its \"on\" is no longer what quarantine wrote",
        "hooks 1 of 1",
    ];
    assert_eq!(summary(&copy.on(&memory)), expected);
    let after = files(&copy);
    assert_eq!(after["a/jobs.json"], "{\"jobs\": [{\"id\": 3, \"url\": \"x\", \"on\": 7}, {\"id\": 1, \"on\": 1.0}]}");
    assert_eq!(
        (after["cron.yaml"].as_str(), after["cron.yaml.quarantined"].as_str()),
        ("jobs: [mine]\n", "jobs: [a]\n")
    );
}
