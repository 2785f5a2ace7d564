//! Backups of what is in quarantine know what had been on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use seqbac::{HeaderFields, Options, Reader, Writer};
use seqbac_header::{Id, SecretKey};
use volume::{BackupLock, Volume};

use super::bell::{APPS, Bell};
use crate::fixture::{Ran, argument, names};

#[test]
fn a_backup_in_quarantine_is_released_on_a_third_volume() {
    let original = Bell::with_state();
    let before = original.state();
    let copy = original.copy();
    let backup = copy.backup();
    let third = Bell::empty();
    third.restore(&copy, &backup, &[]).succeeds();
    third.must_be_silent();
    assert_eq!(third.off(), APPS);
    assert_ne!(third.memory()["restore"], copy.memory()["restore"]);
    third.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(third.state(), before);
    assert!(!third.has_memory());
    copy.must_be_silent();
}

#[test]
fn a_backup_says_whether_its_apps_are_off() {
    let original = Bell::with_state();
    let on = original.backup();
    let copy = original.copy();
    let off = copy.backup();
    for (bell, backup, quarantined) in [(&original, &on, false), (&copy, &off, true)] {
        let listed = bell.moorline(&["list", "--json"]).json();
        assert_eq!(listed["backups"][0]["quarantined"], quarantined);
        let inspected = bell.moorline(&["inspect", "--json", argument(backup)]).json();
        assert_eq!(inspected["quarantined"], quarantined);
        let members = inspected["members"].as_array().expect("a list").iter();
        let own = members.filter(|member| member["path"] == "moorline/quarantine.json").count();
        assert_eq!(own, usize::from(quarantined));
        let words = bell.moorline(&["inspect", argument(backup)]).succeeds();
        assert_eq!(words.contains("apps are off in this backup"), quarantined, "{words}");
    }
    copy.moorline(&["verify", "--full"]).succeeds();
    let stranger = Bell::empty();
    let without_key = stranger.moorline(&["inspect", "--json", argument(&off)]).json();
    assert_eq!(without_key["quarantined"], serde_json::Value::Null, "that is for who has the key");
}

#[test]
fn what_somebody_wants_released_here_is_not_released_elsewhere() {
    let copy = Bell::with_state().copy();
    copy.request("--all");
    let backup = copy.backup();
    let third = Bell::empty();
    third.restore(&copy, &backup, &[]).succeeds();
    third.start().succeeds();
    third.must_be_silent();
}

#[test]
fn apps_are_not_switched_by_hand_beside_a_backup() {
    let (bell, copy) = (Bell::with_state(), Bell::with_state().copy());
    bell.backup();
    let state = (bell.state(), copy.state());
    for (bell, verb) in [(&bell, ["apps", "disable", "--all"]), (&copy, ["apps", "release", "--all"])] {
        let _backup = BackupLock::take(&Volume::open(bell.data.root()).expect("opens")).expect("is free");
        bell.moorline(&verb).fails(75, &["another backup"]);
    }
    assert_eq!((bell.state(), copy.state()), state);
}

#[test]
fn a_backup_beside_which_a_start_releases_apps_is_refused() {
    let copy = Bell::with_state().copy();
    copy.data.file("hooks.d/a.sh", "");
    let noise = "#".repeat(1 << 20);
    for number in 0..64 {
        // Not to be compressed to nothing.
        copy.data.file(&format!("hooks.d/noise{number}.sh"), &format!("{noise}{number}"));
    }
    copy.moorline(&["apps", "disable", "--all"]).succeeds();
    copy.request("--all");
    // Stopped as soon as it writes, so that the start comes in between for sure.
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=openat", "-e", "inject=openat:delay_enter=100000"]);
    strace.args(["-P", argument(&copy.path("hooks.json"))]);
    let mut backup = copy.command_under(strace, &["backup"]);
    let backup = backup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    while !names(&copy.path("Backups")).iter().any(|name| name.ends_with(".tmp")) {
        thread::sleep(Duration::from_millis(1));
    }
    copy.start().succeeds();
    let backup = Ran::from(backup.wait_with_output().expect("ends"));
    backup.fails(75, &["switched off or on while the backup was taken"]);
    assert!(names(&copy.path("Backups")).iter().all(|name| !name.ends_with(".tmp")));
    assert!(!copy.has_memory());
    let third = Bell::empty();
    third.restore(&copy, &copy.backup(), &["--enable-apps"]).succeeds();
    assert_eq!(third.state(), copy.state());
}

#[test]
fn a_file_that_was_put_away_is_backed_up_and_goes_with_its_state() {
    let original = Bell::with_state();
    let (before, on) = (original.state(), original.backup());
    let copy = original.copy();
    let put_away = ["mail.sh.quarantined", "page.sh.quarantined"];
    assert_eq!(names(&copy.path("hooks.d")), put_away);
    let third = Bell::empty();
    third.restore(&copy, &copy.backup(), &[]).succeeds();
    assert_eq!(names(&third.path("hooks.d")), put_away);
    // No glob of the profile takes it, and a restore of another state takes it away all the same.
    let quarantined = third.state();
    third.restore(&original, &on, &["--enable-apps"]).succeeds();
    assert_eq!(third.state(), before);
    third.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(third.state(), quarantined);
    third.moorline(&["apps", "release", "scripts"]).succeeds();
    assert_eq!(names(&third.path("hooks.d")), ["mail.sh", "page.sh"]);
    // Rolled back past the release, it is there again.
    fs::remove_file(third.path("hooks.d/mail.sh")).expect("removed");
    third.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(third.state(), before);
}

/// Written anew, by whoever has the key: with another manifest, and without the members that are not `kept`.
fn forged(bell: &Bell, backup: &Path, manifest: impl Fn(String) -> String, kept: impl Fn(&str) -> bool) -> PathBuf {
    let key = SecretKey::parse(&bell.data.key(), "the test").expect("a key");
    let mut reader = Reader::open(fs::File::open(backup).expect("opens"), &key, 1).expect("a backup");
    let header = reader.header();
    let fields = HeaderFields {
        created: header.created,
        id: header.id,
        instance: header.instance,
        writer: "moorline test".to_owned(),
    };
    let path = bell.beside(&format!("{}.seqbac", Id::random().expect("random")));
    let out = fs::File::create(&path).expect("made");
    let mut writer = Writer::new(out, &key, fields, Options::default()).expect("begins");
    let text = manifest(String::from_utf8(reader.manifest().to_vec()).expect("text"));
    writer.manifest(text.as_bytes()).expect("written");
    while let Some(mut member) = reader.next_member().expect("readable") {
        let entry = member.entry().clone();
        if kept(&entry.path.to_string()) {
            writer.member(&entry, &mut member).expect("written");
        }
    }
    writer.finish().expect("finished");
    path
}

#[test]
fn a_backup_that_lost_its_memory_or_hides_it_is_refused() {
    let copy = Bell::with_state().copy();
    let backup = copy.backup();
    let says_no = |text: String| text.replace("\"quarantined\": true", "\"quarantined\": false");
    let is_state = |member: &str| member.starts_with("state");
    let same = |text: String| text;
    for forged in [forged(&copy, &backup, same, is_state), forged(&copy, &backup, says_no, |_| true)] {
        for flags in [&[][..], &["--enable-apps"]] {
            let target = Bell::empty();
            target.restore(&copy, &forged, flags).fails(27, &["quarantine"]);
            assert!(!target.path("app.db").exists());
        }
    }
    // As an old moorline would have made it, which knew of no quarantine: the scripts that were put aside are missing.
    let old = forged(&copy, &backup, |text| text.replace("\"quarantined\": true,", ""), is_state);
    let target = Bell::empty();
    target.restore(&copy, &old, &[]).fails(13, &["hooks.d"]);
    assert!(!target.path("app.db").exists());
}
