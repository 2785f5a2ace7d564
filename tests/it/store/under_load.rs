//! Captures while another process writes as fast as it can: a bank whose sum never changes.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use engine::store::sqlite::check_image;
use rusqlite::Connection;
use serde::Deserialize;

use super::support::{Volume, integrity, sum};

/// `tests/servers/bank.py`, at work until it is asked what it did.
struct Bank {
    process: Child,
    output: BufReader<ChildStdout>,
}

#[derive(Debug, Deserialize)]
struct Work {
    commits: u64,
    busy: u64,
    slowest: f64,
}

impl Bank {
    /// `timeout`: how many seconds it waits for a lock.
    fn on(database: &Path, journal_mode: &str, timeout: &str) -> Self {
        let script = Path::new(env!("MOORLINE_REPOSITORY")).join("tests/servers/bank.py");
        let mut bank = Command::new("python3");
        bank.arg(script).arg(database).args([journal_mode, timeout]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = bank.spawn().expect("python3 runs");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut ready = String::new();
        output.read_line(&mut ready).expect("reads");
        assert_eq!(ready, "ready\n");
        Self { process, output }
    }

    fn stop(mut self) -> Work {
        drop(self.process.stdin.take());
        let mut work = String::new();
        self.output.read_to_string(&mut work).expect("reads");
        assert!(self.process.wait().expect("ends").success());
        serde_json::from_str(&work).expect("says what it did")
    }
}

const ACCOUNTS: u32 = 2000;

fn captures_hold_the_sum(journal_mode: &str, page_size: u32, timeout: &str, captures: u32) -> Work {
    let volume = Volume::new();
    drop(volume.bank("bank.db", journal_mode, page_size, ACCOUNTS));
    let bank = Bank::on(&volume.path("bank.db"), journal_mode, timeout);
    for capture in 1..=captures {
        let (image, facts) = volume.capture();
        let context = format!("{journal_mode}, pages of {page_size}, capture {capture}");
        assert_eq!(facts.findings, Vec::<String>::new(), "{context}");
        assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new(), "{context}");
        assert_eq!(integrity(&image), "ok", "{context}");
        assert_eq!(sum(&image), i64::from(ACCOUNTS) * 1000, "{context}");
    }
    bank.stop()
}

#[test]
fn fifteen_captures_in_wal_mode_hold_the_sum_and_never_block_the_writer() {
    for page_size in [512, 1024, 4096, 16384, 65536] {
        let work = captures_hold_the_sum("wal", page_size, "0", 3);
        println!("pages of {page_size}: {work:?}");
        assert_eq!(work.busy, 0, "a writer that waits for nothing was never told to");
        assert!(work.commits > 20 && work.slowest > 0.0);
    }
}

#[test]
fn fifteen_captures_in_rollback_mode_hold_the_sum() {
    for page_size in [512, 1024, 4096, 16384, 65536] {
        let work = captures_hold_the_sum("delete", page_size, "60", 3);
        println!("pages of {page_size}: {work:?}");
        assert_eq!(work.busy, 0, "a writer that waits gets its turn");
    }
}

#[test]
fn captures_hold_the_sum_in_the_other_journal_modes() {
    for journal_mode in ["truncate", "persist"] {
        captures_hold_the_sum(journal_mode, 4096, "60", 2);
    }
}

/// SQLite never uses the page at 1 GiB, where its locks are.
#[test]
fn a_database_across_the_lock_page_is_captured_under_load() {
    for (journal_mode, page_size, timeout) in [("wal", 4096, "0"), ("delete", 65536, "120")] {
        let volume = Volume::new();
        let bank = volume.bank("bank.db", journal_mode, page_size, ACCOUNTS);
        bank.execute_batch(
            "PRAGMA synchronous = OFF; CREATE TABLE bulk(id INTEGER PRIMARY KEY, data BLOB);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 115)
             INSERT INTO bulk SELECT i, zeroblob(10 << 20) FROM n;
             INSERT INTO bulk VALUES (1000, randomblob(1 << 20));",
        )
        .expect("fills");
        drop(bank);
        assert!(volume.path("bank.db").metadata().expect("looks").len() > (11 << 30) / 10, "1.1 GiB");
        let bank = Bank::on(&volume.path("bank.db"), journal_mode, timeout);
        let (image, facts) = volume.capture();
        let work = bank.stop();
        println!("{journal_mode}, pages of {page_size}: {work:?}");
        assert_eq!(work.busy, 0, "{journal_mode}");
        assert_eq!(facts.findings, Vec::<String>::new());
        assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
        assert_eq!(integrity(&image), "ok");
        assert_eq!(sum(&image), i64::from(ACCOUNTS) * 1000);
        let last = |path: &Path| -> Vec<u8> {
            let database = Connection::open(path).expect("opens");
            database.query_row("SELECT data FROM bulk WHERE id = 1000", [], |row| row.get(0)).expect("reads")
        };
        assert!(last(&image) == last(&volume.path("bank.db")), "what lies behind the lock page is the same");
    }
}
