//! The command line's words and codes, where `docs/cli.md` promises them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use crate::fixture::{Data, Ran, argument};

#[test]
fn a_backup_whose_name_is_no_text_is_shown_as_bytes() {
    let data = Data::with_state();
    let odd = data.path("Backups").join(OsStr::from_bytes(b"caf\xe9.seqbac"));
    fs::rename(data.backup(), &odd).expect("renamed");
    let is_odd = |file: &serde_json::Value| assert!(file["base64"].is_string(), "{file}");
    is_odd(&data.moorline(&["list", "--json"]).json()["backups"][0]["file"]);
    is_odd(&data.moorline(&["verify", "--json"]).json()["backups"][0]["file"]);
    is_odd(&data.moorline(&["status", "--json"]).json()["last_backup"]["file"]);
    is_odd(&data.moorline(&["restore", "--dry-run", "--from-latest", "--json"]).json()["backup"]);
    let restored = data.moorline(&["restore", "-y", "--from-latest", "--json"]);
    is_odd(&restored.json()["backup"]);
    restored.succeeds();
    fs::write(&odd, "damaged").expect("written");
    is_odd(&data.moorline(&["list", "--json"]).json()["skipped"][0]["file"]);
    let mut verify = data.command(&["verify", "--json"]);
    verify.arg(&odd);
    let verify = Ran::of(verify).fails(20, &[]);
    is_odd(&verify.json()["backups"][0]["file"]);
}

#[test]
fn a_backup_that_is_not_there_is_called_that_by_every_verb() {
    let data = Data::with_state();
    data.backup();
    for verb in [&["inspect"] as &[&str], &["verify"], &["extract", "-o", "-"], &["restore", "-y", "--enable-apps"]] {
        let mut command = data.command(verb);
        match verb[0] {
            "restore" => command.args(["--backup", "/nonexistent.seqbac"]),
            _ => command.arg("/nonexistent.seqbac"),
        };
        Ran::of(command).fails(10, &["/nonexistent.seqbac", "moorline list"]);
    }
}

#[test]
fn nothing_is_extracted_over_what_is_there_and_the_backup_is_not_blamed() {
    let data = Data::with_state();
    let backup = data.backup();
    let folder = data.path("Backups/out");
    let extract = |member: &str| data.moorline(&["extract", argument(&backup), member, "-o", argument(&folder)]);
    extract("config.json").succeeds();
    extract("conf/deep").succeeds();
    fs::write(folder.join("state/config.json"), "mine").expect("written");
    extract("config.json").fails(2, &["state/config.json exists already", "empty folder"]);
    extract("conf/deep").fails(2, &["exists already"]);
    assert_eq!(fs::read_to_string(folder.join("state/config.json")).expect("reads"), "mine");
}
