//! `moorline apps`: its words, its objects, and what it refuses.

use rusqlite::Connection;

use super::bell::{APPS, Bell, PROFILE};

#[test]
fn what_is_off_is_listed() {
    let copy = Bell::with_state().copy();
    let listed = copy.moorline(&["apps", "list", "--json"]).json();
    assert_eq!(listed["quarantined"], true);
    assert_eq!((&listed["pending"], &listed["would_switch_off"]), (&false.into(), &serde_json::Value::Null));
    let app = listed["apps"].as_array().expect("a list").iter().find(|app| app["id"] == "alerts 1").expect("is off");
    assert_eq!((&app["step"], &app["kind"]), (&"alerts".into(), &"sqlite".into()));
    let words = copy.moorline(&["apps"]).succeeds();
    assert!(APPS.iter().all(|id| words.contains(id)), "{words}");
    assert!(words.contains("in quarantine since"), "{words}");
    let status = copy.moorline(&["status"]).succeeds();
    assert!(status.contains("quarantine        10 apps off (alerts 3, "), "{status}");
    assert_eq!(copy.moorline(&["status", "--json"]).json()["quarantine"]["apps_off"], APPS.len());
}

#[test]
fn without_quarantine_it_says_what_would_be_switched_off() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.data.everything();
    let listed = bell.moorline(&["apps", "list", "--json"]).json();
    assert_eq!(listed["quarantined"], false);
    let steps = listed["would_switch_off"].as_array().expect("a list");
    let alerts = steps.iter().find(|step| step["step"] == "alerts").expect("is there");
    assert_eq!(alerts["apps"], serde_json::json!(["alerts 1", "alerts 3", "alerts 4"]));
    let words = bell.moorline(&["apps"]).succeeds();
    assert!(words.contains("alerts 3: alerts 1, alerts 3, alerts 4"), "{words}");
    assert!(words.contains("would switch these off"), "{words}");
    let nobody_says = bell.data.moorline(&["apps"]).succeeds();
    assert!(nobody_says.contains("no profile says") && nobody_says.contains("--profile"), "{nobody_says}");
    let nobody_says = bell.data.moorline(&["apps", "--json"]).json();
    assert_eq!(nobody_says["would_switch_off"], serde_json::Value::Null);
    let status = bell.moorline(&["status"]).succeeds();
    assert!(status.contains("quarantine        none"), "{status}");
    let everything: std::collections::BTreeMap<_, _> = bell
        .data
        .everything()
        .into_iter()
        .filter(|(path, _)| !path.ends_with("app.db-shm") && !path.ends_with("app.db-wal"))
        .collect();
    assert_eq!(everything, before, "nothing was changed");
}

#[test]
fn where_there_is_nothing_to_switch_off_it_says_so() {
    let bell = Bell::with_state();
    let steps = PROFILE.find("[[quarantine]]").expect("has steps");
    let rows = PROFILE.find("[[quarantine]]\nname = \"jobs\"").expect("is there");
    bell.profile_is(&PROFILE[..rows]);
    bell.sql("UPDATE alerts SET enabled = 0");
    let listed = bell.moorline(&["apps"]).succeeds();
    assert!(listed.contains("no app is on"), "{listed}");
    bell.profile_is(&PROFILE[..steps].replace("[state]", "apps = \"none\"\n[state]"));
    let listed = bell.moorline(&["apps"]).succeeds();
    assert!(listed.contains("has no apps"), "{listed}");
    for _ in 0..2 {
        let off = bell.moorline(&["apps", "disable", "--all"]).succeeds();
        assert!(off.contains("nothing to switch off"), "{off}");
        assert!(!bell.has_memory());
        bell.profile_is(&PROFILE[..rows]);
    }
}

#[test]
fn apps_are_switched_off_without_a_restore_and_on_again() {
    let bell = Bell::with_state();
    bell.backup();
    let (before, id) = (bell.state(), bell.instance()["id"].clone());
    let words = bell.moorline(&["apps", "disable", "--all"]).succeeds();
    assert!(words.contains("switched off 10"), "{words}");
    bell.must_be_silent();
    assert_eq!(bell.off(), APPS);
    assert_eq!(bell.instance()["id"], id);
    assert_eq!(bell.memory().get("restore"), None);
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bell.state(), before);
}

#[test]
fn nothing_is_switched_off_under_a_server() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.state();
    let server = bell.server();
    bell.moorline(&["apps", "disable", "--all"]).fails(75, &["in use by `run`"]);
    drop(server);
    let other = Connection::open(bell.path("app.db")).expect("opens");
    other.query_row("SELECT count(*) FROM alerts", [], |row| row.get::<_, i64>(0)).expect("reads");
    bell.moorline(&["apps", "disable", "--all"]).fails(75, &["app.db is in use"]);
    drop(other);
    assert_eq!(bell.state(), before);
    assert!(!bell.has_memory());
}

/// A server that moorline did not start holds no lock of ours; its database shows it.
#[test]
fn a_release_under_a_foreign_server_waits_for_the_next_start() {
    let copy = Bell::with_state().copy();
    let other = Connection::open(copy.path("app.db")).expect("opens");
    other.query_row("SELECT count(*) FROM alerts", [], |row| row.get::<_, i64>(0)).expect("reads");
    let ran = copy.moorline(&["apps", "release", "--all"]);
    assert!(ran.stderr.contains("app.db is in use"), "{ran:#?}");
    assert!(ran.succeeds().contains("restart the container"));
    drop(other);
    copy.must_be_silent();
    copy.start().succeeds();
    assert!(!copy.has_memory());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bell = Bell::with_state();
    bell.backup();
    bell.moorline(&["apps", "release"]).fails(2, &["NAME|ID"]);
    bell.moorline(&["apps", "release", "--all", "alerts"]).fails(2, &["--all"]);
    bell.moorline(&["apps", "disable"]).fails(2, &["--all"]);
    bell.moorline(&["apps", "release", "--all"]).fails(10, &["not in quarantine"]);
    bell.data.moorline(&["apps", "disable", "--all"]).fails(13, &["no profile says which apps", "--profile"]);
    let failed = bell.moorline(&["apps", "release", "x", "--json"]);
    assert_eq!((&failed.json()["code"], &failed.json()["exit"]), (&"NotFound".into(), &10.into()));
}

#[test]
fn a_step_that_cannot_be_made_leaves_all_apps_on() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.state();
    bell.profile_is(&PROFILE.replacen("table = \"jobs\"", "table = \"no_such_table\"", 1));
    bell.moorline(&["apps", "disable", "--all"]).fails(13, &["jobs"]);
    assert_eq!(bell.state(), before);
    assert!(!bell.has_memory());
}
