//! The weekly verification, and what a backup that it finds damaged looks like.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::client::Console;
use crate::{events::events, support::TestVolume};

/// The last verification, long ago: another one is due.
const LONG_AGO: &str = r#"{"at": "2020-01-01T00:00:00Z", "failed": {}}"#;

/// Takes a backup with the command line; its path.
fn back_up(volume: &TestVolume, more: &[&str]) -> String {
    let taken = volume.moorline([&["backup"], more].concat()).not_pid_1().wait();
    assert_eq!(taken.code, 0, "{taken}");
    taken.out.trim().to_owned()
}

/// Flips a bit of this file.
fn rot(file: &str, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(file).expect("reads");
    let header = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize;
    bytes[at(header)] ^= 1;
    fs::write(file, bytes).expect("writes");
}

fn name(file: &str) -> &str {
    Path::new(file).file_name().and_then(|name| name.to_str()).expect("UTF-8")
}

#[test]
fn rot_in_the_first_segment_and_in_the_header_is_found_and_reported() {
    let volume = TestVolume::in_use();
    back_up(&volume, &["--scheduled"]);
    let (first_segment, in_header) = (back_up(&volume, &[]), back_up(&volume, &[]));
    rot(&first_segment, |header| header + 60);
    // The checksum of the header, which is its end.
    rot(&in_header, |header| header - 1);
    volume.write("Backups/somebody_20200101.seqbac", "not a backup");
    volume.write(".moorline/verified.json", LONG_AGO);

    let (mut console, admin) = Console::with_administrator(&volume);
    let verifications = || serde_json::from_str::<Value>(&volume.read(".moorline/verified.json")).expect("is JSON");
    console.running.until("all is verified", || verifications()["at"] != "2020-01-01T00:00:00Z");
    let failed = verifications()["failed"].as_object().expect("an object").clone();
    assert_eq!(failed.len(), 1, "{failed:?}");
    let mut told: Vec<String> = events(&volume.root())
        .iter()
        .filter(|event| event["@i"] == "VerificationFailed")
        .map(|event| event["FileName"].as_str().expect("a name").to_owned())
        .collect();
    told.sort();
    let mut damaged = [name(&first_segment), name(&in_header)];
    damaged.sort_unstable();
    assert_eq!(told, damaged);
    let health = console.ask("GET", "/health").by(&admin).send();
    assert_eq!(health.status, 503, "{health}");
    let text = health.text();
    assert!(text.contains("2 kept backups are damaged"), "{health}");
    assert!(text.contains("1 file has the name of a backup"), "the file of somebody else is not damaged: {health}");
}

#[test]
fn an_uploaded_scheduled_backup_survives_retention() {
    let volume = TestVolume::in_use();
    let scheduled = || {
        let taken = volume.moorline(["backup", "--scheduled"]).not_pid_1().env("MOORLINE_BACKUPS_TO_KEEP", "2").wait();
        assert_eq!(taken.code, 0, "{taken}");
        taken.out.trim().to_owned()
    };
    let oldest = scheduled();
    let whole = fs::read(&oldest).expect("reads");
    let second = scheduled();
    fs::remove_file(&oldest).expect("removes");
    let (console, admin) = Console::with_administrator(&volume);
    let upload = console.ask("POST", "/api/backups").by(&admin).header("Content-Type", "application/octet-stream");
    let uploaded = upload.body(whole).send().is(201).value();
    assert_eq!(uploaded["IsOwnInstance"], json!(true));
    let uploaded = volume.path("Backups").join(uploaded["Filename"].as_str().expect("a name"));
    assert_eq!(console.stop().code, 0);

    let third = scheduled();
    assert!(uploaded.exists(), "retention removed the upload");
    let fourth = scheduled();
    assert!(uploaded.exists(), "retention removed the upload");
    let kept = [&second, &third, &fourth].map(|file| Path::new(file).exists());
    assert_eq!(kept, [false, true, true], "the upload is not one of the two that are kept");
}
