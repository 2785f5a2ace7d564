//! A disk, or a server of files, that fails to say whether something is there.
//!
//! Each `stat` of a restore, of a rollback and of a start that finishes one is answered with EIO, one at a time. Whatever
//! comes of it: exit 0 means that it is done; whoever starts next finds the one state or the other, whole; and nothing of
//! either is lost.

use std::{fs, path::Path, process::Command};

use super::{
    Point, before_each,
    scene::{Scene, Template},
    state::State,
};
use crate::{
    fixture::{Data, KEY, Ran, argument},
    quarantine::bell::{APPS, Bell},
};

/// The calls that look at a path. A `?` is for those that a machine lacks.
const LOOKS: [&str; 4] = ["?stat", "?lstat", "newfstatat", "statx"];
const RESTORE: [&str; 3] = ["restore", "-y", "--from-latest"];
const ROLLBACK: [&str; 2] = ["rollback", "-y"];
const START: [&str; 4] = ["run", "--no-boot-backup", "--", "true"];

fn moorline(scene: &Scene, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moorline"));
    command.arg("--storage").arg(scene.data()).args(arguments);
    Ran::of(command)
}

/// Whether a call failed there, and how it ended.
fn fails_at(scene: &Scene, point: &Point, arguments: &[&str]) -> (bool, Ran) {
    let record = scene.path("strace");
    let mut strace = failing(&point.call.replace('?', ""), &format!(":when={}", point.nth), &record);
    strace.arg(env!("CARGO_BIN_EXE_moorline")).arg("--storage").arg(scene.data()).args(arguments);
    let ran = Ran::of(strace);
    (fs::read_to_string(record).expect("strace's record").contains("(INJECTED)"), ran)
}

fn failing(calls: &str, when: &str, record: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-f", "--seccomp-bpf", "-o"]).arg(record).args(["-e", &format!("trace={calls}")]);
    strace.args(["-e", &format!("inject={calls}:error=EIO{when}")]);
    strace
}

/// The next start finishes or undoes it; then the volume has one of the two states, and the way to the other.
#[track_caller]
fn must_be_whole(scene: &Scene, template: &Template, point: &Point, ran: &Ran, done: Option<&State>) {
    let start = moorline(scene, &START);
    assert_eq!(start.code, Some(0), "{point:?}: {ran:#?} {start:#?}");
    let state = State::of(&scene.data());
    if ran.code == Some(0)
        && let Some(done) = done
    {
        assert_eq!(state, *done, "{point:?}: exit 0 means that it is done: {ran:#?}");
    }
    let (way, other) = match state == template.older {
        true => (&ROLLBACK[..], &template.newer),
        false => (&RESTORE[..], &template.older),
    };
    assert!(state == template.older || state == template.newer, "{point:?}: neither state: {ran:#?} {state:#?}");
    moorline(scene, way).succeeds();
    assert_eq!(State::of(&scene.data()), *other, "{point:?}: {ran:#?}");
}

#[test]
fn a_restore_in_which_a_stat_fails_is_done_or_never_happened() {
    let template = Template::new();
    let failures = before_each(LOOKS.into_iter(), |point| {
        let scene = template.fresh();
        let (has_failed, ran) = fails_at(&scene, point, &RESTORE);
        assert!(has_failed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if has_failed {
            must_be_whole(&scene, &template, point, &ran, Some(&template.older));
        }
        has_failed
    });
    println!("{failures} looks failed");
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

#[test]
fn a_rollback_in_which_a_stat_fails_loses_nothing() {
    let template = Template::new();
    let failures = before_each(LOOKS.into_iter(), |point| {
        let scene = template.fresh();
        moorline(&scene, &RESTORE).succeeds();
        let (has_failed, ran) = fails_at(&scene, point, &ROLLBACK);
        assert!(has_failed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if has_failed {
            must_be_whole(&scene, &template, point, &ran, Some(&template.newer));
        }
        has_failed
    });
    println!("{failures} looks failed");
    assert!(failures > 20, "strace did not make calls fail: {failures}");
}

#[test]
fn a_start_that_finishes_a_restore_and_in_which_a_stat_fails_starts_no_server_on_half_of_it() {
    let template = Template::new();
    let cut_off = template.fresh();
    assert!(super::restore_killed_at(&cut_off, &Point { call: "renameat2", nth: 4 }), "between two moves");
    assert_eq!(cut_off.restores(), ["commit"]);
    let server = ["run", "--no-boot-backup", "--", "/bin/sh", "-c", "echo a server is up"];
    let failures = before_each(LOOKS.into_iter(), |point| {
        let scene = cut_off.copy();
        let (has_failed, ran) = fails_at(&scene, point, &server);
        assert!(has_failed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if has_failed {
            if ran.stdout.contains("a server is up") {
                assert_eq!(State::of(&scene.data()), template.older, "{point:?}: {ran:#?}");
            }
            must_be_whole(&scene, &template, point, &ran, None);
        }
        has_failed
    });
    println!("{failures} looks failed");
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
        let record = bell.beside("strace");
        let strace = failing(&point.call.replace('?', ""), &format!(":when={}", point.nth), &record);
        let ran = Ran::of(bell.command_under(strace, &restore));
        let has_failed = fs::read_to_string(&record).expect("strace's record").contains("(INJECTED)");
        if ran.code == Some(0) {
            assert_eq!((bell.off(), bell.fires().len()), (APPS.map(str::to_owned).to_vec(), 0), "{point:?}: {ran:#?}");
        } else {
            assert!(has_failed, "{point:?}: {ran:#?}");
            bell.moorline(&START).succeeds();
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
    let plain = data.command(arguments);
    strace.arg(plain.get_program()).args(plain.get_args());
    strace.env("MOORLINE_STORAGE", data.root());
    let ran = Ran::of(strace);
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
        ran.fails(1, &["cannot look at", "i/o error"]);
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
    data.moorline(&RESTORE).fails(1, &["the newest backup cannot be told", "link that leads to no file"]);
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
    ran.fails(1, &["once.sh.done", "i/o error"]);
}

#[test]
fn a_backup_is_made_with_the_key_and_of_the_console_even_if_neither_can_be_looked_at_or_not_at_all() {
    let data = Data::with_state();
    let restore = |backup: &Path| {
        let copy = Data::empty();
        copy.moorline(&["restore", "-y", "--enable-apps", "--secret-key", KEY, "--backup", argument(backup)])
            .succeeds();
        copy.path(".moorline/metastore.db").symlink_metadata().is_ok()
    };
    data.file(".moorline/secret.key", &format!("{KEY}\n"));
    let connection = rusqlite::Connection::open(data.path(".moorline/metastore.db")).expect("opens");
    connection.execute_batch("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT)").expect("a table");
    drop(connection);
    assert!(restore(&data.backup()));
    let ran = while_unseen(&data, &data.path(".moorline/metastore.db"), &["backup"]);
    assert!(ran.code != Some(0) || restore(Path::new(ran.stdout.trim_end())), "{ran:#?}");
}
