//! The command line's words and codes, where `docs/cli.md` promises them.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

use crate::fixture::{Data, KEY, Ran, argument, in_mount_namespace};

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

#[test]
fn a_key_in_the_wrong_place_is_not_in_the_words_about_it() {
    let data = Data::with_state();
    data.backup();
    let (misspelt, path) = (format!("secret-key={KEY}"), format!("/run/{KEY}"));
    let restore = ["restore", "-y", "--from-latest", "--json"];
    for wrong in [
        &[&restore as &[&str], &[&misspelt]].concat() as &[&str],
        &[&restore as &[&str], &["--owner", KEY]].concat(),
        &[&restore as &[&str], &[KEY]].concat(),
        &["restore", "-y", "--json", "--backup", &path],
        &["inspect", "--json", KEY],
        &[KEY],
    ] {
        let ran = data.moorline(wrong);
        assert!(ran.code != Some(0) && !ran.stderr.contains(KEY) && !ran.stdout.contains(KEY), "{wrong:?}: {ran:#?}");
        assert!(ran.stderr.contains("[redacted]"), "{ran:#?}");
    }
}

#[test]
fn a_link_under_the_name_of_the_unfinished_backup_is_not_followed() {
    let data = Data::with_state();
    data.file("Backups/precious", "not ours");
    let shell = "ln -s precious \".out.seqbac.$$.tmp\"; exec \"$0\" backup --output out.seqbac --storage ..";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", shell, env!("MOORLINE_PROGRAM")]).current_dir(data.path("Backups"));
    Ran::of(command).succeeds();
    assert_eq!(data.read("Backups/precious"), "not ours");
    assert!(!data.path("Backups/out.seqbac").symlink_metadata().expect("is there").is_symlink());
}

#[test]
fn state_in_the_image_itself_is_named_as_what_cannot_be_moved() {
    let data = Data::with_state();
    data.backup();
    data.file("conf/deep/b.txt", "changed");
    let before = data.state();
    let script = r#"
        layers=$(mktemp -d); mount -t tmpfs none "$layers"; mkdir "$layers/up" "$layers/work"
        mount -t overlay -o "lowerdir=$1,upperdir=$layers/up,workdir=$layers/work,redirect_dir=off" none "$1"
        exec "$2" restore -y --from-latest --storage "$1"
    "#;
    let moorline = env!("MOORLINE_PROGRAM").as_ref();
    in_mount_namespace(script, &[data.root().as_os_str(), moorline]).fails(1, &["was undone", "/conf", "volume"]);
    assert_eq!(data.state(), before);
}

#[test]
fn a_bare_name_is_a_file_in_the_working_directory() {
    let data = Data::with_state();
    let mut command = data.command(&["backup", "--output", "out.seqbac"]);
    command.current_dir(data.path("conf"));
    assert_eq!(Ran::of(command).succeeds(), "out.seqbac\n");
    data.moorline(&["verify", argument(&data.path("conf/out.seqbac"))]).succeeds();
}
