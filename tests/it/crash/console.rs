//! kill -9 of a restore of it, and of a release.

use std::{fs, process::Command};

use super::{Point, before_each};
use crate::console::state::{add_user_and_die, console, duplicate, is_in_quarantine, on, users};
use crate::fixture::{Data, KEY, Ran, argument};

/// These change a database, besides those that change files.
const CHANGES: [&str; 12] = [
    "fsync",
    "fdatasync",
    "syncfs",
    "?rename",
    "renameat2",
    "?unlink",
    "unlinkat",
    "ftruncate",
    "pwrite64",
    "write",
    "?mkdir",
    "mkdirat",
];

/// Whether it was killed there, and how it ended.
fn killed_at(data: &Data, point: &Point, arguments: &[&str]) -> (bool, Ran) {
    let Point { call, nth } = point;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let record = folder.path().join("strace");
    let plain = data.command(arguments);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(&record).args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    strace.arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let ran = Ran::of(strace);
    (fs::read_to_string(record).expect("strace's record").contains("+++ killed by SIGKILL +++"), ran)
}

const SERVER: [&str; 4] = ["run", "--no-boot-backup", "--", "true"];

#[test]
fn it_is_the_old_one_or_the_silent_copy_whole() {
    let original = console();
    let backup = original.backup();
    let before = console();
    add_user_and_die(&before, "newcomer");
    let restore = ["restore", "-y", "--secret-key", KEY, "--backup", argument(&backup)];
    let mut finished = 0;
    let kills = before_each(CHANGES.into_iter(), |point| {
        let data = duplicate(&before);
        let (was_killed, ran) = killed_at(&data, point, &restore);
        assert!(was_killed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if !was_killed {
            return false;
        }
        data.moorline(&SERVER).succeeds();
        if is_in_quarantine(&data) {
            finished += 1;
            assert_eq!((users(&data), on(&data)), (vec!["ann".to_owned()], vec![]), "{point:?}");
            data.moorline(&["apps", "release", "--all"]).succeeds();
            assert_eq!(on(&data), ["appinstance-1"], "{point:?}");
            data.moorline(&["rollback", "-y"]).succeeds();
        }
        assert_eq!(users(&data), ["ann", "newcomer"], "{point:?}");
        assert_eq!(on(&data), ["appinstance-1"], "{point:?}");
        true
    });
    println!("killed before {kills} changes: {finished} finished, the others never happened");
    assert!(finished > 0 && finished < kills, "strace did not kill where it should");
}

#[test]
fn a_release_that_was_cut_off_is_released_by_asking_again() {
    let copy = console();
    copy.moorline(&["apps", "disable", "--all"]).succeeds();
    let kills = before_each(CHANGES.into_iter(), |point| {
        let data = duplicate(&copy);
        let volume = volume::Volume::open(data.root()).expect("opens");
        let server = volume::Lock::take(&volume, "run", None).expect("free");
        let (was_killed, ran) = killed_at(&data, point, &["apps", "release", "--all"]);
        assert!(was_killed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if is_in_quarantine(&data) {
            data.moorline(&["apps", "release", "--all"]).succeeds();
        }
        drop(server);
        assert_eq!(on(&data), ["appinstance-1"], "{point:?}");
        assert!(!is_in_quarantine(&data), "{point:?}");
        // Nobody would ask again: every verb finds its backups by this.
        assert!(data.read(".moorline/settings.json").contains("/mnt/originals"), "{point:?}");
        was_killed
    });
    assert!(kills > 5, "strace did not kill where it should: {kills}");
}
