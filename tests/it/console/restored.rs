//! Backups and restores of it.

use std::fs;

use serde_json::json;
use volume::{Lock, Volume};

use super::state::{
    add_user_and_die, beside, console, fill, is_in_quarantine, location, on, own_key, password, sessions, users, with,
};
use crate::fixture::{Data, KEY, argument};

const OTHER: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

#[test]
fn a_copy_has_everything_and_its_apps_are_off_until_they_are_released() {
    let original = console();
    let backup = original.backup();
    let copy = Data::empty();
    own_key(&copy, OTHER);
    copy.moorline(&["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)]).succeeds();
    assert_eq!((users(&copy), on(&copy), sessions(&copy)), (vec!["ann".to_owned()], vec![], 0));
    assert_eq!(location(&copy), ["NULL"], "it would write where its original does");
    assert_eq!(password(&copy, OTHER).as_deref(), Some("hunter2"));
    assert!(is_in_quarantine(&copy));
    let listed = copy.moorline(&["apps", "--json"]).json();
    let ids: Vec<_> = listed["apps"].as_array().expect("a list").iter().map(|app| app["id"].clone()).collect();
    assert_eq!(ids, ["console apps appinstance-1", "console backup location BackupLocation"]);
    let released = copy.moorline(&["apps", "release", "--all", "--json"]).json();
    assert_eq!((&released["requested"], &released["left_off"]), (&json!(null), &json!([])));
    assert_eq!(on(&copy), ["appinstance-1"], "the one that had been off is off");
    assert_eq!(location(&copy), ["\"/mnt/originals\""]);
    assert!(!is_in_quarantine(&copy));
    assert_eq!((on(&original), sessions(&original)), (vec!["appinstance-1".to_owned()], 1));
}

#[test]
fn a_replacement_has_its_apps_on() {
    let original = console();
    let backup = original.backup();
    let new = Data::empty();
    let restore = ["restore", "-y", "--enable-apps", "--secret-key", KEY, "--backup", argument(&backup)];
    new.moorline(&restore).succeeds();
    assert_eq!((on(&new), location(&new)), (vec!["appinstance-1".to_owned()], vec!["\"/mnt/originals\"".to_owned()]));
    assert_eq!(password(&new, KEY).as_deref(), Some("hunter2"), "the volume took the key");
    assert_eq!(sessions(&new), 0);
    assert!(!is_in_quarantine(&new));
}

#[test]
fn it_goes_back_and_forth_with_what_was_only_in_its_log() {
    let data = console();
    data.database("app.db", "wal", &["older"]);
    data.backup();
    data.database("app.db", "wal", &["newer"]);
    add_user_and_die(&data, "newcomer");
    assert!(beside(&data).contains(&"metastore.db-wal".to_owned()));
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(beside(&data), [""; 0], "the old log would be replayed into the new database");
    assert_eq!((users(&data), data.rows("app.db")), (vec!["ann".to_owned()], vec!["older".to_owned()]));
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(users(&data), ["ann", "newcomer"]);
    assert_eq!((sessions(&data), data.rows("app.db")), (1, vec!["newer".to_owned()]));
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(users(&data), ["ann"]);
}

#[test]
fn what_the_backups_key_does_not_open_is_left_out_and_said() {
    let original = console();
    with(&original, |console| {
        console
            .execute("UPDATE secrets SET sealed = replace(sealed, 'sealed:v1:', 'sealed:v1:00')", [])
            .expect("spoilt")
    });
    let copy = Data::empty();
    let ran = copy.moorline(&["restore", "-y", "--secret-key", KEY, "--backup", argument(&original.backup())]);
    assert!(ran.stderr.contains("appinstances/appinstance-1/Password cannot be decrypted"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(password(&copy, KEY), None);
}

#[test]
fn a_volume_whose_key_cannot_be_had_is_left_alone() {
    let original = console();
    let backup = original.backup();
    let volume = console();
    fs::remove_file(volume.path(".moorline/secret.key")).expect("removed");
    let before = volume.everything();
    let mut restore = volume.command(&["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)]);
    restore.env("MOORLINE_SECRETKEY_FILE", "/nonexistent/key");
    crate::fixture::Ran::of(restore).fails(10, &["/nonexistent/key"]);
    assert_eq!(volume.everything(), before);
}

#[test]
fn a_backup_without_one_leaves_the_volumes_but_not_its_apps_on() {
    let server = Data::with_state();
    let backup = server.backup();
    let key = server.key();
    let volume = console();
    let beside = Data::empty();
    let none = beside.path("none.toml");
    fs::write(&none, "name = \"none\"\napps = \"none\"\n").expect("written");
    let restore = |more: &[&str]| {
        let fixed = ["restore", "-y", "--profile", argument(&none), "--profile-mismatch", "accept"];
        let named = ["--secret-key", &key, "--backup", argument(&backup)];
        volume.moorline(&[&fixed[..], &named, more].concat()).succeeds();
    };
    restore(&["--enable-apps"]);
    assert_eq!((on(&volume), sessions(&volume)), (vec!["appinstance-1".to_owned()], 1));
    restore(&[]);
    assert_eq!((on(&volume), sessions(&volume)), (vec![], 1), "it is the volume's own still");
    assert_eq!((users(&volume), password(&volume, KEY).as_deref()), (vec!["ann".to_owned()], Some("hunter2")));
    // What is remembered of its apps outlives the next restore.
    restore(&[]);
    assert!(is_in_quarantine(&volume));
    restore(&["--enable-apps"]);
    assert_eq!(on(&volume), ["appinstance-1"]);
    assert!(!is_in_quarantine(&volume));
    volume.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(on(&volume), [""; 0]);
    assert!(is_in_quarantine(&volume));
}

#[test]
fn the_consoles_apps_are_released_beside_a_server_and_the_servers_by_its_next_start() {
    let original = Data::empty();
    own_key(&original, KEY);
    fill(&original, KEY);
    original.database("app.db", "wal", &["on"]);
    let profile = "name = \"p\"\n[state]\nsqlite = [\"app.db\"]\n[[quarantine]]\nname = \"rows\"\nsqlite = \"app.db\"\n\
                   table = \"t\"\nwhere = \"v = 'on'\"\nset = { v = \"off\" }\n";
    original.file("p.toml", profile);
    let path = original.path("p.toml");
    let named = ["--profile", argument(&path)];
    let backup = original.moorline(&[&["backup"][..], &named].concat()).succeeds();
    let copy = Data::empty();
    let restore = ["restore", "-y", "--secret-key", KEY, "--backup", backup.trim_end()];
    copy.moorline(&[&restore[..], &named].concat()).succeeds();
    assert_eq!((on(&copy), copy.rows("app.db")), (vec![], vec!["off".to_owned()]));

    let volume = Volume::open(copy.root()).expect("opens");
    let server = Lock::take(&volume, "run", None).expect("free");
    let released = copy.moorline(&[&["apps", "release", "--all", "--json"][..], &named].concat()).json();
    assert_eq!(on(&copy), ["appinstance-1"], "{released:#}");
    assert_eq!(copy.rows("app.db"), ["off"]);
    assert_eq!(released["requested"]["all"], json!(true));
    assert!(released["because"].as_str().is_some_and(|because| because.contains("in use by `run`")), "{released:#}");
    assert_eq!(released["left_off"].as_array().map(Vec::len), Some(1));
    drop(server);
    copy.moorline(&["apps", "settle"]).succeeds();
    assert_eq!(copy.rows("app.db"), ["on"]);
    assert!(!is_in_quarantine(&copy));
}

/// Such as a `sqlite3` in a shell.
#[test]
fn whoever_else_reads_the_database_keeps_nothing_from_being_released() {
    let data = console();
    for holds_the_volume in [false, true] {
        for reading in ["SELECT 1 FROM users", "BEGIN; SELECT 1 FROM users"] {
            data.moorline(&["apps", "disable", "--all"]).succeeds();
            let reader = rusqlite::Connection::open(data.path(".moorline/metastore.db")).expect("opens");
            reader.execute_batch(reading).expect("reads");
            let volume = Volume::open(data.root()).expect("opens");
            let server = holds_the_volume.then(|| Lock::take(&volume, "run", None).expect("free"));
            data.moorline(&["apps", "release", "--all"]).succeeds();
            assert!(!is_in_quarantine(&data), "{reading}");
            drop((server, reader));
            assert_eq!((on(&data), location(&data)), (vec!["appinstance-1".into()], vec!["\"/mnt/originals\"".into()]));
            // While somebody reads, they can be switched off, too.
            let reader = rusqlite::Connection::open(data.path(".moorline/metastore.db")).expect("opens");
            reader.execute_batch(reading).expect("reads");
            data.moorline(&["apps", "disable", "--all"]).succeeds();
            drop(reader);
            assert_eq!((on(&data), location(&data)), (vec![], vec!["NULL".to_owned()]));
            data.moorline(&["apps", "release", "--all"]).succeeds();
        }
    }
}

#[test]
fn where_the_console_is_the_server_its_apps_are_known() {
    let data = console();
    let listed = data.moorline(&["apps", "--json"]).json();
    assert_eq!(listed["would_switch_off"][0]["apps"], json!(["console apps appinstance-1"]));
    data.moorline(&["apps", "disable", "--all"]).succeeds();
    assert_eq!((on(&data), location(&data)), (vec![], vec!["NULL".to_owned()]));
    // As in a backup of that, and in a copy made from it.
    let backup = data.backup();
    let copy = Data::empty();
    copy.moorline(&["restore", "-y", "--enable-apps", "--secret-key", KEY, "--backup", argument(&backup)]).succeeds();
    assert_eq!(on(&copy), ["appinstance-1"]);
    data.moorline(&["apps", "release", "console apps appinstance-1"]).succeeds();
    assert_eq!((on(&data), location(&data)), (vec!["appinstance-1".to_owned()], vec!["NULL".to_owned()]));
    // Every verb follows what the console says.
    data.moorline(&["apps", "release", "--all"]).succeeds();
    data.moorline(&["backup"]).fails(75, &["/mnt/originals", "does not exist"]);
}

#[test]
fn whose_server_has_apps_that_nobody_knows_is_no_copy_of_the_console_alone() {
    let original = console();
    original.file("config.json", "{}");
    let copy = Data::empty();
    let backup = original.backup();
    let restore = ["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)];
    copy.moorline(&restore).fails(13, &["no profile says which apps"]);
}

#[test]
fn it_is_a_member_like_any_other_to_whoever_looks() {
    let data = console();
    let backup = data.backup();
    let file = argument(&backup);
    data.moorline(&["verify", "--full", file]).succeeds();
    let inspected = data.moorline(&["inspect", "--json", file]).json();
    assert_eq!(inspected["manifest"]["databases"][0]["path"], json!(".moorline/metastore.db"));
    assert_eq!(inspected["members"][0]["path"], json!("moorline/metastore.db"));
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    data.moorline(&["extract", "-o", argument(folder.path()), file, ".moorline/metastore.db"]).succeeds();
    assert!(folder.path().join("moorline/metastore.db").is_file());
    with(&data, |console| console.execute("UPDATE users SET username = 'bea'", []).expect("changed"));
    let before = data.everything();
    let preview = data.moorline(&["restore", "--dry-run", "--from-latest", "--json"]).json();
    assert_eq!(preview["databases"][0]["path"], json!(".moorline/metastore.db"), "{preview:#}");
    let preview = data.moorline(&["restore", "--dry-run", "--json", "--backup", file]).json();
    assert_eq!(preview["switched_off"][0]["apps"], json!(["console apps appinstance-1"]), "{preview:#}");
    assert_eq!(data.everything(), before);
}
