//! The log on stderr, in words or as objects; and progress for a program.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;

use crate::{
    fixture::{Data, KEY, Ran},
    support::{MOORLINE, TestVolume, is_stamp, quoted, without_times},
};

/// Each line as an object that has what CLEF asks for.
fn objects(log: &str) -> Vec<Value> {
    let object =
        |line| serde_json::from_str::<Value>(line).unwrap_or_else(|cause| panic!("{cause}: {line}\nin\n{log}"));
    let objects: Vec<Value> = log.lines().map(object).collect();
    for object in &objects {
        assert!(object["@t"].as_str().is_some_and(|time| time.parse::<jiff::Timestamp>().is_ok()), "{object}");
        assert!(object["@m"].is_string() || object["@mt"].is_string(), "{object}");
    }
    objects
}

fn with_format(data: &Data, format: &str, arguments: &[&str]) -> Ran {
    let mut command = data.command(arguments);
    command.env("MOORLINE_LOG_FORMAT", format);
    Ran::of(command)
}

#[test]
fn each_line_is_an_object_and_events_are_lines_of_their_own() {
    let data = Data::with_state();
    let ran = data.moorline(&["backup", "--log-format", "clef"]);
    let lines = objects(&ran.stderr);
    let has =
        |name: &str, text: &str| lines.iter().any(|line| line[name].as_str().is_some_and(|said| said.contains(text)));
    assert!(
        has("@i", "BackupComplete") && has("@i", "SecretKeyNotBackedUp") && has("@m", "backup complete"),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line["@l"] == "Warning") && lines.iter().any(|line| line["@l"] == "Information"));
    assert!(ran.succeeds().trim_end().ends_with(".seqbac"), "the answer is as ever");
    let quiet = with_format(&data, "clef", &["backup"]).stderr;
    assert_eq!(objects(&quiet).len(), 2, "{quiet}");
    let words = data.moorline(&["backup"]).stderr;
    assert_eq!(words.lines().filter(|line| line.starts_with("moorline: backup complete")).count(), 1, "{words}");
    assert!(!words.contains('{'), "{words}");
    // A level is one for events too.
    let mut errors_only = data.command(&["backup", "--log-format=clef"]);
    errors_only.env("MOORLINE_LOG", "error");
    assert_eq!(Ran::of(errors_only).stderr, "");
}

#[test]
fn a_failure_is_one_object() {
    let data = Data::with_state();
    let failed = data.moorline(&["inspect", "/nonexistent.seqbac", "--log-format", "clef"]).fails(10, &[]);
    let [object] = &objects(&failed.stderr)[..] else { panic!("{failed:#?}") };
    assert_eq!((&object["@l"], &object["Code"], &object["Exit"]), (&"Error".into(), &"NotFound".into(), &10.into()));
    assert!(object["Hint"].as_str().is_some_and(|hint| hint.contains("moorline list")), "{object}");
    let usage = with_format(&data, "clef", &["restore", KEY]).fails(2, &[]);
    let [object] = &objects(&usage.stderr)[..] else { panic!("{usage:#?}") };
    assert_eq!((&object["Exit"], object.to_string().contains(KEY)), (&2.into(), false));
    with_format(&data, "xml", &["list"]).fails(2, &["xml", "clef"]);
    data.moorline(&["list", "--log-format", "xml"]).fails(2, &["xml", "clef"]);
}

#[test]
fn children_of_a_start_write_it_too() {
    let volume = TestVolume::in_use();
    for flag in [true, false] {
        volume.script("10-backup.sh", "seqsvr backup");
        let start = match flag {
            true => volume.moorline(["--log-format", "clef", "run", "--", "/bin/true"]),
            false => volume.run(["/bin/true"]).env("MOORLINE_LOG_FORMAT", "clef"),
        };
        let end = start.wait();
        let lines: Vec<&str> = end.err.lines().filter(|line| !line.starts_with('/')).collect();
        let lines = objects(&lines.join("\n"));
        assert!(lines.iter().any(|line| line["@i"] == "BackupComplete"), "{end}");
        assert!(lines.iter().any(|line| line["@i"] == "ScriptRan"), "{end}");
        fs::remove_file(volume.path("Init/10-backup.sh.done")).expect("it is done");
    }
    let bare = volume.moorline(["--log-format", "clef", "/bin/echo", "up"]).wait();
    assert_eq!((bare.code, bare.out.as_str()), (0, "up\n"), "{bare}");
}

#[test]
fn each_line_of_moorline_in_a_containers_log_has_a_time_stamp() {
    let volume = TestVolume::in_use().settle();
    volume.script("10-backup.sh", "seqsvr backup");
    volume.script("20-shell.sh", "set -e\nseqsvr restore -y --from-latest\nseqsvr rollback -y\necho not ours");
    volume.script("30-typing-error.sh", "seqsvr restore --from-newest");
    let before = jiff::Timestamp::now().as_second();
    let end = volume.run(["/bin/true"]).wait();
    assert_eq!(end.code, 2, "{end}");
    let log = without_times(&end.err);
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with("moorline: ")).collect();
    let [backup, "not ours"] = lines[..] else { panic!("{lines:?} in\n{end}") };
    assert!(backup.ends_with(".seqbac"), "{end}");
    for ours in ["version ", "backup complete", "restored ", "undid restore ", "error: unexpected argument", "hint: "] {
        assert!(log.contains(&format!("\nmoorline: {ours}")) || log.starts_with("moorline: version"), "{ours}: {end}");
    }
    let times = end.err.lines().filter_map(|line| line.split_once(" moorline: ")?.0.parse::<jiff::Timestamp>().ok());
    let times: Vec<i64> = times.map(jiff::Timestamp::as_second).collect();
    assert!(times.is_sorted() && times[0] >= before && times[0] < before + 600, "{times:?}");
    // The log of a script that fails has moorline's lines, too.
    assert!(volume.read("Init/30-typing-error.sh.log").lines().all(|line| is_stamp(&line[..21])), "{end}");
}

#[test]
fn plain_lines_have_no_time_stamp_and_a_person_gets_none() {
    let volume = TestVolume::in_use().settle();
    volume.script("10-backup.sh", "seqsvr backup");
    let is_plain = |log: &str| log.lines().all(|line| line.starts_with("moorline: ") || line.starts_with('/'));
    let end = volume.run(["/bin/true"]).env("MOORLINE_LOG_FORMAT", "plain").wait();
    assert!(end.code == 0 && is_plain(&end.err) && end.err.contains("backup complete"), "{end}");
    for (arguments, text) in [(&["verify", "no.seqbac"][..], "hint: "), (&["health", "extra"], "error: ")] {
        let end = volume.moorline(arguments).wait();
        assert!(end.code != 0 && end.err.contains(text) && is_plain(&end.err), "{end}");
        let end = volume.moorline(arguments).env("MOORLINE_LOG_FORMAT", "text").wait();
        assert!(without_times(&end.err).contains(text), "a format that is chosen holds everywhere: {end}");
    }
    let shell = volume.moorline(["shell", "-c", "moorline verify no.seqbac"]).wait();
    assert!(shell.err.contains("hint: ") && is_plain(&shell.err), "{shell}");
}

#[test]
fn progress_is_told_to_whoever_asks_and_to_no_child() {
    let data = Data::with_state();
    let (told, seen) = (data.path("Backups/told"), data.path("Backups/seen"));
    fs::create_dir_all(data.path("Backups")).expect("a folder");
    let provider = data.path("Backups/provider");
    let text = format!("#!/bin/sh\nenv | grep PROGRESS > {0}; ls /proc/self/fd >> {0}; echo {KEY}\n", quoted(&seen));
    fs::write(&provider, text).expect("writes");
    fs::set_permissions(&provider, fs::Permissions::from_mode(0o755)).expect("changes");
    let line = format!("exec 9> {}; MOORLINE_PROGRESS_FD=9 exec \"$0\" backup", quoted(&told));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &line, env!("MOORLINE_PROGRAM")]).env("MOORLINE_STORAGE", data.root());
    command.env("MOORLINE_SECRETKEY_PROVIDER", &provider);
    Ran::of(command).succeeds();
    let lines: Vec<Value> = fs::read_to_string(&told)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    let (first, last) = (lines.first().expect("one"), lines.last().expect("one"));
    assert!(first["what"].is_string() && first["done"] == 0 && first["total"].is_u64(), "{lines:?}");
    assert!(last["done"].as_u64().is_some_and(|done| done > 0), "{lines:?}");
    assert!(
        !fs::read_to_string(&seen).expect("it was asked").lines().any(|line| line == "9" || line.contains("PROGRESS"))
    );
    for nonsense in ["2", "77", "x", "-1"] {
        let mut command = data.command(&["list"]);
        command.env("MOORLINE_PROGRESS_FD", nonsense);
        Ran::of(command).succeeds();
    }
}

#[test]
fn a_backup_of_another_container_writes_nothing_into_a_log_of_its_own_pid_1() {
    let volume = TestVolume::in_use();
    let mut server = volume.run(["/bin/sleep", "60"]).env("MOORLINE_SECRETKEY", KEY).start();
    let lock = volume.path(".moorline/lock");
    server.until("the server runs", || fs::read_to_string(&lock).unwrap_or_default().contains("\"server\":\""));
    // Process 1 has another log than the backup, and is not moorline.
    let [log, backup] = ["log", "b.seqbac"].map(|name| volume.beside(name));
    let script = format!(
        "exec 2> {log}; {moorline} --storage {root} backup -o {backup} 2>&1; exit",
        log = quoted(&log),
        moorline = quoted(MOORLINE),
        root = quoted(volume.root()),
        backup = quoted(&backup)
    );
    let mut sidecar = Command::new("unshare");
    sidecar.args(["--pid", "--fork", "--mount-proc", "/bin/sh", "-c", &script]).env("MOORLINE_SECRETKEY", KEY);
    let ran = Ran::of(sidecar);
    assert!(ran.stdout.contains("backup complete"), "{ran:#?}");
    assert_eq!(fs::read_to_string(&log).expect("a log"), "");
    server.signal(nix::sys::signal::Signal::SIGKILL);
    server.wait();
}
