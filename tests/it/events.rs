//! Events: what moorline did, written down by whichever process did it, and nothing where nothing happened.

use std::{fs, path::Path, process::Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    fixture::{Data, KEY, argument},
    support::TestVolume,
};

/// All that was written down on a volume, oldest first.
pub fn events(root: &Path) -> Vec<Value> {
    let folder = root.join(".moorline/events");
    let mut files: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "clef"));
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).expect("text")).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|cause| panic!("{cause}: {line}"))).collect()
}

/// The kinds of these, in order.
fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["@i"].as_str().expect("has a kind")).collect()
}

fn last(root: &Path) -> Value {
    events(root).pop().expect("one was written down")
}

#[test]
fn a_backup_its_verification_and_what_it_replaces_are_told() {
    let data = Data::with_state();
    let backup = data.backup();
    let told = events(data.root());
    assert_eq!(kinds(&told), ["SecretKeyNotBackedUp", "BackupComplete"]);
    let name = backup.file_name().and_then(|name| name.to_str()).expect("UTF-8");
    assert_eq!((&told[1]["FileName"], &told[1]["Kind"]), (&name.into(), &"immediate".into()));
    assert_eq!(told[1]["FileSizeBytes"], fs::metadata(&backup).expect("is there").len());
    assert!(told[1]["ElapsedSeconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told:?}");
    assert_eq!(told[0]["KeyFingerprint"], told[1]["KeyFingerprint"]);
    let key = data.key();
    assert!(told.iter().all(|event| !event.to_string().contains(&key)));

    let sent = data.command(&["backup", "--output", "-"]).output().expect("runs");
    assert!(sent.status.success() && !sent.stdout.is_empty());
    let told = last(data.root());
    assert_eq!(told["@i"], "BackupSent", "what was streamed has no name, and is not kept");
    assert_eq!(told.get("FileName"), None);

    data.moorline(&["verify", argument(&backup)]).succeeds();
    assert_eq!(events(data.root()).len(), 3, "only one in full is worth an event");
    data.moorline(&["verify", "--full"]).succeeds();
    assert_eq!(
        (last(data.root())["@i"].clone(), last(data.root())["FileName"].clone()),
        ("BackupVerified".into(), name.into())
    );
    data.moorline(&["verify", "--full", "--secret-key", KEY]).fails(12, &[]);
    assert_eq!(events(data.root()).len(), 4, "another key is no fault of the backup");
    let mut bytes = fs::read(&backup).expect("is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&backup, bytes).expect("writes");
    data.moorline(&["verify", "--full"]);
    let told = last(data.root());
    assert_eq!(
        (&told["@i"], &told["@l"], &told["FileName"]),
        (&"VerificationFailed".into(), &"Error".into(), &name.into())
    );
}

#[test]
fn retention_says_what_it_removed_and_a_failure_why() {
    let data = Data::with_state();
    for _ in 0..2 {
        let mut command = data.command(&["backup", "--scheduled"]);
        crate::fixture::Ran::of({
            command.env("MOORLINE_BACKUPS_TO_KEEP", "1");
            command
        })
        .succeeds();
    }
    let told = events(data.root());
    let removed = told.iter().find(|event| event["@i"] == "BackupRemoved").expect("one went");
    assert_eq!(
        (&removed["Keep"], removed["FileName"].as_str().is_some_and(|name| name.ends_with(".seqbac"))),
        (&1.into(), true)
    );
    assert_eq!(kinds(&told).iter().filter(|kind| **kind == "BackupComplete").count(), 2);
    data.moorline(&["backup", "--output", "/no/such/folder/backup"]);
    let told = last(data.root());
    assert_eq!((&told["@i"], &told["@l"]), (&"BackupFailed".into(), &"Error".into()));
    assert!(told["Error"].as_str().is_some_and(|error| error.contains("/no/such/folder")), "{told}");
}

#[test]
fn a_restore_its_failure_and_its_undoing_are_told() {
    let data = Data::with_state();
    let backup = data.backup();
    let restored = data.moorline(&["restore", "-y", "--from-latest", "--json"]).json();
    let told = last(data.root());
    assert_eq!((&told["@i"], &told["RestoreId"]), (&"RestoreApplied".into(), &restored["id"]));
    assert_eq!(told["FileName"], backup.file_name().and_then(|name| name.to_str()).expect("UTF-8"));
    let undone = data.moorline(&["rollback", "-y", "--json"]).json();
    let told = last(data.root());
    assert_eq!((&told["@i"], &told["RestoreId"]), (&"RestoreUndone".into(), &restored["id"]));
    assert_eq!(told["RollbackId"], undone["id"]);
    data.moorline(&["restore", "-y", "--backup", argument(&backup), "--secret-key", KEY]).fails(12, &[]);
    let told = last(data.root());
    assert_eq!((&told["@i"], told.to_string().contains(KEY)), (&"RestoreFailed".into(), false));
    data.moorline(&["rollback", "-y", "0123456789abcdef0123456789abcdef"]).fails(10, &[]);
    assert_eq!(last(data.root())["@i"], "RollbackFailed");
}

#[test]
fn scripts_are_told_and_a_start_with_nothing_to_do_tells_nothing() {
    let volume = TestVolume::in_use();
    volume.script("10-good.sh", "true");
    volume.run(["/bin/true"]).wait();
    let told = events(&volume.root());
    let ran = told.iter().find(|event| event["@i"] == "ScriptRan").expect("is told");
    assert_eq!(ran["Script"], "10-good.sh");
    let before = events(&volume.root()).len();
    volume.run(["/bin/true"]).wait();
    assert_eq!(events(&volume.root()).len(), before, "nothing happened");
    volume.script("20-bad.sh", format!("exit 7 # {KEY}"));
    volume.run(["/bin/true"]).wait();
    let told = last(&volume.root());
    assert_eq!(
        (&told["@i"], &told["Script"], &told["Error"]),
        (&"ScriptFailed".into(), &"20-bad.sh".into(), &"exited with 7".into())
    );
}

#[test]
fn the_end_of_a_server_that_is_looked_after_is_told() {
    let volume = TestVolume::in_use();
    let server = |line: &str| volume.moorline(["run", "--supervise", "--", "/bin/sh", "-c", line]);
    assert_eq!(server("exit 5").wait().code, 5);
    let told = last(&volume.root());
    assert_eq!((&told["@i"], &told["@l"], &told["ExitCode"]), (&"ServerExited".into(), &"Warning".into(), &5.into()));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let line = "trap 'exit 6' TERM INT; touch \"$MOORLINE_STORAGE/up\"; while :; do sleep 0.02; done";
        let mut container = server(line).start();
        container.until("it is up", || volume.has("up"));
        container.signal(signal);
        assert_eq!(container.wait().code, 6);
        let told = last(&volume.root());
        assert_eq!((&told["@i"], &told["ExitCode"]), (&"ServerStopped".into(), &6.into()), "{signal}");
        fs::remove_file(volume.path("up")).expect("is there");
    }
}

#[test]
fn processes_that_write_at_the_same_time_do_not_mix() {
    let data = Data::with_state();
    data.backup();
    let before = events(data.root()).len();
    let fail = || data.command(&["backup", "--output", "/no/such/folder/backup"]).stderr(Stdio::null()).spawn();
    let all: Vec<_> = (0..20).map(|_| fail().expect("starts")).collect();
    for mut child in all {
        assert!(!child.wait().expect("ends").success());
    }
    // Each line is read as JSON.
    let told = events(data.root());
    assert_eq!(told.len(), before + 20);
    assert!(told[before..].iter().all(|event| event["@i"] == "BackupFailed"), "{told:?}");
}
