//! Restores: exact within the scope, whole or not at all, and taken back with one command.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    process::Command,
};

use rusqlite::Connection;

use crate::{
    fixture::{Data, KEY, Ran, argument, in_mount_namespace, names},
    support::quoted,
};

/// Changes a bit of everything that [`Data::with_state`] made.
fn damage(data: &Data) {
    data.database("app.db", "wal", &["damaged"]);
    data.file("config.json", "{}");
    data.file("new/file.txt", "not in the backup");
    data.database("other.db", "delete", &["not in the backup"]);
    fs::remove_dir_all(data.path("conf")).expect("removed");
}

#[test]
fn from_latest_brings_back_exactly_what_was_there_and_rollback_exactly_what_it_replaced() {
    let data = Data::with_state();
    let before = data.state();
    data.backup();
    damage(&data);
    let damaged = data.state();
    let out = data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert!(out.contains("moorline rollback"), "{out}");
    assert_eq!(data.state(), before);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), damaged);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.state(), before, "a rollback can be taken back");
}

#[test]
fn a_stale_wal_is_never_replayed_over_the_restored_database() {
    let data = Data::with_state();
    data.backup();
    // A server that is killed leaves its last transactions in the -wal.
    let killed = "import sqlite3, os, sys\nc = sqlite3.connect(sys.argv[1])\nc.execute('pragma wal_autocheckpoint=0')\n\
                  c.execute(\"insert into t (v) values ('in the wal')\")\nc.commit()\nos.kill(os.getpid(), 9)";
    let python = Command::new("python3").args(["-c", killed]).arg(data.path("app.db")).status().expect("python runs");
    assert!(!python.success());
    assert!(fs::metadata(data.path("app.db-wal")).expect("is there").len() > 0);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert!(!data.path("app.db-wal").exists());
    assert_eq!(data.rows("app.db"), ["one", "two", "three"]);
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.rows("app.db"), ["one", "two", "three", "in the wal"], "it comes back with its database");
}

#[test]
fn what_is_ignored_stays_where_it_is_and_all_around_it_is_exact() {
    let data = Data::with_state();
    data.file(".moorlineignore", "conf/cache/\n*.tmp\n");
    data.file("conf/cache/big", "before");
    data.backup();
    data.file("conf/cache/big", "after");
    data.file("conf/x.tmp", "mine");
    data.file("conf/new.txt", "not in the backup");
    data.file("conf/deep/b.txt", "changed");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.read("conf/cache/big"), "after");
    assert_eq!(data.read("conf/x.tmp"), "mine");
    assert_eq!(data.read("conf/deep/b.txt"), "b");
    assert!(!data.path("conf/new.txt").exists());
    data.moorline(&["rollback", "-y"]).succeeds();
    assert_eq!(data.read("conf/new.txt"), "not in the backup");
    assert_eq!(data.read("conf/deep/b.txt"), "changed");
    assert_eq!(data.read("conf/cache/big"), "after");
}

#[test]
fn an_empty_volume_takes_the_key_that_it_is_given_and_an_instance_of_its_own() {
    let original = Data::with_state();
    let backup = original.backup();
    let copy = Data::empty();
    let key = original.key();
    let ran = copy.moorline(&[
        "restore",
        "-y",
        "--enable-apps",
        "--json",
        "--secret-key",
        &key,
        "--backup",
        argument(&backup),
    ]);
    let json = ran.json();
    ran.succeeds();
    assert_eq!(json["key_adopted"], true);
    assert_eq!(copy.state(), original.state());
    assert_eq!(copy.key(), key);
    assert_eq!(fs::metadata(copy.path(".moorline/secret.key")).expect("is there").mode() & 0o777, 0o600);
    let instance = |data: &Data| data.moorline(&["backup", "--json"]).json()["instance_id"].clone();
    assert_ne!(instance(&copy), instance(&original), "never two volumes with one id");
    copy.file("config.json", "changed");
    copy.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(copy.state(), original.state());
}

#[test]
fn a_volume_with_a_key_keeps_it() {
    let (original, other) = (Data::with_state(), Data::with_state());
    let (backup, key, own) = (original.backup(), original.key(), other.key());
    other.moorline(&["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", argument(&backup)]).succeeds();
    assert_eq!(other.key(), own);
    let made = other.backup();
    other.moorline(&["verify", argument(&made)]).succeeds();
    other.moorline(&["verify", "--secret-key", &key, argument(&made)]).fails(12, &[]);
}

#[test]
fn a_key_can_come_from_a_file_and_a_configured_one_is_not_adopted() {
    let original = Data::with_state();
    let (backup, key) = (original.backup(), original.key());
    let copy = Data::empty();
    copy.file("../key-of-original", &format!("{key}\n"));
    let file = copy.path("../key-of-original");
    let mut command =
        copy.command(&["restore", "-y", "--enable-apps", "--backup", argument(&backup), "--secret-key-file"]);
    Ran::of(std::mem::replace(command.arg(&file).env("MOORLINE_SECRETKEY", KEY), Command::new("true"))).succeeds();
    fs::remove_file(file).expect("removed");
    assert!(!copy.path(".moorline/secret.key").exists());
    assert_eq!(copy.state(), original.state());
}

#[test]
fn a_wrong_key_is_called_one_with_both_fingerprints_before_anything_is_touched() {
    let data = Data::with_state();
    let backup = data.backup();
    let fingerprint = data.moorline(&["inspect", "--json", argument(&backup)]).json()["key_fingerprint"].clone();
    damage(&data);
    let before = data.everything();
    let ran = data.moorline(&["restore", "-y", "--enable-apps", "--secret-key", KEY, "--backup", argument(&backup)]);
    let ran = ran.fails(12, &[fingerprint.as_str().expect("text")]);
    assert!(!ran.stderr.contains(KEY));
    assert_eq!(data.everything(), before);
}

#[test]
fn a_copy_whose_apps_are_unknown_is_refused_and_nothing_changes() {
    let data = Data::with_state();
    let (backup, key) = (data.backup(), data.key());
    damage(&data);
    let before = data.everything();
    let arguments = ["restore", "-y", "--secret-key", &key, "--backup", argument(&backup)];
    data.moorline(&arguments).fails(13, &["apps", "--enable-apps"]);
    assert_eq!(data.everything(), before);
    let empty = Data::empty();
    empty.moorline(&arguments).fails(13, &["apps"]);
    assert!(empty.state().is_empty());
}

#[test]
fn without_a_yes_and_without_a_terminal_it_says_to_add_one() {
    let data = Data::with_state();
    data.backup();
    data.moorline(&["restore", "--from-latest"]).fails(11, &["pass -y"]);
    data.moorline(&["rollback"]).fails(11, &["pass -y"]);
    let ran = data.moorline(&["restore", "--from-latest", "--json"]).fails(11, &[]);
    assert_eq!(ran.json()["code"], "ConfirmationNeeded");
    assert_eq!(ran.json()["exit"], 11);
}

#[test]
fn the_latest_is_the_newest_of_this_instance_by_its_header() {
    let data = Data::with_state();
    data.file("config.json", "older");
    let older = data.backup();
    data.file("config.json", "newer");
    let newer = data.backup();
    // Neither names nor times of files count.
    fs::rename(&newer, data.path("Backups/aaa.seqbac")).expect("renamed");
    fs::rename(&older, data.path("Backups/zzz.seqbac")).expect("renamed");
    Command::new("touch").arg(data.path("Backups/zzz.seqbac")).status().expect("touched");
    let other = Data::with_state();
    other.file("config.json", "another instance's");
    fs::copy(other.backup(), data.path("Backups/foreign.seqbac")).expect("copied");
    data.file("config.json", "damaged");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.read("config.json"), "newer");
}

#[test]
fn a_newer_backup_without_a_readable_header_is_an_error_and_a_damaged_one_is_passed_over() {
    let data = Data::with_state();
    let older = data.backup();
    let newer = data.backup();
    let mut bytes = fs::read(&newer).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newer, &bytes).expect("writes");
    let ran = data.moorline(&["restore", "-y", "--from-latest"]);
    assert!(ran.stderr.contains(&format!("ignoring a newer backup: {}", newer.display())), "{ran:#?}");
    assert!(ran.succeeds().contains(argument(&older)));
    let restores = names(&data.path(".moorline/restores"));
    bytes[middle] ^= 1;
    bytes[20] ^= 1;
    fs::write(&newer, &bytes).expect("writes");
    data.moorline(&["restore", "-y", "--from-latest"]).fails(22, &[argument(&newer), "--backup"]);
    fs::write(&newer, "not a backup").expect("writes");
    data.moorline(&["restore", "-y", "--from-latest"]).fails(20, &["--backup"]);
    assert_eq!(names(&data.path(".moorline/restores")), restores);
}

#[test]
fn a_volume_that_never_made_a_backup_is_told_the_explicit_form() {
    let original = Data::with_state();
    let backup = original.backup();
    let data = Data::empty();
    fs::create_dir(data.path("Backups")).expect("made");
    fs::copy(backup, data.path("Backups/backup.seqbac")).expect("copied");
    let mut command = data.command(&["restore", "-y", "--from-latest"]);
    command.env("MOORLINE_SECRETKEY", original.key());
    Ran::of(command).fails(10, &["--backup=../Backups/"]);
    data.moorline(&["restore", "-y", "--enable-apps", "--backup=/nonexistent", "--secret-key", KEY])
        .fails(10, &["/nonexistent"]);
}

#[test]
fn a_running_server_is_named_and_nothing_is_restored_under_it() {
    let data = Data::with_state();
    data.backup();
    let server = Connection::open(data.path("app.db")).expect("opens");
    server.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).expect("reads");
    data.moorline(&["restore", "-y", "--from-latest"]).fails(75, &["app.db", "in use", "stop the server"]);
    drop(server);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
}

#[test]
fn a_restore_refuses_while_the_lock_is_held_and_names_the_holder() {
    let data = Data::with_state();
    data.backup();
    let volume = volume::Volume::open(data.root()).expect("opens");
    let lock = volume::Lock::take(&volume, "run", None).expect("is free");
    data.moorline(&["restore", "-y", "--from-latest"]).fails(75, &["in use by `run`", &std::process::id().to_string()]);
    data.moorline(&["rollback", "-y"]).fails(75, &["in use by `run`"]);
    data.moorline(&["restore", "--from-latest", "--dry-run"]).succeeds();
    drop(lock);
}

#[test]
fn a_dry_run_shows_rows_and_files_and_changes_nothing() {
    let data = Data::with_state();
    data.backup();
    damage(&data);
    let before = data.everything();
    let out = data.moorline(&["restore", "--from-latest", "--dry-run"]).succeeds();
    let line = |name: &str| out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {out}"));
    let words = |name: &str| line(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("app.db t"), ["app.db", "t", "rows", "2", "1", "0"]);
    assert!(line("other.db").contains("vanishes"));
    assert!(line("config.json").contains("changes"));
    assert!(line("new/file.txt").contains("moved aside"));
    assert!(line("conf/deep/b.txt").contains("appears"));
    let json = data.moorline(&["restore", "--from-latest", "--dry-run", "--json"]).json();
    assert_eq!(json["files"]["vanish"], serde_json::json!(["new/file.txt"]));
    assert_eq!(json["databases"][0]["path"], "app.db");
    assert_eq!(json["databases"][0]["change"]["changes"][0]["appear"], 2);
    let after: Vec<_> =
        data.everything().into_iter().filter(|(path, _)| !path.to_string_lossy().contains("-shm")).collect();
    let before: Vec<_> = before.into_iter().filter(|(path, _)| !path.to_string_lossy().contains("-shm")).collect();
    assert_eq!(after, before);
}

#[test]
fn an_error_in_the_middle_of_the_moves_is_reversed() {
    let data = Data::with_state();
    data.file("zzz.txt", "in the backup");
    data.backup();
    damage(&data);
    data.file("zzz.txt", "cannot be renamed");
    let before = data.state();
    let immutable = Command::new("chattr").arg("+i").arg(data.path("zzz.txt")).status().expect("chattr runs");
    assert!(immutable.success(), "this test needs a file system with immutable files");
    let ran = data.moorline(&["restore", "-y", "--from-latest"]);
    assert!(Command::new("chattr").arg("-i").arg(data.path("zzz.txt")).status().expect("chattr runs").success());
    ran.fails(1, &["was undone", "zzz.txt"]);
    assert_eq!(data.state(), before);
    let listed = data.moorline(&["rollback", "--list", "--json"]).json();
    assert_eq!(listed["restores"][0]["state"], "undone");
    let set = format!(".moorline/restores/{}", listed["restores"][0]["id"].as_str().expect("text"));
    assert!(!data.path(&set).join("stage").exists(), "attempts must not fill the disk");
    data.moorline(&["rollback", "-y"]).fails(10, &["--list"]);
}

#[test]
fn a_link_is_replaced_and_a_mount_stays_as_it_is() {
    let data = Data::with_state();
    data.backup();
    fs::remove_dir_all(data.path("conf")).expect("removed");
    data.file("elsewhere/deep/b.txt", "behind a link");
    std::os::unix::fs::symlink("elsewhere", data.path("conf")).expect("a link");
    // The link itself is replaced; nothing is ever written through it.
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert!(data.path("conf").symlink_metadata().expect("is there").is_dir());
    let script = r#"mount -t tmpfs none "$1/conf/deep"; echo x > "$1/conf/deep/b.txt"; exec "$2" restore -y --from-latest --storage "$1""#;
    let moorline = env!("MOORLINE_PROGRAM").as_ref();
    data.file("config.json", "changed");
    let before = data.read("conf/deep/b.txt");
    let ran = in_mount_namespace(script, &[data.root().as_os_str(), moorline]);
    assert!(ran.stderr.contains("conf/deep is a mount point of its own"), "{ran:#?}");
    ran.succeeds();
    assert_eq!(data.read("conf/deep/b.txt"), before);
    assert_eq!(data.read("config.json"), "{\"a\": 1}\n");
}

#[test]
fn a_full_disk_is_seen_before_anything_is_written() {
    let original = Data::with_state();
    original.file("big.bin", &"x".repeat(40 << 20));
    let (backup, key) = (original.backup(), original.key());
    let data = Data::empty();
    let script = r#"
        mount -t tmpfs -o size=30m none "$1"
        code=0; "$2" restore -y --enable-apps --secret-key "$3" --backup "$4" --storage "$1" || code=$?
        test -z "$(ls "$1/.moorline/restores")"; exit $code
    "#;
    let arguments = [data.root().as_os_str(), env!("MOORLINE_PROGRAM").as_ref(), key.as_ref(), backup.as_os_str()];
    in_mount_namespace(script, &arguments).fails(75, &["MiB"]);
}

#[test]
fn what_was_replaced_goes_after_a_verified_backup_once_it_is_old_or_when_told() {
    let data = Data::with_state();
    data.backup();
    damage(&data);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    let kept =
        |data: &Data| data.moorline(&["rollback", "--list", "--json"]).json()["restores"][0]["can_roll_back"].clone();
    data.backup();
    assert_eq!(kept(&data), true, "seven days");
    let mut command = data.command(&["backup"]);
    Ran::of(std::mem::replace(command.env("MOORLINE_KEEP_REPLACED", "0s"), Command::new("true"))).succeeds();
    assert_eq!(kept(&data), false);
    data.moorline(&["rollback", "-y"]).fails(10, &[]);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    let id = data.moorline(&["rollback", "--list", "--json"]).json()["restores"][0]["id"].clone();
    data.moorline(&["rollback", "-y", "--discard", id.as_str().expect("text")]).succeeds();
    assert_eq!(kept(&data), false);
    data.moorline(&["rollback", "-y", "--discard", &"0".repeat(32)]).fails(10, &["--list"]);
}

#[test]
fn owners_are_as_archived_unless_what_is_replaced_had_another_or_somebody_says() {
    let data = Data::with_state();
    for name in ["config.json", "app.db", "conf/deep/b.txt"] {
        chown(data.path(name), Some(1234), Some(1234)).expect("root");
    }
    data.backup();
    fs::remove_file(data.path("conf/deep/b.txt")).expect("removed");
    chown(data.path("config.json"), Some(4321), Some(4321)).expect("root");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    let owner = |name: &str| fs::metadata(data.path(name)).expect("is there").uid();
    assert_eq!((owner("config.json"), owner("app.db"), owner("conf/deep/b.txt")), (4321, 1234, 1234));
    data.moorline(&["restore", "-y", "--from-latest", "--owner", "7:8"]).succeeds();
    assert_eq!((owner("config.json"), owner("app.db")), (7, 7));
}

#[test]
fn a_backup_cannot_write_into_what_is_ours() {
    let data = Data::with_state();
    data.backup();
    let init = data.path("Init/keep.sh.done");
    fs::write(&init, "done").expect("written");
    data.file("lost+found/x", "of the file system");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert!(init.exists() && data.path("lost+found/x").exists());
}

#[test]
fn directories_that_cannot_be_written_and_odd_names_survive() {
    let data = Data::with_state();
    data.file("ro/inside", "read-only folder");
    data.file("with space/new\nline", "odd");
    fs::set_permissions(data.path("ro"), fs::Permissions::from_mode(0o500)).expect("changed");
    let before = data.state();
    data.backup();
    fs::set_permissions(data.path("ro"), fs::Permissions::from_mode(0o700)).expect("changed");
    data.file("ro/inside", "changed");
    fs::remove_dir_all(data.path("with space")).expect("removed");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    assert_eq!(data.state(), before);
}

#[test]
fn on_a_terminal_it_asks_and_only_yes_goes_on() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "damaged");
    let answer = |text: &str| {
        let line =
            format!("{} restore --from-latest --storage {}", quoted(env!("MOORLINE_PROGRAM")), quoted(data.root()));
        let mut command = Command::new("sh");
        // util-linux's script makes the terminal.
        command.args(["-c", &format!("printf '{text}\\n' | script -qec \"$0\" /dev/null"), &line]);
        Ran::of(command)
    };
    let refused = answer("n");
    assert!(refused.stdout.contains("[y/N]") && refused.stdout.contains("not confirmed"), "{refused:#?}");
    assert_eq!((refused.code, data.read("config.json").as_str()), (Some(11), "damaged"));
    let confirmed = answer("y");
    assert_eq!(confirmed.code, Some(0), "{confirmed:#?}");
    assert_eq!(data.read("config.json"), "{\"a\": 1}\n");
}

/// The calls that make things durable, in the order that they were made: (call, what it was called with).
fn durable_calls(data: &Data, arguments: &[&str]) -> Vec<String> {
    let trace = data.path("../trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=fsync,fdatasync,syncfs,rename,renameat,renameat2", "-o"]).arg(&trace);
    command.arg(env!("MOORLINE_PROGRAM")).args(arguments).arg("--storage").arg(data.root());
    Ran::of(command).succeeds();
    let text = fs::read_to_string(&trace).expect("a trace");
    fs::remove_file(trace).expect("removed");
    text.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start().to_owned()).collect()
}

#[test]
fn each_step_of_a_restore_is_on_the_disk_before_the_next() {
    let data = Data::with_state();
    data.backup();
    damage(&data);
    let calls = durable_calls(&data, &["restore", "-y", "--from-latest"]);
    let all = |wanted: &dyn Fn(&str) -> bool| -> Vec<usize> {
        calls.iter().enumerate().filter(|(_, call)| wanted(call)).map(|(at, _)| at).collect()
    };
    let renames_of = |text: &'static str| all(&move |call: &str| call.starts_with("rename") && call.contains(text));
    let journals = renames_of("/journal.json\"");
    let flushes = all(&|call: &str| call.starts_with("syncfs"));
    let moves: Vec<usize> = [renames_of("/stage/"), renames_of("/replaced/")].concat();
    let moves: Vec<usize> = moves.into_iter().filter(|at| !calls[*at].contains(".tmp\"")).collect();
    let (commit, done) = (journals[0], journals[1]);
    assert_eq!(journals.len(), 2, "{calls:#?}");
    assert!(flushes.iter().any(|at| *at < commit), "what is staged is flushed before it counts: {calls:#?}");
    let (first, last) = (moves.iter().min().expect("moves"), moves.iter().max().expect("moves"));
    assert!(commit < *first && *last < done, "nothing moves before the journal says so: {calls:#?}");
    let between = |from: usize, to: usize, call: &str| (from..to).any(|at| calls[at].starts_with(call));
    assert!(between(commit, *first, "fsync"), "the journal's name is flushed before the first move: {calls:#?}");
    assert!(between(*last, done, "syncfs"), "the moves are flushed before they are called done: {calls:#?}");
}

#[test]
fn a_backup_is_on_the_disk_before_it_has_its_name() {
    let data = Data::with_state();
    data.backup();
    let calls = durable_calls(&data, &["backup"]);
    let named =
        calls.iter().position(|call| call.starts_with("rename") && call.contains(".seqbac\", RENAME")).expect("named");
    let flushed = |call: &String| call.starts_with("fsync") && call.contains(".seqbac.");
    assert!(calls[..named].iter().any(flushed), "{calls:#?}");
    let folder = |call: &String| call.starts_with("fsync") && call.contains("/Backups>");
    assert!(calls[named..].iter().any(folder), "{calls:#?}");
}

#[test]
fn usage_errors_exit_2() {
    let data = Data::with_state();
    data.moorline(&["restore", "-y"]).fails(2, &[]);
    data.moorline(&["restore", "-y", "--from-latest", "--backup=x"]).fails(2, &[]);
    data.moorline(&["restore", "-y", "--backup=x", "--secret-key=short"]).fails(2, &["44 characters"]);
    data.moorline(&["restore", "-y", "--backup=x", "--secret-key=[redacted]"]).fails(2, &["redacted"]);
    data.moorline(&["restore", "-y", "--backup=x", "--owner=root"]).fails(2, &[]);
}

#[test]
fn a_copy_of_a_server_without_apps_needs_neither_a_profile_nor_a_flag() {
    let original = Data::with_state();
    let (backup, key) = (original.backup(), original.key());
    let copy = Data::empty();
    let words = ["restore", "-y", "--json", "--secret-key", &key, "--backup", argument(&backup)];
    copy.moorline(&words).fails(13, &["--profile none"]);
    let mut command = copy.command(&words);
    command.env("MOORLINE_PROFILE", "none");
    let ran = Ran::of(command);
    assert_eq!(ran.json()["apps"], "off", "{ran:#?}");
    ran.succeeds();
    assert_eq!(copy.state(), original.state());
    let mut start = copy.command(&["run", "--profile", "none", "--", "/bin/echo", "up"]);
    start.env("MOORLINE_NO_BOOT_BACKUP", "1");
    let ran = Ran::of(start);
    assert!(ran.stderr.contains("no profile and no apps") && ran.stdout == "up\n", "{ran:#?}");
}

#[test]
fn a_backup_and_its_key_are_verified_without_a_storage_root() {
    let original = Data::with_state();
    let (backup, key) = (original.backup(), original.key());
    let nowhere = original.path("nowhere");
    let words = ["verify", "--full", "--secret-key", &key, argument(&backup), "--storage", argument(&nowhere)];
    original.moorline(&words).succeeds();
    original.moorline(&["verify", "--storage", argument(&nowhere)]).fails(10, &["nowhere"]);
}
