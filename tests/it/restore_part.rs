//! `restore --only`: a part of the state is replaced, with the same journal and rollback; all else stays as it is.

use std::collections::BTreeSet;

use crate::{
    fixture::Data,
    quarantine::bell::{APPS, Bell},
};

/// A volume that changed everywhere since its backup.
fn changed() -> Data {
    let data = Data::with_state();
    data.file("conf/x.yaml", "x");
    data.file("pg/PG_VERSION", "15\n");
    data.file("pg/global/pg_control", "x");
    data.file("pg/base/1/PG_VERSION", "15\n");
    data.backup();
    data.database("app.db", "wal", &["changed"]);
    data.file("config.json", "changed");
    data.file("conf/deep/b.txt", "changed");
    data.file("conf/x.yaml", "changed");
    data.file("conf/new", "changed");
    data.file("new", "changed");
    data
}

fn only(parts: &[&str]) -> Vec<String> {
    let parts = parts.iter().map(|part| format!("--only={part}"));
    ["restore", "-y", "--from-latest"].into_iter().map(str::to_owned).chain(parts).collect()
}

fn restore(data: &Data, parts: &[&str]) -> crate::fixture::Ran {
    data.moorline(&only(parts).iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn only_the_part_is_replaced_and_a_rollback_brings_exactly_that_back() {
    let data = changed();
    let before = data.state();
    let id = data.moorline(&["status", "--json"]).json()["instance"]["id"].clone();
    restore(&data, &["app.db", "conf/deep"]).succeeds();
    assert_eq!(
        (data.rows("app.db"), data.read("conf/deep/b.txt")),
        (vec!["one".into(), "two".into(), "three".into()], "b".into())
    );
    for path in ["config.json", "conf/x.yaml", "conf/new", "new"] {
        assert_eq!(data.read(path), "changed", "{path}");
    }
    assert_eq!(data.moorline(&["status", "--json"]).json()["instance"]["id"], id);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), before);
}

#[test]
fn a_folder_is_exact_and_a_glob_takes_what_it_matches() {
    let data = changed();
    restore(&data, &["conf/"]).succeeds();
    assert!(!data.path("conf/new").exists());
    assert_eq!((data.read("conf/x.yaml"), data.read("new")), ("x".into(), "changed".into()));
    let data = changed();
    restore(&data, &["**/*.yaml"]).succeeds();
    assert_eq!((data.read("conf/x.yaml"), data.read("conf/new")), ("x".into(), "changed".into()));
}

#[test]
fn the_log_of_a_database_goes_with_it() {
    let data = changed();
    data.database("app.db", "delete", &["changed"]);
    data.file("app.db-wal", "of another time");
    restore(&data, &["app.db"]).succeeds();
    assert!(!data.path("app.db-wal").exists());
    assert_eq!(data.rows("app.db"), ["one", "two", "three"]);
}

#[test]
fn a_pattern_without_a_match_and_half_a_database_are_refused() {
    let data = changed();
    let before = data.state();
    restore(&data, &["app.db", "nothing"]).fails(10, &["--only=nothing matches nothing in ", "moorline inspect"]);
    restore(&data, &["../x"]).fails(2, &["`../x` in `--only` is invalid"]);
    restore(&data, &["pg/base"]).fails(2, &["--only takes a part of pg", "--only=pg"]);
    assert_eq!(data.state(), before);
    restore(&data, &["pg"]).succeeds();
}

#[test]
fn apps_in_the_part_are_off_and_all_others_stay_as_they_are() {
    let bell = Bell::with_state();
    let backup = bell.backup();
    let (before, id) = (bell.state(), bell.instance()["id"].clone());
    bell.sql("DELETE FROM alerts");
    bell.restore(&bell, &backup, &["--only=app.db"]).succeeds();
    assert_eq!(bell.fires(), BTreeSet::from(["hook w1".into(), "mail.sh".into(), "page.sh".into()]));
    let off: Vec<_> = APPS.into_iter().filter(|app| !["scripts", "webhooks w1"].contains(app)).collect();
    assert_eq!(bell.off(), off);
    assert_eq!(bell.instance()["id"], id);
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bell.state(), before);
}

#[test]
fn what_was_off_outside_of_the_part_is_still_recorded() {
    let original = Bell::with_state();
    let backup = original.backup();
    let copy = original.copy();
    copy.restore(&original, &backup, &["--only=hooks.json", "--enable-apps"]).succeeds();
    assert_eq!(copy.fires(), BTreeSet::from(["hook w1".to_owned()]));
    assert_eq!(copy.off(), APPS[..APPS.len() - 1]);
    copy.restore(&original, &backup, &["--only=hooks.json"]).succeeds();
    assert_eq!(copy.off(), APPS);
    copy.must_be_silent();
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(copy.state(), original.state());
}

#[test]
fn a_part_of_a_server_with_unknown_apps_needs_a_flag() {
    let data = changed();
    let (backup, key) = (data.moorline(&["list", "--json"]).json()["backups"][0]["file"].clone(), data.key());
    let backup = data.path("Backups").join(backup.as_str().expect("a name")).display().to_string();
    let words = ["restore", "-y", "--only=app.db", "--secret-key", &key, "--backup", &backup];
    data.moorline(&words).fails(13, &[]);
    data.moorline(&[&words[..], &["--enable-apps"]].concat()).succeeds();
}

#[test]
fn a_dry_run_shows_the_part() {
    let data = changed();
    let preview = data.moorline(&["restore", "--from-latest", "--dry-run", "--json", "--only=conf/"]).json();
    assert_eq!(preview["files"]["vanish"], serde_json::json!(["conf/new"]));
    assert_eq!(preview["databases"], serde_json::json!([]));
}
