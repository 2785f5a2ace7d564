//! kill -9 of whatever switches apps off or on.
//!
//! However often and wherever it is killed: a server that starts finds the old state, or the copy with every app off and
//! remembered. What a release that was cut off leaves is released by the next start, and then all is exactly what it was.

use std::{fs, process::Command, process::Stdio, thread, time::Instant};

use super::{Point, before_each, random_fraction};
use crate::{
    fixture::{Ran, argument},
    quarantine::bell::{APPS, Bell},
};

/// Databases are changed by these, besides what changes files.
const CHANGES: [&str; 3] = ["pwrite64", "?pwritev", "write"];

/// How often the whole container is killed.
const KILLS: u32 = 40;

/// What a start does in a child.
const SETTLE: [&str; 2] = ["apps", "settle"];

/// A server that has found its state. What it was told, it says.
const SERVER: [&str; 5] = ["run", "--", "/bin/sh", "-c", "echo \"up in quarantine: ${MOORLINE_QUARANTINED:-0}\""];

fn changes() -> impl Iterator<Item = &'static str> {
    super::CHANGES.into_iter().chain(CHANGES)
}

/// Runs moorline, and kills whichever of its processes gets there. False where none does.
fn killed_at(bell: &Bell, point: &Point, arguments: &[&str]) -> (bool, Ran) {
    let Point { call, nth } = point;
    let record = bell.beside("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o"]).arg(&record).args(["-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")]);
    let ran = Ran::of(bell.command_under(strace, arguments));
    let record = fs::read_to_string(record).expect("strace's record");
    (record.contains("+++ killed by SIGKILL +++"), ran)
}

/// Starts a server, which must be told what it finds.
#[track_caller]
fn starts(bell: &Bell, point: &Point) {
    let start = bell.moorline(&SERVER);
    let expected = if bell.has_memory() { "up in quarantine: 1\n" } else { "up in quarantine: 0\n" };
    assert_eq!(start.code, Some(0), "{point:?}: {start:#?}");
    assert_eq!(start.stdout, expected, "{point:?}: {start:#?}");
}

/// Every app is off and remembered; released, all is as it was.
#[track_caller]
fn must_be_a_silent_copy_of(bell: &Bell, original: &Bell, point: &Point) {
    assert_eq!(bell.fires().len(), 0, "{point:?}: {:?}", bell.fires());
    assert_eq!(bell.off(), APPS, "{point:?}");
    bell.moorline(&["apps", "release", "--all"]).succeeds();
    assert_eq!(bell.state(), original.state(), "{point:?}");
    assert!(!bell.has_memory(), "{point:?}");
}

#[test]
fn a_copy_is_never_started_with_its_apps_on() {
    let older = Bell::with_state();
    let (backup, key) = (older.backup(), older.data.key());
    let restore = ["restore", "-y", "--secret-key", &key, "--backup", argument(&backup)];
    let newer = older.duplicate();
    newer.sql("UPDATE alerts SET name = 'newer'; DELETE FROM jobs; INSERT INTO outbox (text) VALUES ('newer')");
    newer.data.file("hooks.d/newer.sh", "");
    let mut finished = 0;
    let kills = before_each(changes(), |point| {
        let bell = newer.duplicate();
        let (was_killed, ran) = killed_at(&bell, point, &restore);
        assert!(was_killed || ran.code == Some(0), "{point:?}: {ran:#?}");
        if !was_killed {
            return false;
        }
        starts(&bell, point);
        if bell.has_memory() {
            finished += 1;
            must_be_a_silent_copy_of(&bell, &older, point);
            bell.moorline(&["rollback", "-y"]).succeeds();
            assert!(!bell.has_memory(), "{point:?}");
        }
        assert_eq!(bell.state(), newer.state(), "{point:?}");
        true
    });
    println!("killed before {kills} changes: {finished} finished, the others never happened");
    assert!(finished > 0 && finished < kills, "strace did not kill where it should");
}

#[test]
fn apps_that_are_being_switched_off_are_off_before_the_next_server_or_were_never_touched() {
    let original = Bell::with_state();
    original.backup();
    let mut finished = 0;
    let kills = before_each(changes(), |point| {
        let bell = original.duplicate();
        let (was_killed, ran) = killed_at(&bell, point, &["apps", "disable", "--all"]);
        assert!(was_killed || ran.code == Some(0), "{point:?}: {ran:#?}");
        starts(&bell, point);
        if bell.has_memory() {
            finished += u32::from(was_killed);
            must_be_a_silent_copy_of(&bell, &original, point);
        }
        assert_eq!(bell.state(), original.state(), "{point:?}");
        was_killed
    });
    println!("killed before {kills} changes: {finished} finished, the others never happened");
    assert!(finished > 0 && finished < kills, "strace did not kill where it should");
}

/// The start that goes on with what was cut off is cut off, too.
#[test]
fn a_start_that_finishes_switching_off_may_be_killed_as_well() {
    let original = Bell::with_state();
    original.backup();
    // Cut off when the memory was written, and one database was changed.
    let half = original.duplicate();
    half.moorline(&["apps", "disable", "--all"]).succeeds();
    let memory = half.data.read(".moorline/quarantine.json").replace("\"pending\":false", "\"pending\":true");
    let cut_off = original.duplicate();
    cut_off.data.file(".moorline/quarantine.json", &memory);
    fs::copy(half.path("app.db"), cut_off.path("app.db")).expect("copied");
    let kills = before_each(changes(), |point| {
        let bell = cut_off.duplicate();
        let (was_killed, _) = killed_at(&bell, point, &SETTLE);
        starts(&bell, point);
        must_be_a_silent_copy_of(&bell, &original, point);
        was_killed
    });
    assert!(kills > 10, "strace did not kill where it should: {kills}");
}

#[test]
fn a_release_at_a_start_is_finished_by_the_next() {
    let original = Bell::with_state();
    let copy = original.copy();
    copy.request("--all");
    let kills = before_each(changes(), |point| {
        let bell = copy.duplicate();
        let (was_killed, ran) = killed_at(&bell, point, &SETTLE);
        assert!(was_killed || ran.code == Some(0), "{point:?}: {ran:#?}");
        starts(&bell, point);
        assert!(!bell.has_memory(), "{point:?}");
        assert_eq!(bell.state(), original.state(), "{point:?}");
        was_killed
    });
    println!("a release killed before {kills} changes");
    assert!(kills > 10, "strace did not kill where it should: {kills}");
}

/// Whichever of its processes it is: without its end there is no server.
#[test]
fn no_server_starts_when_a_release_before_it_is_killed() {
    let original = Bell::with_state();
    let copy = original.copy();
    copy.request("--all");
    let kills = before_each(["write", "pwrite64", "?rename", "fsync"].into_iter(), |point| {
        let bell = copy.duplicate();
        let (was_killed, ran) = killed_at(&bell, point, &SERVER);
        assert!(!was_killed || ran.stdout.is_empty() || bell.state() == original.state(), "{point:?}: {ran:#?}");
        starts(&bell, point);
        assert_eq!(bell.state(), original.state(), "{point:?}");
        was_killed
    });
    assert!(kills > 10, "strace did not kill where it should: {kills}");
}

#[test]
fn what_is_still_to_be_off_stays_off_when_a_release_at_a_start_is_killed() {
    let original = Bell::with_state();
    let copy = original.copy();
    for name in ["alerts 1", "jobs", "webhooks", "scripts"] {
        copy.request(name);
    }
    let on = ["alert 1", "hook w1", "job 1", "job 2", "mail.sh", "page.sh"];
    let mut kills = 0;
    // Where the memory is written is where it may be lost.
    for call in ["fsync", "?rename", "renameat2", "fdatasync", "unlink"] {
        kills += before_each([call].into_iter(), |point| {
            let bell = copy.duplicate();
            let (was_killed, _) = killed_at(&bell, point, &SETTLE);
            starts(&bell, point);
            assert_eq!(bell.fires().into_iter().collect::<Vec<_>>(), on, "{point:?}");
            bell.moorline(&["apps", "release", "--all"]).succeeds();
            assert_eq!(bell.state(), original.state(), "{point:?}");
            was_killed
        });
    }
    assert!(kills > 4, "strace did not kill where it should: {kills}");
}

/// The whole container, its script and the child that restores: at random moments, and at each start again.
#[test]
fn killed_at_random_moments_a_container_never_starts_a_copy_with_its_apps_on() {
    let original = Bell::with_state();
    let (backup, key) = (original.backup(), original.data.key());
    let empty = Bell::empty();
    fs::create_dir_all(empty.path("Backups")).expect("made");
    fs::copy(backup, empty.path("Backups/backup.seqbac")).expect("copied");
    let script = format!("seqsvr restore -y --secret-key=\"{key}\" --backup=../Backups/backup.seqbac\n");
    empty.data.file("Init/restore.sh", &script);
    let container = |bell: &Bell| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        let mut container = bell.command_under(unshare, &SERVER);
        container.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts")
    };
    let undisturbed = empty.duplicate();
    let began = Instant::now();
    let first = container(&undisturbed).wait_with_output().expect("ends");
    let whole_run = began.elapsed();
    assert_eq!(String::from_utf8_lossy(&first.stdout), "up in quarantine: 1\n");
    let mut kills = 0;
    while kills < KILLS {
        let bell = empty.duplicate();
        for _ in 0..4 {
            let mut child = container(&bell);
            thread::sleep(whole_run.mul_f64(random_fraction()));
            let ended = child.try_wait().expect("can be waited for").is_some();
            child.kill().expect("is ours");
            let said = child.wait_with_output().expect("ends").stdout;
            assert!(said.is_empty() || said == b"up in quarantine: 1\n", "{}", String::from_utf8_lossy(&said));
            if ended {
                break;
            }
            kills += 1;
        }
        let point = Point { call: "random", nth: kills };
        starts(&bell, &point);
        must_be_a_silent_copy_of(&bell, &original, &point);
    }
}
