//! Whether a backup can be relied on: one value in every place that shows a backup.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rusqlite::Connection;

use crate::fixture::{Data, Ran, names};

/// One backup that is taken while `write` changes the volume, if one of several shows what it should.
fn taken_beside(data: &Data, write: impl Fn(u32) + Sync, shows: impl Fn(&Ran) -> bool) -> Ran {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| (0..).take_while(|_| !done.load(Ordering::Relaxed)).for_each(&write));
        let ran = (0..20).map(|_| data.moorline(&["backup", "--json"])).find(&shows);
        done.store(true, Ordering::Relaxed);
        ran.expect("one of twenty backups")
    })
}

#[test]
fn files_that_vanish_make_a_backup_doubtful_everywhere() {
    let data = Data::with_state();
    let segment = |number: u32| format!("kv/{number:06}.seg");
    for number in 0..40 {
        data.file(&segment(number), &"x".repeat(200_000));
    }
    let write = |number: u32| {
        data.file(&segment(number + 40), &"x".repeat(200_000));
        fs::remove_file(data.path(&segment(number))).expect("removes");
        thread::sleep(Duration::from_millis(2));
    };
    let ran = taken_beside(&data, write, |ran| ran.code == Some(29));
    let taken = ran.json();
    assert_eq!((&taken["soundness"], &taken["verified"]), (&"doubtful".into(), &false.into()), "{ran:#?}");
    assert!(taken["reasons"][0].as_str().is_some_and(|reason| reason.starts_with("kv/")), "{ran:#?}");
    assert!(ran.stderr.contains("was removed or replaced while the backup was taken"), "{ran:#?}");
    let file = taken["file"].as_str().expect("a path");
    let listed = data.moorline(&["list", "--json"]).json();
    let listed = listed["backups"].as_array().expect("a list").iter().find(|one| one["file"] == *file).expect("listed");
    assert_eq!(*listed, taken);
    let inspected = data.moorline(&["inspect", "--json", file]).json();
    let verified = data.moorline(&["verify", "--json", file]);
    assert_eq!(verified.code, Some(29), "{verified:#?}");
    for other in [&inspected, &verified.json()["backups"][0]] {
        assert_eq!((&other["soundness"], &other["reasons"]), (&taken["soundness"], &taken["reasons"]));
    }
    assert!(data.moorline(&["list"]).succeeds().contains("doubtful"));
    assert!(data.moorline(&["inspect", file]).succeeds().contains("soundness     doubtful"));
}

#[test]
fn a_log_that_only_grows_is_sound_and_a_file_that_changes_in_place_is_not() {
    let data = Data::with_state();
    data.file("server.log", &"a line\n".repeat(600_000));
    let append = |_| {
        let mut log = fs::OpenOptions::new().append(true).open(data.path("server.log")).expect("opens");
        std::io::Write::write_all(&mut log, b"a line\n").expect("writes");
    };
    for _ in 0..3 {
        taken_beside(&data, append, |ran| {
            assert_eq!(ran.code, Some(0), "{ran:#?}");
            true
        });
    }
    let change = |number: u32| {
        let file = fs::OpenOptions::new().write(true).open(data.path("server.log")).expect("opens");
        std::os::unix::fs::FileExt::write_all_at(&file, &number.to_le_bytes(), u64::from(number % 1_000_000))
            .expect("writes");
    };
    let ran = taken_beside(&data, change, |ran| ran.code == Some(29));
    assert!(ran.stderr.contains("server.log kept changing while it was read"), "{ran:#?}");
}

#[test]
fn scheduled_backups_of_a_database_with_a_fault_do_not_pile_up() {
    let data = Data::empty();
    let app = Connection::open(data.path("app.db")).expect("opens");
    app.execute_batch(
        "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, NULL); PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, b NOT NULL)' WHERE name = 't'; PRAGMA writable_schema = RESET",
    )
    .expect("a fault");
    let scheduled = || {
        // Names of one day differ by the second.
        thread::sleep(Duration::from_millis(1100));
        let mut command = data.command(&["backup", "--scheduled"]);
        command.env("MOORLINE_BACKUPS_TO_KEEP", "3");
        Ran::of(command)
    };
    let first = scheduled().fails(29, &["NULL value in t.b"]).stdout;
    for _ in 0..5 {
        scheduled().fails(29, &[]);
    }
    let kept = names(&data.path("Backups"));
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(fs::metadata(first.trim_end()).is_ok(), "the oldest doubtful one is kept");
    app.execute("UPDATE t SET b = 1", []).expect("mends");
    for _ in 0..3 {
        scheduled().succeeds();
    }
    let listed = data.moorline(&["list", "--json"]).json();
    let soundness: Vec<_> = listed["backups"].as_array().expect("a list").iter().map(|one| &one["soundness"]).collect();
    assert_eq!(soundness, ["sound"; 3]);
}
