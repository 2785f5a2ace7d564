//! What is state, what is left out, and why.

use engine::store::Matcher;
use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
};

use engine::store::survey::{self, holds_state};
use nix::{sys::stat::Mode, unistd::mkfifo};
use profile::{PathKind, Scope};

use super::support::{Volume, as_nobody};

const BACKUP: &[u8] = b"\x89SBC\r\n\x1a\nand so on";

fn databases(volume: &Volume) -> Vec<String> {
    volume.survey().databases.iter().map(|found| found.path.to_string()).collect()
}

fn files(volume: &Volume) -> Vec<String> {
    volume.survey().files.iter().map(|found| found.path.to_string()).collect()
}

fn scope(sqlite: &[&str], files: &[&str], exclude: &[&str]) -> Scope {
    let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Scope { sqlite: strings(sqlite), files: strings(files), exclude: strings(exclude), ..Scope::default() }
}

#[test]
fn databases_are_told_by_their_header_and_their_sidecars_are_left_to_sqlite() {
    let volume = Volume::new();
    let _open = volume.bank("grafana.data", "wal", 4096, 10);
    let _persisted = volume.bank("old", "persist", 4096, 10);
    volume.write("x.db", "not a database, whatever it is called");
    volume.write("x.db-wal", "and so not a sidecar");
    volume.write("orphan-journal", "of nothing");
    volume.write("short.db", "SQLite format 3\0");
    assert!(volume.path("grafana.data-shm").exists() && volume.path("old-journal").exists());
    assert_eq!(databases(&volume), ["grafana.data", "old"]);
    assert_eq!(files(&volume), ["orphan-journal", "short.db", "x.db", "x.db-wal"]);
}

#[test]
fn the_sidecars_of_a_database_that_is_left_out_are_left_out() {
    let volume = Volume::new();
    let _open = volume.bank("x.db", "wal", 4096, 10);
    volume.write("y", "");
    let survey = volume.survey_of(&scope(&[], &["**"], &["x.db"]));
    assert!(survey.databases.is_empty());
    assert_eq!(survey.files.iter().map(|found| found.path.to_string()).collect::<Vec<_>>(), ["y"]);
}

#[test]
fn ours_and_every_backup_are_never_taken() {
    let volume = Volume::new();
    for name in [".moorline/secret.key", "Init/a.sh", "Backups/x.seqbac", "lost+found/1"] {
        volume.write(name, "ours");
    }
    volume.write("app/Init/x", "theirs");
    volume.write("app/copy.bin", BACKUP);
    for scope in [Scope::everything(), scope(&[], &["**"], &[])] {
        let survey = volume.survey_of(&scope);
        let taken: Vec<_> = survey.files.iter().map(|found| found.path.to_string()).collect();
        assert_eq!(taken, ["app", "app/Init", "app/Init/x"]);
        assert_eq!(survey.notes[0].path.to_string(), "app/copy.bin");
        assert_eq!(survey.notes[0].what, "left out: a backup is never part of a backup");
    }
}

#[test]
fn what_is_neither_file_nor_directory_is_noted_and_never_blocks() {
    let volume = Volume::new();
    mkfifo(&volume.path("pipe"), Mode::S_IRWXU).expect("a pipe");
    let _socket = UnixListener::bind(volume.path("socket")).expect("a socket");
    symlink("loop", volume.path("loop")).expect("a loop");
    symlink(".", volume.path("here")).expect("another");
    symlink("/etc/passwd", volume.path("out")).expect("a link");
    symlink("../../x", volume.path("up")).expect("a link");
    volume.write("empty", "");
    volume.write("new\nline", "x");
    let survey = volume.survey();
    let taken: Vec<_> = survey.files.iter().map(|found| (found.path.to_string(), found.kind)).collect();
    let link = PathKind::Symlink;
    assert_eq!(
        taken,
        [
            ("empty".into(), PathKind::File),
            ("here".into(), link),
            ("loop".into(), link),
            ("new\nline".into(), PathKind::File),
            ("out".into(), link),
            ("up".into(), link)
        ]
    );
    let notes: Vec<_> = survey.notes.iter().map(|note| format!("{}: {}", note.path, note.what)).collect();
    assert_eq!(
        notes,
        [
            "out: points outside the volume, to /etc/passwd: the backup contains the link, but not its target",
            "pipe: left out: a named pipe",
            "socket: left out: a socket",
            "up: points outside the volume, to ../../x: the backup contains the link, but not its target",
        ]
    );
}

#[test]
fn a_profile_takes_what_it_names_and_the_directories_above() {
    let volume = Volume::new();
    fs::create_dir_all(volume.path("media_store/deep")).expect("folders");
    fs::create_dir_all(volume.path("conf/empty")).expect("folders");
    volume.bank("homeserver.db", "wal", 4096, 1);
    for name in ["log.yaml", "other", "conf/d/a.key", "conf/d/a.txt", "media_store/deep/x.key"] {
        volume.write(name, "x");
    }
    let survey = volume.survey_of(&scope(&["*.db"], &["*.yaml", "**/*.key"], &["media_store/**"]));
    assert_eq!(survey.databases.len(), 1);
    let taken: Vec<_> = survey.files.iter().map(|found| found.path.to_string()).collect();
    assert_eq!(taken, ["conf", "conf/d", "conf/d/a.key", "log.yaml"]);
}

#[test]
fn a_database_among_the_files_of_a_profile_is_read_as_a_database() {
    let volume = Volume::new();
    drop(volume.bank("x", "wal", 4096, 1));
    let survey = volume.survey_of(&scope(&[], &["*"], &[]));
    assert_eq!((survey.databases.len(), survey.files.len()), (1, 0));
}

#[test]
fn a_file_that_the_profile_calls_a_database_and_is_none_is_told_apart() {
    let volume = Volume::new();
    volume.write("x.db", "encrypted");
    let matcher = Matcher::of(&scope(&["*.db"], &["**"], &[])).expect("compiles");
    let survey = survey::survey(&volume.root(), &matcher).expect("looks");
    assert_eq!(survey.not_databases.iter().map(ToString::to_string).collect::<Vec<_>>(), ["x.db"]);
    assert!(survey.files.is_empty() && survey.databases.is_empty(), "{survey:?}");
    assert!(holds_state(&volume.root(), &matcher).expect("looks"), "it is what was state");
}

#[test]
fn where_no_store_of_the_profile_leads_nobody_looks() {
    let volume = Volume::new();
    volume.write("conf/a", "a");
    volume.write("cache/deep/b", "b");
    mkfifo(&volume.path("cache/pipe"), Mode::S_IRWXU).expect("makes a pipe");
    let named = Matcher::of(&scope(&[], &["conf/**", "*.yaml"], &[])).expect("compiles");
    let found = survey::survey(&volume.root(), &named).expect("looks");
    assert_eq!(found.files.iter().map(|found| found.path.to_string()).collect::<Vec<_>>(), ["conf", "conf/a"]);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
}

#[test]
fn second_names_of_a_databases_own_files_are_never_read() {
    let volume = Volume::new();
    let _open = volume.bank("x.db", "wal", 4096, 10);
    fs::hard_link(volume.path("x.db-wal"), volume.path("innocent")).expect("links");
    fs::hard_link(volume.path("x.db"), volume.path("y.db")).expect("links");
    let survey = volume.survey();
    assert!(survey.files.is_empty());
    let notes: Vec<_> = survey.notes.iter().map(|note| format!("{}: {}", note.path, note.what)).collect();
    assert_eq!(
        notes,
        [
            "innocent: left out: a hard link to a file of a database",
            "y.db: the same file as x.db: SQLite does not support a database with two names",
        ]
    );
}

#[test]
fn a_volume_without_state_is_told_from_one_with() {
    let volume = Volume::new();
    let everything = Matcher::of(&Scope::everything()).expect("compiles");
    let holds = |matcher| holds_state(&volume.root(), matcher).expect("looks");
    for name in [".moorline/lock", "Init/a.sh", "Backups/x.seqbac"] {
        volume.write(name, "ours");
    }
    fs::create_dir_all(volume.path("a/b/c")).expect("folders");
    volume.write("a/backup.seqbac", BACKUP);
    assert!(!holds(&everything), "directories and backups alone are none");
    volume.write("a/b/c/d", "");
    assert!(holds(&everything));
    assert!(!holds(&Matcher::of(&scope(&["*.db"], &[], &[])).expect("compiles")));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let volume = Volume::new();
    volume.write("secret", "x");
    let look = || survey::survey(&volume.root(), &Matcher::of(&Scope::everything()).expect("compiles"));
    fs::set_permissions(volume.path("secret"), fs::Permissions::from_mode(0o000)).expect("sets");
    let error = as_nobody(look).expect_err("refuses");
    assert!(error.message().contains("data/secret: permission denied"), "{error}");
    fs::remove_file(volume.path("secret")).expect("removes");
    fs::create_dir(volume.path("shut")).expect("a folder");
    fs::set_permissions(volume.path("shut"), fs::Permissions::from_mode(0o000)).expect("sets");
    let error = as_nobody(look).expect_err("refuses");
    assert!(error.message().contains("cannot list") && error.message().contains("data/shut"), "{error}");
}
