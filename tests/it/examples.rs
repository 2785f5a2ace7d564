//! The main job, with the scripts of `init-examples/` exactly as they stand but for the key: dropped into `Init/`,
//! the container restarted, the server up with the restored state.

use std::{ffi::OsString, fs, path::Path, process::Command};

use crate::{
    fixture::{Data, Ran},
    support::{MOORLINE, copy_programs},
};

/// An example, word for word.
fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("MOORLINE_REPOSITORY")).join("init-examples").join(name)).expect("an example")
}

/// A container whose server says that it is up.
fn start(data: &Data) -> Ran {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", MOORLINE, "--storage"]).arg(data.root());
    Ran::of(with_nothing_set(command, &["run", "--", "/bin/echo", "server is up"]))
}

/// The same in a root that holds the two programs and nothing else: no shell, no /proc, no server but moorline itself.
fn start_without_shell(data: &Data) -> Ran {
    let image = Data::empty();
    fs::create_dir(image.path("data")).expect("made");
    copy_programs(image.root());
    let script = r#"mount --bind "$1" "$2/data"; shift; exec chroot "$@""#;
    let mut command = Command::new("/usr/bin/unshare");
    command.args(["--pid", "--fork", "--mount", "/bin/sh", "-euc", script, "sh"]);
    command.arg(data.root()).arg(image.root()).arg("/moorline");
    Ran::of(with_nothing_set(command, &["run", "--", "/moorline", "--version"]))
}

fn with_nothing_set(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments).env_clear().env("PATH", OsString::from("/usr/bin:/bin:/usr/sbin:/sbin"));
    command
}

/// An empty volume, with a backup of another one and this script, its key filled in.
fn with_backup_and_script_of(original: &Data, script: &str) -> Data {
    let data = Data::empty();
    fs::create_dir(data.path("Backups")).expect("made");
    fs::copy(original.backup(), data.path("Backups/backup.seqbac")).expect("copied");
    data.file("Init/restore.sh", &script.replace("your-secret-key", &original.key()));
    data
}

/// The script is done, once, its key is gone from it, and the newest restore is the only one.
#[track_caller]
fn must_be_done(data: &Data, name: &str, key: &str, ran: &Ran) {
    assert!(!data.path("Init").join(name).exists(), "{ran:#?}");
    let done = data.read(&format!("Init/{name}.done"));
    assert!(!done.contains(key) && !data.read(&format!("Init/{name}.log")).contains(key), "{done}");
    assert!(!ran.stderr.contains(key) && !ran.stdout.contains(key));
    let restores = data.moorline(&["rollback", "--list", "--json"]).json();
    assert_eq!(restores["restores"].as_array().map(Vec::len), Some(1), "{restores}");
}

#[test]
fn quick_rollback_on_the_same_volume() {
    for start in [start, start_without_shell] {
        let data = Data::with_state();
        let before = data.state();
        data.backup();
        data.database("app.db", "wal", &["damaged"]);
        data.file("config.json", "damaged");
        data.file("Init/quick-rollback.sh", &example("quick-rollback.sh"));
        let ran = start(&data);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert!(ran.stdout.contains("server is up") || ran.stdout.contains("moorline 0"), "{ran:#?}");
        assert_eq!(data.state(), before);
        must_be_done(&data, "quick-rollback.sh", &data.key(), &ran);
        // The next start has nothing to do.
        data.file("config.json", "newer");
        start(&data).succeeds();
        assert_eq!(data.read("config.json"), "newer");
    }
}

#[test]
fn full_restore_on_an_empty_volume_and_on_one_with_state() {
    let original = Data::with_state();
    let script = example("full-restore.sh");
    for start in [start, start_without_shell] {
        let empty = with_backup_and_script_of(&original, &script);
        let ran = start(&empty);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(empty.state(), original.state());
        assert!(empty.read("Init/restore.sh.done").contains("--secret-key=\"[redacted]\""));
        must_be_done(&empty, "restore.sh", &original.key(), &ran);
        assert_eq!(empty.key(), original.key(), "it had none");

        let other = with_backup_and_script_of(&original, &script);
        other.file("mine.txt", "state of its own");
        let key = other.key();
        let ran = start(&other);
        assert_eq!(ran.code, Some(0), "{ran:#?}");
        assert_eq!(other.state(), original.state());
        must_be_done(&other, "restore.sh", &original.key(), &ran);
        assert_eq!(other.key(), key, "it keeps its own");
    }
}

#[test]
fn the_two_lines_work_with_neither_comments_nor_a_last_newline() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "damaged");
    data.file("Init/a", "seqsvr restore -y --from-latest");
    start(&data).succeeds();
    assert_eq!(data.read("config.json"), "{\"a\": 1}\n");
    let line = "seqsvr restore -y --enable-apps --secret-key=\"your-secret-key\" --backup=\"../Backups/backup.seqbac\"";
    assert!(example("full-restore.sh").contains(&format!("\n{line}\n")));
    assert!(example("quick-rollback.sh").contains("\nseqsvr restore -y --from-latest\n"));
    let empty = with_backup_and_script_of(&data, line);
    start(&empty).succeeds();
    assert_eq!(empty.state(), data.state());
}

#[test]
fn a_test_restore_is_refused_while_the_apps_are_unknown_and_no_empty_server_starts() {
    let original = Data::with_state();
    let script = example("full-restore.sh").replace(" --enable-apps", "");
    let empty = with_backup_and_script_of(&original, &script);
    for _ in 0..4 {
        let ran = start(&empty).fails(13, &["apps", "--enable-apps"]);
        assert!(!ran.stdout.contains("server is up"));
        assert!(empty.path("Init/restore.sh").exists(), "it is never set aside on an empty volume");
    }
    assert!(empty.state().is_empty());
    let other = with_backup_and_script_of(&original, &script);
    other.file("mine.txt", "state of its own");
    start(&other).fails(13, &["apps"]);
    assert!(other.path("Init/restore.sh.failed").exists());
    assert!(!other.read("Init/restore.sh.failed").contains(&original.key()));
    assert!(start(&other).succeeds().contains("server is up"), "the next start goes on without it");
    assert_eq!(other.read("mine.txt"), "state of its own");
}

#[test]
fn a_new_volume_is_provisioned_once() {
    let data = Data::empty();
    data.file("Init/provision.sh", &example("provision.sh"));
    assert!(start(&data).succeeds().contains("server is up"));
    assert_eq!(data.read("config.json"), "{ \"title\": \"made by provision.sh\" }\n");
    data.file("config.json", "mine");
    start(&data).succeeds();
    assert_eq!(data.read("config.json"), "mine");
}
