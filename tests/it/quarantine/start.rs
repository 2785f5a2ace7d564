//! A start in quarantine: what the server is told, what is carried out before it, and when it is not started.

use std::{fs, process::Command};

use super::bell::{APPS, Bell};
use crate::fixture::Ran;

#[test]
fn every_start_stays_in_quarantine_says_so_and_tells_the_server() {
    let copy = Bell::with_state().copy();
    for _ in 0..3 {
        let start = copy.start();
        let line = "in quarantine: 10 apps off (alerts 3, jobs 2, banner 1, webhooks 1, scripts 1, safe mode 1, quiet 1); \
                    `moorline apps` lists them";
        assert!(start.stderr.contains(line), "{start:#?}");
        let instance = copy.instance();
        let told = start.succeeds();
        for variable in [
            format!("MOORLINE_INSTANCE={}", instance["id"].as_str().expect("text")),
            "MOORLINE_RESTORE_EPOCH=1".to_owned(),
            "MOORLINE_QUARANTINED=1".to_owned(),
            "BELL_SAFE=1".to_owned(),
        ] {
            assert!(told.lines().any(|line| line == variable), "{variable}: {told}");
        }
        assert!(told.ends_with("word: --own\nword: --quiet\nword: two words\n"), "{told}");
        copy.must_be_silent();
    }
    assert_eq!(copy.off(), APPS);
}

#[test]
fn outside_of_quarantine_the_server_is_told_who_it_is_and_no_more() {
    let bell = Bell::with_state();
    let mut start = bell.command(&["run", "--", "/usr/bin/env"]);
    start.env("MOORLINE_QUARANTINED", "1").env("MOORLINE_RESTORE_EPOCH", "77");
    let start = Ran::of(start);
    assert!(!start.stderr.contains("quarantine"), "{start:#?}");
    let told = start.succeeds();
    assert!(told.contains(&format!("MOORLINE_INSTANCE={}", bell.instance()["id"].as_str().expect("text"))), "{told}");
    assert!(told.contains("MOORLINE_RESTORE_EPOCH=0\n") && !told.contains("MOORLINE_QUARANTINED"), "{told}");
    assert!(!told.contains("BELL_SAFE"), "{told}");
}

#[test]
fn a_supervised_server_is_told_the_same() {
    let copy = Bell::with_state().copy();
    let told = copy.moorline(&["run", "--supervise", "--", "/usr/bin/env"]);
    assert_eq!(told.code, Some(125), "--quiet is no argument of env, so it was given: {told:#?}");
    copy.moorline(&["apps", "release", "quiet"]).succeeds();
    let told = copy.moorline(&["run", "--supervise", "--", "/usr/bin/env"]).succeeds();
    assert!(told.contains("MOORLINE_QUARANTINED=1\n") && told.contains("BELL_SAFE=1\n"), "{told}");
}

#[test]
fn what_is_released_while_the_server_runs_is_on_when_the_next_one_starts() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    let running = copy.server();
    let ran = copy.moorline(&["apps", "release", "alerts 1"]);
    assert!(ran.stderr.contains("in use by `run`"), "{ran:#?}");
    assert!(ran.succeeds().contains("restart the container"));
    let requested = copy.moorline(&["apps", "release", "jobs", "--json"]).json();
    assert_eq!(requested["requested"]["named"], serde_json::json!(["alerts 1", "jobs"]));
    assert_eq!(copy.off(), APPS, "not under a server");
    let status = copy.moorline(&["status", "--json"]).json();
    assert_eq!(status["quarantine"]["requested"]["named"].as_array().expect("a list").len(), 2);
    drop(running);
    let start = copy.start();
    assert!(
        start.stderr.contains("alerts: 1 of 1 on again") && start.stderr.contains("jobs: 2 of 2 on again"),
        "{start:#?}"
    );
    assert!(start.succeeds().contains("MOORLINE_QUARANTINED=1"));
    assert_eq!(copy.fires().into_iter().collect::<Vec<_>>(), ["alert 1", "job 1", "job 2"]);
    let running = copy.server();
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    drop(running);
    assert!(!copy.start().succeeds().contains("MOORLINE_QUARANTINED"));
    assert_eq!(copy.state(), before);
    assert!(!copy.has_memory());
}

#[test]
fn what_an_init_script_releases_is_on_when_the_server_starts() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    copy.data.file("Init/release.sh", "moorline apps release --all\n");
    let start = copy.start();
    assert!(!start.succeeds().contains("MOORLINE_QUARANTINED"));
    assert_eq!(copy.state(), before);
}

#[test]
fn a_script_restores_a_copy_and_the_server_finds_it_silent() {
    let original = Bell::with_state();
    let (backup, key) = (original.backup(), original.data.key());
    let copy = Bell::empty();
    fs::create_dir_all(copy.path("Backups")).expect("made");
    fs::copy(&backup, copy.path("Backups/backup.seqbac")).expect("copied");
    let script = format!("seqsvr restore -y --secret-key=\"{key}\" --backup=\"../Backups/backup.seqbac\"\n");
    copy.data.file("Init/restore.sh", &script);
    let start = copy.start();
    assert!(start.stderr.contains("in quarantine: 10 apps off"), "{start:#?}");
    assert!(start.succeeds().contains("MOORLINE_QUARANTINED=1"));
    copy.must_be_silent();
}

#[test]
fn requests_at_the_same_moment_do_not_lose_one_another() {
    let copy = Bell::with_state().copy();
    let _running = copy.server();
    let requests: Vec<_> =
        APPS.iter().map(|id| copy.command(&["apps", "release", id]).spawn().expect("starts")).collect();
    for mut request in requests {
        assert!(request.wait().expect("ends").success());
    }
    let listed = copy.moorline(&["apps", "--json"]).json();
    assert_eq!(listed["requested"]["named"].as_array().expect("a list").len(), APPS.len());
}

#[test]
fn where_it_cannot_be_released_no_server_starts_and_the_next_start_tries_again() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    let running = copy.server();
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    drop(running);
    let database = fs::read(copy.path("app.db")).expect("readable");
    copy.data.file("app.db", &"no database".repeat(100));
    for verb in [&["run", "--", "/bin/echo", "up"][..], &["init"]] {
        let ran = copy.moorline(verb).fails(13, &["app.db", "does not start"]);
        assert_eq!(ran.stdout, "");
        assert!(copy.has_memory());
    }
    fs::write(copy.path("app.db"), database).expect("mended");
    copy.start().succeeds();
    assert_eq!(copy.state(), before);
}

#[test]
fn what_a_crash_kept_on_is_off_before_the_server_starts() {
    let bell = Bell::with_state();
    bell.backup();
    let before = bell.state();
    bell.moorline(&["apps", "disable", "--all"]).succeeds();
    // As if it had been cut off after the first of its changes.
    let memory = bell.data.read(".moorline/quarantine.json").replace("\"pending\":false", "\"pending\":true");
    assert!(memory.contains("\"pending\":true"));
    bell.data.file(".moorline/quarantine.json", &memory);
    bell.sql("UPDATE alerts SET enabled = 1 WHERE id = 1; UPDATE alerts SET enabled = 'yes' WHERE id = 3");
    bell.sql("INSERT INTO jobs VALUES ('mail', 1, x'0001ff')");
    let listed = bell.moorline(&["apps"]).succeeds();
    assert!(listed.contains("the next start switches them off"), "{listed}");
    bell.start().succeeds();
    bell.must_be_silent();
    assert_eq!(bell.memory()["pending"], false);
    assert_eq!(bell.off(), APPS);
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bell.state(), before);
}

#[test]
fn a_memory_that_cannot_be_read_keeps_the_server_down() {
    let copy = Bell::with_state().copy();
    for text in ["", "{", "{\"format\": 99}"] {
        copy.data.file(".moorline/quarantine.json", text);
        let ran = copy.moorline(&["run", "--", "/bin/echo", "up"]).fails(13, &["quarantine.json"]);
        assert_eq!(ran.stdout, "");
        copy.moorline(&["backup"]).fails(13, &["quarantine.json"]);
    }
}

#[test]
fn a_bare_command_is_refused_in_quarantine() {
    let copy = Bell::with_state().copy();
    let bare = |copy: &Bell| copy.moorline(&["/bin/echo", "up"]);
    bare(&copy).fails(2, &["in quarantine", "10 apps off", "run --"]);
    let mut all_the_same = copy.command(&["/bin/echo", "up"]);
    all_the_same.env("MOORLINE_BARE", "1");
    assert_eq!(Ran::of(all_the_same).succeeds(), "up\n");
    copy.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bare(&copy).succeeds(), "up\n");
}

/// A start is not to be slower for quarantine that there is none of.
#[test]
fn without_quarantine_one_failed_open_is_all_that_it_costs() {
    let bell = Bell::with_state();
    bell.start().succeeds();
    let trace = bell.path("Backups/trace");
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-e", "trace=%file,%process", "-o"]).arg(&trace);
    strace.args([env!("MOORLINE_PROGRAM"), "run", "--", "/bin/true"]);
    // Without the first line of the log, which reads the instance as well.
    strace.env("MOORLINE_STORAGE", bell.data.root()).env("MOORLINE_NO_BOOT_BACKUP", "1").env("MOORLINE_LOG", "warn");
    Ran::of(strace).succeeds();
    let trace = fs::read_to_string(trace).expect("strace's record");
    let calls = |what: &str| trace.lines().filter(|line| line.contains(what)).collect::<Vec<_>>();
    assert_eq!(calls("quarantine").len(), 1, "{:?}", calls("quarantine"));
    let read = calls("instance.json").into_iter().filter(|call| call.contains("open")).count();
    assert_eq!(read, 1, "{:?}", calls("instance.json"));
    assert!(calls("apps.lock").is_empty() && calls("fork(").is_empty() && calls("clone").is_empty(), "{trace}");
}
