//! A restore that was cut off: what else runs on the volume before the next start.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::fixture::{Data, KEY, Ran, argument, names};

/// Takes the journal of the only restore, and one of its moves, back to the middle.
fn cut_off(data: &Data, moved: &str) {
    let id = names(&data.path(".moorline/restores")).pop().expect("a restore");
    let set = data.path(".moorline/restores").join(id);
    let journal = fs::read_to_string(set.join("journal.json")).expect("readable");
    fs::write(set.join("journal.json"), journal.replace("\"state\": \"done\"", "\"state\": \"commit\"")).expect("ok");
    let staged = set.join("stage").join(moved);
    fs::create_dir_all(staged.parent().expect("has one")).expect("made");
    fs::rename(data.path(moved), staged).expect("moved back");
}

#[test]
fn no_server_finds_the_half_of_a_restore_that_was_killed_under_a_script() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "changed");
    // The script does not mind what became of its restore.
    data.file(
        "Init/restore.sh",
        "#!/bin/sh\nset -e\nseqsvr restore -y --from-latest\nset=$(echo \"$DATA_DIR\"/.moorline/restores/*)\n\
         mkdir -p \"$set/stage\"\nmv ../config.json \"$set/stage/\"\n\
         sed -i 's/\"state\": \"done\"/\"state\": \"commit\"/' \"$set/journal.json\"\n",
    );
    let config = data.path("config.json");
    let start = data.moorline(&["run", "--", "/bin/cat", argument(&config)]);
    assert!(start.stderr.contains("finished the interrupted restore"), "{start:#?}");
    assert_eq!(start.succeeds(), "{\"a\": 1}\n");
}

#[test]
fn a_key_that_an_unfinished_restore_brings_is_not_replaced_by_the_next_ones() {
    let (original, other) = (Data::with_state(), Data::with_state());
    let (backup, key) = (original.backup(), original.key());
    let (others_backup, others_key) = (other.backup(), other.key());
    let copy = Data::empty();
    let restore = |backup: &str, key: &str| {
        copy.moorline(&["restore", "-y", "--enable-apps", "--json", "--secret-key", key, "--backup", backup])
    };
    assert_eq!(restore(argument(&backup), &key).json()["key_adopted"], true);
    cut_off(&copy, ".moorline/secret.key");
    let second = restore(argument(&others_backup), &others_key);
    assert_eq!(second.json()["key_adopted"], false, "{second:#?}");
    assert_eq!(copy.key(), key);
}

#[test]
fn what_a_restore_would_change_is_not_told_of_half_a_state() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "changed");
    data.moorline(&["restore", "-y", "--from-latest"]).succeeds();
    cut_off(&data, "config.json");
    data.moorline(&["restore", "--dry-run", "--from-latest"]).fails(75, &["unfinished"]);
    let mut set_up = data.command(&["restore", "-y", "--enable-apps", "--backup=/nonexistent"]);
    set_up.env("MOORLINE_SECRETKEY", KEY).env("MOORLINE_ACCEPT_NEW_KEY", "true");
    Ran::of(set_up).fails(10, &[]);
    assert_eq!(data.read("config.json"), "{\"a\": 1}\n", "finished first");
}

/// Renamed into place, but not known to be flushed: with half of the stage gone it would have the next start move the
/// old state aside for nothing.
#[test]
fn a_journal_that_cannot_be_flushed_is_the_first_to_go() {
    let mut met = false;
    for flush in 1.. {
        let data = Data::with_state();
        data.backup();
        data.file("config.json", "changed");
        let before = data.state();
        let trace = data.path("Backups/trace");
        let mut restore = Command::new("strace");
        restore.args(["-qq", "-f", "-e", "trace=fsync,unlink,unlinkat,rmdir,rename,renameat2"]);
        restore.args(["-e", &format!("inject=fsync:error=EIO:when={flush}+"), "-o"]).arg(&trace);
        restore.arg(env!("MOORLINE_PROGRAM")).args(["restore", "-y", "--from-latest", "--storage"]);
        restore.arg(data.root());
        let restore = Ran::of(restore);
        let trace = fs::read_to_string(trace).expect("strace's record");
        if trace.contains("renameat2(") {
            assert!(restore.stderr.contains("the next start"), "{restore:#?}");
            break;
        }
        restore.fails(1, &["i/o error"]);
        let calls: Vec<_> = trace.lines().filter(|call| !call.contains("ENOENT")).collect();
        let renamed = |call: &&str| call.contains("rename(") && call.contains("/journal.json");
        if let Some(at) = calls.iter().position(renamed) {
            let removed = calls[at..].iter().find(|call| call.contains("unlink")).expect("it is cleaned up");
            assert!(removed.contains("journal.json"), "{trace}");
            met = true;
        }
        data.moorline(&["init"]).succeeds();
        assert_eq!(data.state(), before);
    }
    assert!(met, "strace did not fail what it should");
}

#[test]
fn a_backup_that_a_restore_was_cut_off_in_is_refused() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "changed");
    data.file("new/file.txt", "new");
    let noise = Command::new("head").args(["-c", "64M", "/dev/urandom"]).output().expect("runs").stdout;
    fs::write(data.path("dddd.bin"), noise).expect("written");
    let backup = data.command(&["backup"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let begun = |name: &String| {
        fs::metadata(data.path("Backups").join(name)).is_ok_and(|meta| name.ends_with(".tmp") && meta.len() > 1 << 20)
    };
    while !names(&data.path("Backups")).iter().any(begun) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // Held until the restore is cut off, because a fast disk finishes the backup first.
    let taking = nix::unistd::Pid::from_raw(backup.id() as i32);
    nix::sys::signal::kill(taking, nix::sys::signal::Signal::SIGSTOP).expect("is stopped");
    let mut restore = Command::new("strace");
    restore.args(["-qq", "-f", "-o", "/dev/null", "-e", "trace=renameat2"]);
    restore.args(["-e", "inject=renameat2:signal=SIGKILL:when=6", env!("MOORLINE_PROGRAM"), "--storage"]);
    restore.arg(data.root()).args(["restore", "-y", "--from-latest"]);
    assert!(!restore.output().expect("strace runs").status.success());
    nix::sys::signal::kill(taking, nix::sys::signal::Signal::SIGCONT).expect("goes on");
    let backup = Ran::from(backup.wait_with_output().expect("ends"));
    backup.fails(75, &["was restored while the backup was taken"]);
    data.moorline(&["backup"]).fails(75, &["unfinished"]);
    data.moorline(&["init"]).succeeds();
    assert_eq!(data.read("config.json"), "{\"a\": 1}\n");
}
