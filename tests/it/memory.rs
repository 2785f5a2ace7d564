//! How much memory a large database takes on its way into a backup and out of it.
//!
//! The whole point of streaming: it does not depend on the size of what is backed up.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{libc, sys::statvfs::statvfs};
use rusqlite::Connection;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DATABASE: u64 = 4 * GIB;
const LIMIT: u64 = 64 * MIB;

#[test]
fn four_gibibytes_are_backed_up_and_restored_in_64_mebibytes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let stat = statvfs(folder).expect("the target folder is there");
    let free = stat.blocks_available() * stat.fragment_size();
    // The database, its backup, what the restore stages; and some to spare.
    assert!(free > 3 * DATABASE, "this test needs 12 GiB in {}, and there are {} GiB", folder.display(), free / GIB);
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let volume = folder.path().join("data");
    fs::create_dir(&volume).expect("a folder for the volume");
    let database = volume.join("app.db");
    make_database(&database);
    let before = facts(&database);

    let (backup, peak) = run_moorline(&volume, &["backup"]);
    assert!(PathBuf::from(backup.trim_end()).is_file(), "backup printed {backup:?}");
    println!("backup: {} MiB at its peak", peak / MIB);
    assert!(peak < LIMIT);

    Connection::open(&database)
        .and_then(|connection| connection.execute("DELETE FROM bulk WHERE id = 1", []))
        .expect("edited");
    assert_ne!(facts(&database), before);
    let (_, peak) = run_moorline(&volume, &["restore", "-y", "--from-latest"]);
    println!("restore: {} MiB at its peak", peak / MIB);
    assert!(peak < LIMIT);
    assert_eq!(facts(&database), before);
}

/// Half of it compresses to nothing and half not at all, so that neither side of the compressor is spared.
fn make_database(path: &Path) {
    const ROW: u64 = MIB;
    let connection = Connection::open(path).expect("a new database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
             CREATE TABLE bulk (id INTEGER PRIMARY KEY, data BLOB NOT NULL); BEGIN",
        )
        .expect("an empty table");
    for id in 0..DATABASE / ROW {
        connection
            .execute(
                "INSERT INTO bulk VALUES (?1, CASE ?1 % 2 WHEN 0 THEN randomblob(?2) ELSE zeroblob(?2) END)",
                [id, ROW].map(u64::cast_signed),
            )
            .expect("a row");
    }
    connection.execute_batch("COMMIT; PRAGMA journal_mode = WAL").expect("all rows");
    assert!(fs::metadata(path).expect("there").len() > DATABASE);
}

/// What would differ after a restore of something else, without reading 4 GiB once more.
fn facts(path: &Path) -> (i64, Vec<u8>) {
    let connection = Connection::open(path).expect("opens");
    let rows = connection.query_row("SELECT count(*) FROM bulk", [], |row| row.get(0)).expect("countable");
    let last = connection
        .query_row("SELECT data FROM bulk WHERE id % 2 = 0 ORDER BY id DESC LIMIT 1", [], |row| row.get(0))
        .expect("a last row");
    (rows, last)
}

/// What it printed, and the most memory that it, or a child of it, had resident.
#[expect(clippy::zombie_processes, reason = "wait_with_peak reaps it")]
fn run_moorline(volume: &Path, arguments: &[&str]) -> (String, u64) {
    let said = volume.with_file_name("stdout");
    let child = Command::new(env!("MOORLINE_PROGRAM"))
        .arg("--storage")
        .arg(volume)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(fs::File::create(&said).expect("a file for the answer"))
        .spawn()
        .expect("moorline starts");
    let (status, peak) = wait_with_peak(child.id());
    assert_eq!(status, 0, "moorline {arguments:?} failed");
    // A child counts what its parent had resident when it was started; that must not be what is measured.
    assert!(peak_of_this_process() < LIMIT, "the test itself is larger than the limit");
    (fs::read_to_string(said).expect("the answer"), peak)
}

/// Reaps the child: its wait status, and its peak in bytes.
fn wait_with_peak(child: u32) -> (i32, u64) {
    let mut status = 0;
    // SAFETY: a plain structure of integers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a child of ours that nobody else waits for, and two places of our own to write to.
    let reaped = unsafe { libc::wait4(child.cast_signed(), &raw mut status, 0, &raw mut usage) };
    assert_eq!(reaped, child.cast_signed(), "the child can be waited for");
    (status, usage.ru_maxrss.cast_unsigned() * 1024)
}

fn peak_of_this_process() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a peak");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kib * 1024
}
