//! A disk, or a server of files, that fails to say whether something is there.
//!
//! Each `stat` of a restore, of a rollback and of a start that finishes one is answered with EIO, one at a time. Whatever
//! comes of it: exit 0 means that it is done; whoever starts next finds the one state or the other, whole; and nothing of
//! either is lost.

use std::{collections::BTreeMap, fs, path::Path, path::PathBuf, process::Command};

use super::{Point, before_each};
use crate::{
    console::state::{console, duplicate},
    fixture::{Data, Ran, argument, names},
    quarantine::bell::{APPS, Bell},
};

/// The calls that look at a path. A `?` is for those that a machine lacks.
const LOOKS: [&str; 4] = ["?stat", "?lstat", "newfstatat", "statx"];
const RESTORE: [&str; 3] = ["restore", "-y", "--from-latest"];
const ROLLBACK: [&str; 2] = ["rollback", "-y"];
const START: [&str; 4] = ["run", "--no-boot-backup", "--", "true"];

type State = BTreeMap<PathBuf, String>;

/// A volume with a newer state, and a backup of an older one.
struct Both {
    data: Data,
    older: State,
    newer: State,
}

impl Both {
    fn new() -> Self {
        let data = Data::with_state();
        data.file("only-in-older/x", "x");
        let older = data.state();
        data.backup();
        fs::remove_dir_all(data.path("only-in-older")).expect("removed");
        data.file("only-in-newer/x", "x");
        data.file("config.json", "newer");
        data.database("app.db", "wal", &["newer"]);
        let newer = data.state();
        Self { data, older, newer }
    }

    /// Has each look of a command fail on a volume of its own. How many there were.
    #[track_caller]
    fn each_look_fails(&self, start: &Data, arguments: &[&str], done: Option<&State>) -> u32 {
        let (before, sets) = (start.state(), sets(start));
        let failures = before_each(LOOKS.into_iter(), |point| {
            let data = duplicate(start);
            let (has_failed, ran) = fails_at(data.command(arguments), point);
            assert!(has_failed || ran.code == Some(0), "{point:?}: {ran:#?}");
            let nothing_happened = ran.code != Some(0) && self::sets(&data) == sets && data.state() == before;
            if has_failed && !(nothing_happened && done.is_some()) {
                self.must_be_whole(&data, point, &ran, done);
            }
            has_failed
        });
        println!("{failures} looks failed");
        failures
    }

    /// The next start finishes or undoes it; then the volume has one of the two states, and the way to the other.
    #[track_caller]
    fn must_be_whole(&self, data: &Data, point: &Point, ran: &Ran, done: Option<&State>) {
        if ran.stdout.contains("a server is up") {
            assert_eq!(data.state(), self.older, "{point:?}: {ran:#?}");
        }
        let start = data.moorline(&START);
        assert_eq!(start.code, Some(0), "{point:?}: {ran:#?} {start:#?}");
        let state = data.state();
        if let Some(done) = done.filter(|_| ran.code == Some(0)) {
            assert_eq!(state, *done, "{point:?}: exit 0 means that it is done: {ran:#?}");
        }
        let (way, other) = match state == self.older {
            true => (&ROLLBACK[..], &self.newer),
            false => (&RESTORE[..], &self.older),
        };
        assert!(state == self.older || state == self.newer, "{point:?}: neither state: {ran:#?} {state:#?}");
        data.moorline(way).succeeds();
        assert_eq!(data.state(), *other, "{point:?}: {ran:#?}");
    }
}

/// The restore sets, and how far each is.
fn sets(data: &Data) -> Vec<String> {
    let state = |name: &String| fs::read_to_string(data.path(&format!(".moorline/restores/{name}/journal.json")));
    names(&data.path(".moorline/restores")).iter().map(|name| format!("{name} {:?}", state(name).ok())).collect()
}

/// Whether a call failed there, and how it ended.
fn fails_at(plain: Command, Point { call, nth }: &Point) -> (bool, Ran) {
    let record = tempfile::NamedTempFile::new().expect("a file");
    let mut strace = Command::new("strace");
    strace.args(["-f", "--seccomp-bpf", "-o"]).arg(record.path()).args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:error=EIO:when={nth}")]);
    let ran = under(strace, &plain);
    (fs::read_to_string(record.path()).expect("strace's record").contains("(INJECTED)"), ran)
}

fn under(mut strace: Command, plain: &Command) -> Ran {
    strace.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    Ran::of(strace)
}

#[test]
fn a_restore_in_which_a_stat_fails_is_done_or_never_happened() {
    let both = Both::new();
    let failures = both.each_look_fails(&both.data, &RESTORE, Some(&both.older));
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

#[test]
fn a_rollback_in_which_a_stat_fails_loses_nothing() {
    let both = Both::new();
    let restored = duplicate(&both.data);
    restored.moorline(&RESTORE).succeeds();
    let failures = both.each_look_fails(&restored, &ROLLBACK, Some(&both.newer));
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

#[test]
fn a_start_that_finishes_a_restore_and_in_which_a_stat_fails_starts_no_server_on_half_of_it() {
    let both = Both::new();
    let cut_off = duplicate(&both.data);
    let record = tempfile::NamedTempFile::new().expect("a file");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(record.path()).args(["-e", "trace=renameat2"]);
    strace.args(["-e", "inject=renameat2:signal=SIGKILL:when=4"]);
    under(strace, &cut_off.command(&RESTORE));
    assert!(sets(&cut_off)[0].contains("commit"), "it was not killed between two moves");
    let server = ["run", "--no-boot-backup", "--", "/bin/sh", "-c", "echo a server is up"];
    let failures = both.each_look_fails(&cut_off, &server, None);
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

#[test]
fn a_copy_in_whose_restore_a_stat_fails_has_its_apps_off() {
    let original = Bell::with_state();
    let (backup, key) = (original.backup(), original.data.key());
    let restore = ["restore", "-y", "--secret-key", &key, "--backup", argument(&backup)];
    let target = Bell::with_state();
    let failures = before_each(LOOKS.into_iter(), |point| {
        let bell = target.duplicate();
        let (has_failed, ran) = fails_at(bell.command(&restore), point);
        assert!(has_failed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if ran.code != Some(0) && names(&bell.path(".moorline/restores")).is_empty() {
            assert!(!bell.has_memory(), "{point:?}: {ran:#?}");
            return has_failed;
        }
        bell.moorline(&START).succeeds();
        if ran.code == Some(0) || bell.has_memory() {
            assert_eq!((bell.off(), bell.fires().len()), (APPS.map(str::to_owned).to_vec(), 0), "{point:?}: {ran:#?}");
        } else {
            assert_eq!(bell.state(), target.state(), "{point:?}: {ran:#?}");
        }
        has_failed
    });
    println!("{failures} looks failed");
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

/// Runs moorline while every look at one path fails.
fn while_unseen(data: &Data, path: &Path, arguments: &[&str]) -> Ran {
    let record = tempfile::NamedTempFile::new().expect("a file");
    let mut strace = Command::new("strace");
    let calls = LOOKS.join(",");
    strace.args(["-f", "-o"]).arg(record.path()).arg("-P").arg(path).args(["-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:error=EIO")]);
    let ran = under(strace, &data.command(arguments));
    let record = fs::read_to_string(record.path()).expect("strace's record");
    assert!(record.contains("(INJECTED)"), "nobody looked at {}: {ran:#?}", path.display());
    ran
}

#[test]
fn a_storage_root_that_cannot_be_looked_at_is_not_missing() {
    let data = Data::with_state();
    data.backup();
    for verb in [&["list"][..], &["status"], &RESTORE, &START] {
        let ran = while_unseen(&data, data.root(), verb);
        assert!(!ran.stderr.contains("is not a directory"), "{ran:#?}");
        ran.fails(1, &["cannot access", "i/o error"]);
    }
}

#[test]
fn the_latest_backup_is_not_an_older_one_because_the_newest_cannot_be_read() {
    let data = Data::with_state();
    data.backup();
    data.file("config.json", "newer");
    let newest = data.backup();
    data.file("config.json", "now");
    let before = data.everything();
    let aside = data.path("Backups/newest.aside");
    fs::rename(&newest, &aside).expect("renamed");
    std::os::unix::fs::symlink("nothing.seqbac", &newest).expect("a link");
    data.moorline(&RESTORE)
        .fails(1, &["cannot determine the newest backup", "symbolic link to a file that does not exist"]);
    assert!(data.moorline(&["list"]).succeeds().lines().count() > 1, "the other is listed all the same");
    fs::remove_file(&newest).expect("removed");
    fs::rename(&aside, &newest).expect("renamed");
    assert_eq!(data.everything(), before);
    // It is there, and can be read: that it cannot be looked at first does not hide it.
    let ran = while_unseen(&data, &newest, &RESTORE);
    assert!(ran.code != Some(0) || data.read("config.json") == "newer", "{ran:#?}");
}

#[test]
fn a_script_that_is_done_does_not_run_again_because_its_mark_cannot_be_looked_at() {
    let data = Data::with_state();
    data.backup();
    data.file("Init/once.sh", "seqsvr show-key\n");
    data.file("Init/once.sh.done", "seqsvr show-key\n");
    data.moorline(&START).succeeds();
    let ran = while_unseen(&data, &data.path("Init/once.sh.done"), &START);
    assert!(!ran.stderr.contains("running init script"), "{ran:#?}");
    ran.fails(75, &["once.sh.done", "i/o error"]);
}

#[test]
fn a_backup_does_not_lack_the_consoles_database_because_that_cannot_be_looked_at() {
    let data = console();
    data.file("config.json", "{}");
    let ran = while_unseen(&data, &data.path(".moorline/metastore.db"), &["backup"]);
    let has_it = || data.moorline(&["inspect", "--json", ran.stdout.trim_end()]).succeeds().contains("metastore.db");
    assert!(ran.code != Some(0) || has_it(), "{ran:#?}");
}
