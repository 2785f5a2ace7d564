//! Release puts back exactly what was, only where it still is what quarantine made of it.

use super::bell::{APPS, Bell};

#[test]
fn all_that_had_been_on_is_on_again_exactly_as_it_was() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    assert_ne!(copy.state(), before);
    let words = copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert!(words.contains("alerts: 3 of 3"), "{words}");
    assert!(words.contains("quarantine has ended"), "{words}");
    assert_eq!(copy.state(), before);
    assert!(!copy.has_memory());
    assert!(!copy.start().succeeds().contains("MOORLINE_QUARANTINED"));
}

#[test]
fn what_somebody_changed_or_removed_meanwhile_is_left_with_the_reason_and_forgotten() {
    let copy = Bell::with_state().copy();
    copy.sql("UPDATE alerts SET enabled = 2 WHERE id = 1; DELETE FROM alerts WHERE id = 3");
    copy.sql("INSERT INTO jobs VALUES ('mail', 1, 'made in quarantine')");
    let changed = copy.data.read("hooks.json").replace("\"active\": false, \"n\"", "\"active\": \"mine\", \"n\"");
    copy.data.file("hooks.json", &changed);
    let done = copy.moorline(&["apps", "release", "--all", "--json"]).json();
    let step = |name: &str| {
        let steps = done["released"].as_array().expect("a list");
        steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("{name}: {done}")).clone()
    };
    assert_eq!((&step("alerts")["released"], &step("alerts")["of"]), (&1.into(), &3.into()));
    assert_eq!(step("alerts")["left"].as_array().expect("a list").len(), 2);
    assert_eq!((&step("jobs")["released"], &step("jobs")["of"]), (&1.into(), &2.into()));
    assert_eq!((&step("webhooks")["released"], &step("webhooks")["of"]), (&0.into(), &1.into()));
    assert_eq!(copy.data.read("hooks.json"), changed);
    let alerts: Vec<(i64, String)> = {
        let connection = copy.connection();
        let mut query = connection.prepare("SELECT id, quote(enabled) FROM alerts ORDER BY id").expect("is there");
        query
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("runs")
            .map(|row| row.expect("a row"))
            .collect()
    };
    let expected = [(1, "2"), (2, "0"), (4, "NULL")].map(|(id, enabled)| (id, enabled.to_owned()));
    assert_eq!(alerts, expected);
    let payload: String = copy
        .connection()
        .query_row("SELECT payload FROM jobs WHERE n = 1", [], |row| row.get(0))
        .expect("the row that came meanwhile");
    assert_eq!(payload, "made in quarantine");
}

#[test]
fn apps_are_released_one_by_one_and_by_step() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    copy.moorline(&["apps", "release", "alerts 1", "jobs"]).succeeds();
    assert_eq!(copy.fires().into_iter().collect::<Vec<_>>(), ["alert 1", "job 1", "job 2"]);
    let left: Vec<_> = APPS.into_iter().filter(|id| *id != "alerts 1" && !id.starts_with("jobs")).collect();
    assert_eq!(copy.off(), left);
    copy.moorline(&["apps", "release", "no such app"]).fails(10, &["no such app"]);
    copy.moorline(&["apps", "release", "alerts 1"]).fails(10, &["alerts 1"]);
    copy.moorline(&["apps", "release", "safe mode"]).succeeds();
    let told = copy.start().succeeds();
    assert!(told.contains("MOORLINE_QUARANTINED=1") && !told.contains("BELL_SAFE"), "{told}");
    assert!(told.ends_with("word: --own\nword: --quiet\nword: two words\n"), "{told}");
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(copy.state(), before);
    assert!(copy.start().succeeds().ends_with("word: --own\n"));
}

#[test]
fn what_would_go_out_in_a_burst_is_dropped_before_anything_is_on() {
    let copy = Bell::with_state().copy();
    copy.sql("INSERT INTO outbox (text) VALUES ('written in quarantine')");
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert!(!copy.fires().iter().any(|app| app.starts_with("mail ")), "{:?}", copy.fires());
    assert!(copy.fires().contains("alert 1"));
}

#[test]
fn switched_off_twice_it_is_what_it_was_before_the_first_time() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.state();
    let first = bell.moorline(&["apps", "disable", "--all", "--json"]).json();
    assert_eq!(first["switched_off"], APPS.len());
    let memory = bell.memory();
    bell.sql("INSERT INTO alerts VALUES (9, 'made in quarantine', 'on', NULL)");
    let second = bell.moorline(&["apps", "disable", "--all", "--json"]).json();
    assert_eq!(second["switched_off"], 1);
    assert_eq!(bell.memory()["since"], memory["since"]);
    bell.must_be_silent();
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    bell.sql("DELETE FROM alerts WHERE id = 9");
    assert_eq!(bell.state(), before);
}

#[test]
fn quarantine_and_its_end_are_told() {
    let count = i64::try_from(APPS.len()).expect("a few");
    let copy = Bell::with_state().copy();
    let told = || crate::events::events(copy.data.root());
    let entered = told().into_iter().find(|event| event["@i"] == "QuarantineEntered").expect("is told");
    assert_eq!((&entered["Count"], &entered["@l"]), (&count.into(), &"Warning".into()));
    copy.moorline(&["apps", "release", "alerts 1"]).succeeds();
    let released = told().pop().expect("is told");
    assert_eq!((&released["@i"], &released["Count"]), (&"AppsReleased".into(), &1.into()));
    assert_eq!(released["LeftOff"], count - 1);
    let server = copy.server();
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(told().pop().expect("is told"), released, "it is only asked for");
    drop(server);
    copy.start().succeeds();
    let told = told().pop().expect("is told");
    assert_eq!(
        (&told["@i"], &told["Count"], &told["LeftOff"]),
        (&"AppsReleased".into(), &(count - 1).into(), &0.into())
    );
    let bell = Bell::with_state();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    assert_eq!(crate::events::events(bell.data.root()).pop().expect("is told")["@i"], "QuarantineEntered");
}
