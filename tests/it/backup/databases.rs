//! Databases as people have them: many, locked, short-lived, with findings, unreadable.

use std::{
    fs,
    os::unix::{fs::FileExt, process::CommandExt},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rusqlite::Connection;

use crate::fixture::{Data, Ran, argument};

/// A command with a limit of open files.
fn limited(data: &Data, soft: u64, hard: u64) -> Ran {
    let mut command = data.command(&["backup"]);
    // SAFETY: setrlimit is async-signal-safe.
    unsafe {
        command.pre_exec(move || setrlimit(Resource::RLIMIT_NOFILE, soft, hard).map_err(Into::into));
    }
    Ran::of(command)
}

#[test]
fn more_databases_than_the_soft_limit_of_open_files_are_backed_up() {
    let data = Data::empty();
    for number in 0..60 {
        data.database(&format!("users/{number}/own.db"), "wal", &["x"]);
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("is known");
    limited(&data, 100, hard).succeeds();
    limited(&data, 100, 100).fails(1, &["limit of 100 open files", "--ulimit"]);
}

#[test]
fn a_backup_waits_for_a_locked_database_as_long_as_it_is_told() {
    let data = Data::empty();
    data.database("app.db", "delete", &["x"]);
    let server = Connection::open(data.path("app.db")).expect("opens");
    server.execute_batch("BEGIN EXCLUSIVE; DELETE FROM t").expect("locks");
    let backup = |wait: &str| {
        let mut command = data.command(&["backup"]);
        command.env("MOORLINE_DATABASE_WAIT", wait);
        Ran::of(command)
    };
    backup("1s").fails(75, &["app.db", "locked by another process", "MOORLINE_DATABASE_WAIT"]);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| backup("60s"));
        thread::sleep(Duration::from_secs(2));
        server.execute_batch("COMMIT").expect("ends");
        waiting.join().expect("ends").succeeds();
    });
}

#[test]
fn a_database_that_vanishes_meanwhile_is_named_and_does_not_fail_the_backup() {
    let data = Data::with_state();
    fs::create_dir(data.path("tmp")).expect("a folder");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let name = format!("tmp/job{number}.db");
                data.database(&name, "memory", &["x"]);
                thread::sleep(Duration::from_millis(5));
                fs::remove_file(data.path(&name)).expect("removes");
            }
        });
        for _ in 0..15 {
            let ran = data.moorline(&["backup"]);
            assert!(ran.code == Some(0) || ran.code == Some(29) && ran.stderr.contains("tmp/job"), "{ran:#?}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_finding_of_a_full_text_index_is_a_warning_and_one_of_a_table_is_not() {
    let data = Data::empty();
    let app = Connection::open(data.path("app.db")).expect("opens");
    app.execute_batch(
        "CREATE TABLE d(id INTEGER PRIMARY KEY, b TEXT); CREATE VIRTUAL TABLE f USING fts5(b, content='d', content_rowid='id');
         CREATE VIRTUAL TABLE own USING fts5(b); INSERT INTO own VALUES ('mooring'); DELETE FROM own_content;",
    )
    .expect("a full-text index that lacks a row");
    let own: String = app.query_row("PRAGMA quick_check", [], |row| row.get(0)).expect("checks");
    assert_ne!(own, "ok", "this SQLite finds it");
    let made = data.moorline(&["backup", "--json"]);
    assert_eq!((made.code, &made.json()["soundness"]), (Some(0), &"sound".into()), "{made:#?}");
    let file = made.json()["file"].as_str().expect("a path").to_owned();
    let inspected = data.moorline(&["inspect", "--json", &file]).json();
    assert!(inspected["manifest"]["databases"][0]["warnings"][0].as_str().is_some_and(|text| text.contains("own")));
    app.execute_batch(
        "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, NULL); PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a, b NOT NULL)' WHERE name = 't'; PRAGMA writable_schema = RESET",
    )
    .expect("a fault");
    data.moorline(&["backup"]).fails(29, &["NULL value in t.b"]);
}

#[test]
fn an_unreadable_database_is_copied_with_its_wal() {
    let data = Data::empty();
    let shop = Connection::open(data.path("live.db")).expect("opens");
    shop.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t(x); PRAGMA wal_checkpoint(TRUNCATE)").expect("fills");
    shop.execute_batch("INSERT INTO t VALUES (1), (2), (3)").expect("rows in the -wal");
    for suffix in ["", "-wal"] {
        fs::copy(data.path(&format!("live.db{suffix}")), data.path(&format!("shop.db{suffix}"))).expect("copies");
    }
    drop(shop);
    fs::remove_file(data.path("live.db")).expect("removes");
    let damaged = fs::OpenOptions::new().write(true).open(data.path("shop.db")).expect("opens");
    damaged.write_all_at(&[0, 7], 16).expect("damages");
    let file = data.moorline(&["backup"]).fails(29, &["shop.db"]).stdout;
    let out = Data::empty();
    data.moorline(&["extract", file.trim_end(), "-o", argument(&out.path("x"))]).succeeds();
    for name in ["shop.db", "shop.db-wal"] {
        let read = |path| fs::read(path).expect("is there");
        assert!(read(out.path(&format!("x/state/{name}"))) == read(data.path(name)), "{name}");
    }
}
