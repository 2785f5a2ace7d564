//! What becomes of the apps is decided by the flags alone.

use std::collections::BTreeSet;

use super::bell::{APPS, Bell, PROFILE};
use crate::fixture::argument;

#[test]
fn a_copy_is_silent_has_an_id_of_its_own_and_its_original_is_untouched() {
    let original = Bell::with_state();
    let (before, backup) = (original.state(), original.backup());
    let copy = Bell::empty();
    let ran = copy.restore(&original, &backup, &["--json"]);
    let done = ran.json();
    assert!(ran.stderr.contains("apps are off (no --enable-apps): "), "{ran:#?}");
    assert_eq!(done["apps"], "off");
    assert_eq!(done["apps_off"].as_array().expect("a list").len(), APPS.len());
    copy.must_be_silent();
    assert_eq!(copy.off(), APPS);
    assert_eq!(copy.memory()["restore"], done["id"]);
    assert_eq!(copy.instance()["restore_epoch"], 1);
    assert_ne!(copy.instance()["id"], original.instance()["id"]);
    assert_eq!(original.state(), before);
    assert!(!original.has_memory());
}

#[test]
fn a_copy_on_a_volume_that_was_somebody_is_somebody_else() {
    let original = Bell::with_state();
    let backup = original.backup();
    let before = original.instance();
    original.restore(&original, &backup, &[]).succeeds();
    original.must_be_silent();
    assert_ne!(original.instance()["id"], before["id"]);
    assert_eq!(original.instance()["restore_epoch"], 1);
}

#[test]
fn a_replacement_has_its_apps_on_and_the_volume_keeps_its_id() {
    let original = Bell::with_state();
    let (before, backup) = (original.state(), original.backup());
    let replacement = Bell::with_state();
    replacement.backup();
    let id = replacement.instance()["id"].clone();
    let ran = replacement.restore(&original, &backup, &["--enable-apps"]);
    assert!(ran.stderr.contains("apps are as they were (--enable-apps)"), "{ran:#?}");
    assert_eq!(replacement.state(), before);
    assert_eq!(replacement.instance()["id"], id);
    assert!(!replacement.has_memory());
    let empty = Bell::empty();
    empty.restore(&original, &backup, &["--enable-apps"]).succeeds();
    assert_ne!(empty.instance()["id"], original.instance()["id"], "never two volumes with one id");
}

#[test]
fn the_newest_backup_of_the_same_volume_has_its_apps_as_they_were() {
    let bell = Bell::with_state();
    let before = bell.state();
    bell.backup();
    let id = bell.instance()["id"].clone();
    bell.sql("UPDATE alerts SET enabled = 0; DELETE FROM jobs");
    let ran = bell.moorline(&["restore", "-y", "--from-latest"]);
    assert!(ran.stderr.contains("apps are as they were (--from-latest)"), "{ran:#?}");
    assert_eq!(bell.state(), before);
    assert_eq!(bell.instance()["id"], id);
    assert_eq!(bell.instance()["restore_epoch"], 1);
    assert!(!bell.has_memory());
}

#[test]
fn the_newest_backup_of_what_is_in_quarantine_stays_in_it_and_keeps_the_memory_of_the_first() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    // Somebody makes an app in the copy, which is on.
    copy.sql("INSERT INTO alerts VALUES (5, 'made in quarantine', 1, NULL)");
    copy.backup();
    let id = copy.instance()["id"].clone();
    let ran = copy.moorline(&["restore", "-y", "--from-latest"]);
    assert!(ran.stderr.contains("apps are off (--from-latest, in quarantine): "), "{ran:#?}");
    copy.must_be_silent();
    assert_eq!(copy.instance()["id"], id, "it is the same volume");
    assert!(copy.off().contains(&"alerts 5".to_owned()));
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    copy.sql("DELETE FROM alerts WHERE id = 5");
    assert_eq!(copy.state(), before);
}

#[test]
fn a_backup_from_before_quarantine_does_not_get_a_volume_out_of_it() {
    let bell = Bell::with_state();
    let before = bell.state();
    bell.backup();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    bell.must_be_silent();
    bell.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    bell.must_be_silent();
    assert_eq!(bell.off(), APPS);
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bell.state(), before);
}

#[test]
fn where_nobody_names_the_profile_the_steps_of_the_first_quarantine_count() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    copy.sql("INSERT INTO alerts VALUES (5, 'made in quarantine', 1, NULL)");
    let backup = copy.backup();
    let third = Bell::empty();
    let key = copy.data.key();
    let arguments = ["restore", "-y", "--profile-mismatch=accept", "--secret-key", &key, "--backup", argument(&backup)];
    third.data.moorline(&arguments).succeeds();
    third.must_be_silent();
    third.data.moorline(&["apps", "release", "--all"]).succeeds();
    third.sql("DELETE FROM alerts WHERE id = 5");
    assert_eq!(third.state(), before);
}

#[test]
fn what_quarantine_switched_off_is_on_again_in_a_replacement() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    let backup = copy.backup();
    let replacement = Bell::empty();
    let ran = replacement.restore(&copy, &backup, &["--enable-apps"]);
    assert!(ran.stderr.contains("apps are as they were (--enable-apps)"), "{ran:#?}");
    assert_eq!(replacement.state(), before);
    assert!(!replacement.has_memory());
    assert!(replacement.start().succeeds().contains("MOORLINE_INSTANCE="));
}

#[test]
fn a_replacement_takes_a_volume_out_of_quarantine_and_rollback_puts_it_back() {
    let original = Bell::with_state();
    let (before, backup) = (original.state(), original.backup());
    let copy = original.copy();
    let (quarantined, memory) = (copy.state(), copy.memory());
    copy.restore(&original, &backup, &["--enable-apps"]).succeeds();
    assert_eq!(copy.state(), before);
    assert!(!copy.has_memory());
    copy.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(copy.state(), quarantined);
    assert_eq!(copy.memory(), memory);
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(copy.state(), before);
}

#[test]
fn rollback_brings_back_what_was_there_with_its_apps_on_and_can_be_taken_back() {
    let bell = Bell::with_state();
    let backup = bell.backup();
    bell.sql("UPDATE alerts SET name = 'newer'");
    let (newer, id) = (bell.state(), bell.instance()["id"].clone());
    bell.restore(&bell, &backup, &[]).succeeds();
    let (quarantined, memory) = (bell.state(), bell.memory());
    bell.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(bell.state(), newer);
    assert!(!bell.has_memory());
    assert_eq!(bell.instance()["id"], id);
    bell.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(bell.state(), quarantined);
    assert_eq!(bell.memory(), memory);
}

#[test]
fn rollback_past_a_quarantine_that_no_restore_began_takes_all_of_it_away() {
    let bell = Bell::with_state();
    bell.backup();
    bell.sql("UPDATE alerts SET name = 'newer'");
    let newer = bell.state();
    bell.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    let (quarantined, memory) = (bell.state(), bell.memory());
    bell.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(bell.state(), newer);
    assert!(!bell.has_memory());
    bell.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(bell.state(), quarantined);
    assert_eq!(bell.memory(), memory);
}

#[test]
fn a_profile_that_says_none_by_now_does_not_get_a_volume_out_of_quarantine() {
    let bell = Bell::with_state();
    bell.backup();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    let steps = PROFILE.find("[[quarantine]]").expect("has steps");
    bell.profile_is(&PROFILE[..steps].replace("[state]", "apps = \"none\"\n[state]"));
    bell.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    bell.must_be_silent();
}

#[test]
fn a_server_without_apps_is_copied_without_quarantine() {
    let original = Bell::with_state();
    let steps = PROFILE.find("[[quarantine]]").expect("has steps");
    let (before, profile) = (original.state(), PROFILE[..steps].replace("[state]", "apps = \"none\"\n[state]"));
    original.profile_is(&profile);
    let copy = Bell::empty();
    copy.profile_is(&profile);
    copy.restore(&original, &original.backup(), &[]).succeeds();
    assert_eq!(copy.state(), before);
    assert!(!copy.has_memory());
    assert_ne!(copy.instance()["id"], original.instance()["id"]);
}

#[test]
fn where_nothing_is_on_there_is_no_quarantine_and_a_warning_for_each_step() {
    let original = Bell::with_state();
    let profile = PROFILE[..PROFILE.find("[[quarantine]]\nname = \"jobs\"").expect("is there")].to_owned()
        + "[[quarantine]]\nname = \"mails\"\nsqlite = \"app.db\"\ntable = \"outbox\"\ndelete = true\n";
    original.profile_is(&profile);
    original.sql("UPDATE alerts SET enabled = 0");
    let before = original.state();
    let copy = Bell::empty();
    copy.profile_is(&profile);
    let ran = copy.restore(&original, &original.backup(), &[]);
    for step in ["alerts", "mails"] {
        assert!(ran.stderr.lines().any(|line| line.contains(step)), "{step}: {ran:#?}");
    }
    ran.succeeds();
    assert_eq!(copy.state(), before);
    assert!(!copy.has_memory());
    assert_ne!(copy.instance()["id"], original.instance()["id"]);
}

#[test]
fn a_step_that_fails_fails_the_restore_and_the_old_state_stays() {
    let (original, target) = (Bell::with_state(), Bell::with_state());
    target.sql("UPDATE alerts SET name = 'the old state'");
    target.backup();
    let (backup, before) = (original.backup(), target.state());
    let everything = target.data.everything();
    for (from, to) in [
        ("table = \"jobs\"", "table = \"no_such_table\""),
        ("set = { enabled = false }", "set = { no_such_column = false }"),
        ("where = \"enabled IS NOT 0\"", "where = \"enabled IS NOT\""),
        ("json = \"hooks.json\"", "json = \"more/no-such.json\""),
        ("file = \"hooks.d/*.sh\"", "file = \"more/no-such.json\""),
        ("sqlite = \"app.db\"\ntable = \"jobs\"", "sqlite = \"more/no-such.db\"\ntable = \"jobs\""),
    ] {
        target.profile_is(&PROFILE.replacen(from, to, 1));
        target.restore(&original, &backup, &[]).fails(13, &[]);
        assert_eq!(target.state(), before, "{to}");
        assert!(!target.has_memory());
    }
    assert_eq!(target.data.everything(), everything, "nothing is left of them");
    let optional = PROFILE.replacen("table = \"jobs\"", "table = \"no_such_table\"\noptional = true", 1);
    target.profile_is(&optional);
    target.restore(&original, &backup, &[]).succeeds();
    let jobs = ["job 1", "job 2"].map(String::from);
    assert_eq!(target.fires(), BTreeSet::from(jobs), "the others are off");
}

#[test]
fn a_dry_run_says_what_each_step_would_switch_off_and_touches_nothing() {
    let (original, target) = (Bell::with_state(), Bell::with_state());
    let backup = original.backup();
    target.backup();
    let everything = target.data.everything();
    let ran = target.restore(&original, &backup, &["--dry-run", "--json"]);
    let steps = ran.json()["switched_off"].clone();
    let alerts = serde_json::json!({"step": "alerts", "apps": ["alerts 1", "alerts 3", "alerts 4"]});
    assert!(steps.as_array().expect("a list").contains(&alerts), "{steps}");
    let words = target.restore(&original, &backup, &["--dry-run"]).succeeds();
    assert!(words.contains("off: alerts 3: alerts 1, alerts 3, alerts 4"), "{words}");
    assert_eq!(target.data.everything(), everything);
    let on = target.restore(&original, &backup, &["--dry-run", "--json", "--enable-apps"]).json();
    assert_eq!((&on["apps"], &on["switched_off"]), (&"as_they_were".into(), &serde_json::json!([])));
    target.profile_is(&PROFILE.replacen("table = \"jobs\"", "table = \"no_such_table\"", 1));
    target.restore(&original, &backup, &["--dry-run"]).fails(13, &["jobs"]);
}
