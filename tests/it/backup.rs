//! Backups through the command line: made, named, read back, listed, looked into.

mod any_volume;
mod databases;
mod foreign;
mod nearly_full;
mod soundness;

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::fixture::{Data, KEY, Ran, argument, names};

#[test]
fn a_backup_prints_its_path_alone_and_leaves_nothing_else() {
    let data = Data::with_state();
    let out = data.moorline(&["backup"]).succeeds();
    let path = Path::new(out.trim_end());
    assert_eq!(out.lines().count(), 1);
    assert_eq!(path.parent(), Some(data.path("Backups").as_path()));
    let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
    assert!(
        name.starts_with("immediate-")
            && name.ends_with("Z.seqbac")
            && name.len() == "immediate-20260131T030000.000Z.seqbac".len()
    );
    assert_eq!(names(&data.path("Backups")), [name]);
    assert_eq!(names(&data.path(".moorline/spool")), Vec::<String>::new());
    assert_eq!(fs::metadata(path).expect("is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_answer_as_an_object_is_the_same_for_backup_and_list() {
    let data = Data::with_state();
    let made = data.moorline(&["backup", "--json"]).json();
    let fields: Vec<_> = made.as_object().expect("an object").keys().cloned().collect();
    let expected = [
        "file",
        "id",
        "created",
        "kind",
        "bytes",
        "verified",
        "key_fingerprint",
        "instance_id",
        "profile",
        "quarantined",
        "suspect",
        "soundness",
        "reasons",
    ];
    assert_eq!(fields, expected);
    assert_eq!((&made["kind"], &made["verified"]), (&"immediate".into(), &true.into()));
    assert!(made["created"].as_str().is_some_and(|time| time.ends_with('Z')));
    let listed = data.moorline(&["list", "--json"]).json();
    assert_eq!(listed["backups"], serde_json::json!([made]));
}

#[test]
fn nothing_to_back_up_is_an_error_and_a_volume_that_is_not_there_another() {
    let data = Data::empty();
    data.moorline(&["backup"]).fails(10, &["nothing to back up"]);
    assert_eq!(names(&data.path("Backups")), Vec::<String>::new());
    data.moorline(&["backup", "--storage", "/nonexistent"]).fails(10, &["/nonexistent", "--storage"]);
}

#[test]
fn a_backup_never_replaces_a_file_and_streams_to_a_pipe() {
    let data = Data::with_state();
    let elsewhere = Data::empty();
    let file = elsewhere.path("mine.seqbac");
    let out = data.moorline(&["backup", "--output", argument(&file)]).succeeds();
    assert_eq!(Path::new(out.trim_end()), file);
    let before = fs::read(&file).expect("reads");
    data.moorline(&["backup", "--output", argument(&file)]).fails(2, &["exists already"]);
    assert_eq!(fs::read(&file).expect("reads"), before);
    data.moorline(&["backup", "--output", argument(elsewhere.root())]).succeeds();
    assert_eq!(names(elsewhere.root()).len(), 2);
    let output = data.command(&["backup", "--output", "-"]).output().expect("starts");
    assert!(output.status.success());
    let piped = elsewhere.path("piped.seqbac");
    fs::write(&piped, output.stdout).expect("writes");
    data.moorline(&["verify", "--full", argument(&piped)]).succeeds();
}

#[test]
fn two_backups_at_once_are_refused() {
    let data = Data::with_state();
    let volume = volume::Volume::open(data.root()).expect("opens");
    volume.prepare().expect("writable");
    let lock = volume::BackupLock::take(&volume).expect("is free");
    data.moorline(&["backup"]).fails(75, &["another backup"]);
    drop(lock);
    data.moorline(&["backup"]).succeeds();
}

#[test]
fn a_damaged_database_is_backed_up_and_said_to_be() {
    let data = Data::with_state();
    data.database("big.db", "delete", &["x"; 2000]);
    let file = File::options().write(true).open(data.path("big.db")).expect("opens");
    file.write_at(&[0xFF; 1500], 8192).expect("damaged");
    let ran = data.moorline(&["backup", "--json"]);
    let json = ran.json();
    ran.fails(29, &["big.db", "fault"]);
    assert_eq!(json["verified"], false);
    let path = json["file"].as_str().expect("text").to_owned();
    data.moorline(&["verify", &path]).fails(29, &["big.db"]);
    // What was recorded when it was made is no reason to refuse it later, but to say it again.
    let restored = data.moorline(&["restore", "-y", "--from-latest"]);
    assert!(restored.stderr.contains("big.db had a fault when it was backed up"), "{restored:#?}");
    restored.succeeds();
    data.moorline(&["backup", "--no-check"]).succeeds();
}

#[test]
fn verify_finds_rot_and_says_which_file() {
    let data = Data::with_state();
    let (one, two) = (data.backup(), data.backup());
    let out = data.moorline(&["verify"]).succeeds();
    assert_eq!(out.lines().count(), 2);
    let file = File::options().read(true).write(true).open(&two).expect("opens");
    let at = fs::metadata(&two).expect("is there").len() / 2;
    let mut byte = [0];
    file.read_at(&mut byte, at).expect("reads");
    file.write_at(&[byte[0] ^ 4], at).expect("writes");
    let ran = data.moorline(&["verify", "--json"]);
    let json = ran.json();
    ran.fails(24, &[argument(&two)]);
    let verdicts: Vec<_> =
        json["backups"].as_array().expect("a list").iter().map(|one| one["verified"].clone()).collect();
    assert_eq!(verdicts.iter().filter(|one| **one == true).count(), 1);
    data.moorline(&["verify", argument(&one)]).succeeds();
    fs::write(&two, &fs::read(&one).expect("reads")[..500]).expect("writes");
    data.moorline(&["verify", argument(&two)]).fails(25, &[]);
    data.moorline(&["list"]).succeeds();
    fs::write(&two, "damaged").expect("writes");
    let ran = data.moorline(&["status"]);
    assert!(ran.stderr.contains(argument(&two)), "status says so too: {ran:#?}");
    ran.succeeds();
}

#[test]
fn inspect_needs_no_key_for_the_header_and_one_for_the_rest() {
    let data = Data::with_state();
    let backup = data.backup();
    let with_key = data.moorline(&["inspect", "--json", argument(&backup)]).json();
    assert_eq!(with_key["manifest"]["databases"][0]["path"], "app.db");
    assert_eq!(with_key["manifest"]["databases"][0]["journal_mode"], "wal");
    let members: Vec<_> =
        with_key["members"].as_array().expect("a list").iter().map(|one| one["path"].clone()).collect();
    assert!(members.contains(&"state/conf/deep/b.txt".into()), "{members:?}");
    let stranger = Data::empty();
    let without = stranger.moorline(&["inspect", "--json", argument(&backup)]).json();
    assert_eq!((&without["manifest"], &without["members"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    assert_eq!(without["id"], with_key["id"]);
    stranger.moorline(&["inspect", "--secret-key", KEY, argument(&backup)]).fails(12, &[]);
    let text = fs::read(&backup).expect("reads");
    assert!(!text.windows(6).any(|window| window == b"app.db"), "a name is visible without the key");
}

#[test]
fn members_are_extracted_into_a_folder_or_onto_stdout() {
    let data = Data::with_state();
    let backup = data.backup();
    let target = Data::empty();
    data.moorline(&["extract", argument(&backup), "--output", argument(target.root())]).succeeds();
    assert_eq!(target.read("state/conf/deep/b.txt"), "b");
    assert_eq!(target.rows("state/app.db"), ["one", "two", "three"]);
    let one = Data::empty();
    data.moorline(&["extract", argument(&backup), "conf", "-o", argument(one.root())]).succeeds();
    assert_eq!(names(&one.path("state")), ["conf"]);
    let out =
        data.moorline(&["extract", argument(&backup), "config.json", "state/conf/deep/b.txt", "-o", "-"]).succeeds();
    assert!(out == "{\"a\": 1}\nb" || out == "b{\"a\": 1}\n", "{out}");
    data.moorline(&["extract", argument(&backup), "nothing", "-o", "-"]).fails(10, &["nothing", "inspect"]);
    data.moorline(&["extract", argument(&backup), "../x", "-o", "-"]).fails(2, &[]);
}

#[test]
fn a_configured_key_is_used_and_another_one_later_is_refused() {
    let data = Data::with_state();
    let with_key = |key: &str, arguments: &[&str]| {
        let mut command = data.command(arguments);
        command.env("MOORLINE_SECRETKEY", key);
        Ran::of(command)
    };
    with_key(KEY, &["backup"]).succeeds();
    assert!(!data.path(".moorline/secret.key").exists());
    let other = data.moorline(&["show-key", "--generate"]).succeeds();
    with_key(&other, &["backup"]).fails(12, &["--accept-new-key"]);
    with_key(&other, &["backup", "--accept-new-key"]).succeeds();
    with_key(&other, &["backup"]).succeeds();
    let mut both = data.command(&["backup"]);
    both.env("MOORLINE_SECRETKEY", KEY).env("MOORLINE_SECRETKEY_FILE", "/x");
    Ran::of(both).fails(2, &["MOORLINE_SECRETKEY_FILE", "unset"]);
    let mut differ = data.command(&["backup"]);
    differ.env("MOORLINE_SECRETKEY", KEY).env("SEQ_STORAGE_SECRETKEY", other.trim_end());
    let ran = Ran::of(differ).fails(2, &["SEQ_STORAGE_SECRETKEY", "differ"]);
    assert!(!ran.stderr.contains(KEY));
}

#[test]
fn scheduled_backups_are_kept_as_many_as_told_and_only_when_due() {
    let data = Data::with_state();
    let immediate = data.backup();
    for _ in 0..4 {
        let mut command = data.command(&["backup", "--scheduled"]);
        command.env("MOORLINE_BACKUPS_TO_KEEP", "2");
        Ran::of(command).succeeds();
        // Names of one day differ by the second.
        thread::sleep(Duration::from_millis(1010));
    }
    let listed = data.moorline(&["list", "--json"]).json();
    let kinds: Vec<_> = listed["backups"].as_array().expect("a list").iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["scheduled", "scheduled", "immediate"]);
    assert!(immediate.exists());
    assert_eq!(data.moorline(&["backup", "--scheduled", "--if-older", "1d"]).succeeds(), "");
    assert_ne!(data.moorline(&["backup", "--scheduled", "--if-older", "1s"]).succeeds(), "");
    assert_eq!(Data::empty().moorline(&["backup", "--if-older", "1d"]).succeeds(), "");
}

#[test]
fn a_backup_that_is_stopped_or_killed_leaves_no_file_behind() {
    let data = Data::with_state();
    let mut big = File::create(data.path("big.bin")).expect("made");
    std::io::copy(&mut File::open("/dev/urandom").expect("opens").take(256 << 20), &mut big).expect("written");
    for (signal, code) in [(Signal::SIGTERM, Some(143)), (Signal::SIGKILL, None)] {
        let mut running =
            data.command(&["backup"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
        let begun = |data: &Data| names(&data.path("Backups")).iter().any(|name| name.ends_with(".tmp"));
        while !begun(&data) {
            thread::sleep(Duration::from_millis(1));
        }
        kill(Pid::from_raw(running.id().cast_signed()), signal).expect("is running");
        assert_eq!(running.wait().expect("ends").code(), code);
    }
    assert_eq!(names(&data.path("Backups")).len(), 1, "what kill -9 leaves");
    fs::remove_file(data.path("big.bin")).expect("removed");
    data.moorline(&["backup"]).succeeds();
    let left = names(&data.path("Backups"));
    assert!(left.len() == 1 && left[0].ends_with(".seqbac"), "{left:?}");
}

#[test]
fn a_backup_that_a_restore_came_in_between_is_not_kept() {
    let data = Data::empty();
    data.file("config.json", "older");
    data.backup();
    data.file("config.json", "newer");
    let mut big = File::create(data.path("big.bin")).expect("made");
    std::io::copy(&mut File::open("/dev/urandom").expect("opens").take(256 << 20), &mut big).expect("written");
    let mut running = data.command(&["backup"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("starts");
    let pid = Pid::from_raw(running.id().cast_signed());
    while !names(&data.path("Backups")).iter().any(|name| name.ends_with(".tmp")) {
        thread::sleep(Duration::from_millis(1));
    }
    kill(pid, Signal::SIGSTOP).expect("is running");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    kill(pid, Signal::SIGCONT).expect("is stopped");
    assert_eq!(running.wait().expect("ends").code(), Some(75));
    assert_eq!(names(&data.path("Backups")).len(), 1);
}

#[test]
fn nothing_is_backed_up_while_a_restore_is_unfinished() {
    let data = Data::with_state();
    data.backup();
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    let set = names(&data.path(".moorline/restores")).remove(0);
    let journal = format!(".moorline/restores/{set}/journal.json");
    data.file(&journal, &data.read(&journal).replace("\"done\"", "\"commit\""));
    data.moorline(&["backup"]).fails(75, &["unfinished", "next start"]);
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    data.moorline(&["backup"]).succeeds();
}

#[test]
fn sockets_are_left_out_and_named_and_a_pipe_never_blocks() {
    let data = Data::with_state();
    let _socket = std::os::unix::net::UnixListener::bind(data.path("server.sock")).expect("binds");
    nix::unistd::mkfifo(&data.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let backup = data.backup();
    let manifest = data.moorline(&["inspect", "--json", argument(&backup)]).json()["manifest"].clone();
    let notes: Vec<_> = manifest["notes"].as_array().expect("a list").iter().map(|note| note["path"].clone()).collect();
    assert_eq!(notes, ["pipe", "server.sock"]);
}

#[test]
fn thirty_of_thirty_backups_under_a_writer_restore_to_a_state_that_adds_up() {
    let (mut taken, mut wal) = (0, 0);
    for (mode, page_size) in
        [("wal", 512), ("wal", 4096), ("wal", 65536), ("delete", 1024), ("delete", 4096), ("delete", 16384)]
    {
        let data = Data::empty();
        let writer = Bank::on(&data, mode, page_size);
        for _ in 0..5 {
            let (backup, key) = (data.backup(), data.key());
            let copy = Data::empty();
            let arguments = ["restore", "-y", "--enable-apps", "--secret-key", &key, "--backup", argument(&backup)];
            copy.moorline(&arguments).succeeds();
            let restored = rusqlite::Connection::open(copy.path("bank.db")).expect("opens");
            let sum: i64 = restored.query_row("SELECT sum(money) FROM account", [], |row| row.get(0)).expect("sums");
            let check: String = restored.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checks");
            assert_eq!((sum, check.as_str()), (1_000_000, "ok"), "{mode} {page_size}");
            taken += 1;
            wal += usize::from(mode == "wal");
        }
        let report = writer.stop();
        assert!(report["commits"].as_u64().is_some_and(|commits| commits > 20), "{report}");
        if mode == "wal" {
            assert_eq!(report["busy"], 0, "a writer in WAL mode that waits for nothing was told to: {report}");
        }
    }
    assert_eq!((taken, wal), (30, 15));
}

/// A process that moves money between accounts as fast as it can, until it is stopped.
struct Bank(Child);

impl Bank {
    fn on(data: &Data, mode: &str, page_size: u32) -> Self {
        let connection = rusqlite::Connection::open(data.path("bank.db")).expect("opens");
        let set_up = format!(
            "PRAGMA page_size = {page_size}; PRAGMA journal_mode = {mode};
             CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER NOT NULL, pad BLOB);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO account SELECT i, 1000, randomblob(500) FROM n"
        );
        connection.execute_batch(&set_up).expect("a bank");
        drop(connection);
        let script = Path::new(env!("MOORLINE_REPOSITORY")).join("tests/servers/bank.py");
        let patience = if mode == "wal" { "0" } else { "60" };
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg(data.path("bank.db"))
            .args([mode, patience])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 runs");
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("it says that it is ready");
        assert_eq!(&ready, b"ready\n");
        Self(child)
    }

    /// What it did.
    fn stop(mut self) -> serde_json::Value {
        drop(self.0.stdin.take());
        let mut said = String::new();
        self.0.stdout.take().expect("piped").read_to_string(&mut said).expect("reads");
        assert!(self.0.wait().expect("ends").success());
        serde_json::from_str(&said).expect("an object")
    }
}
