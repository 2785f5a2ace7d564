//! The image of one database: every page size and journal mode, whatever lies beside it.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use engine::store::sqlite::{check_image, open_all};
use rusqlite::Connection;
use volume::error::Code;

use super::support::{Volume, integrity, names, sum, write_image};

/// Content of every file of a folder, and its time of change.
fn everything(dir: &Path) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
    let look = |path: PathBuf| {
        let changed = path.metadata().expect("looks").modified().expect("has a time");
        (path.clone(), fs::read(&path).expect("reads"), changed)
    };
    names(dir).into_iter().map(look).collect()
}

#[test]
fn every_page_size_and_journal_mode_is_captured_exactly() {
    for journal_mode in ["wal", "delete", "truncate", "persist"] {
        for page_size in [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] {
            let volume = Volume::new();
            let bank = volume.bank("bank.db", journal_mode, page_size, 300);
            let (image, facts) = volume.capture();
            assert_eq!((facts.page_size, facts.application_id, facts.user_version), (page_size, 7, 42));
            assert_eq!(facts.journal_mode, if journal_mode == "wal" { "wal" } else { "delete" });
            assert_eq!(facts.written_by, 3_054_001, "the SQLite that wrote it");
            assert!(facts.checked && facts.findings.is_empty() && facts.warnings.is_empty(), "{facts:?}");
            assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
            assert_eq!(sum(&image), 300_000);
            assert_eq!(integrity(&image), "ok");
            drop(bank);
            assert!(volume.spooled().is_empty(), "nothing is left in the spool");
        }
    }
}

#[test]
fn a_database_whose_content_is_still_in_the_wal_is_whole() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "wal", 4096, 1000);
    assert_eq!(volume.path("bank.db").metadata().expect("looks").len(), 4096, "one page is in the file itself");
    let (image, _) = volume.capture();
    assert_eq!(sum(&image), 1_000_000);
    drop(bank);
}

#[test]
fn the_source_is_left_as_it_was() {
    for journal_mode in ["wal", "delete"] {
        let volume = Volume::new();
        drop(volume.bank("bank.db", journal_mode, 4096, 1000));
        let before = everything(&volume.root());
        assert_eq!(before.len(), 1, "the last to close a database in WAL mode removes its sidecars");
        volume.capture();
        assert_eq!(everything(&volume.root()), before, "{journal_mode}");
    }
}

#[test]
fn the_wal_of_a_killed_process_is_read_and_left_alone() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "wal", 4096, 1000);
    // What a kill leaves: the files as they are, and no locks.
    let killed = Volume::new();
    for name in ["bank.db", "bank.db-wal"] {
        fs::copy(volume.path(name), killed.path(name)).expect("copies");
    }
    drop(bank);
    let before = everything(&killed.root());
    let (image, facts) = killed.capture();
    assert_eq!(sum(&image), 1_000_000);
    assert!(facts.findings.is_empty());
    let after: Vec<_> =
        everything(&killed.root()).into_iter().filter(|(path, ..)| !path.ends_with("bank.db-shm")).collect();
    assert_eq!(after, before);
}

#[test]
fn a_transaction_that_a_crash_cut_off_is_rolled_back() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "delete", 1024, 1000);
    // With no room in its cache, SQLite writes pages to the file before the commit.
    bank.execute_batch(
        "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; UPDATE account SET money = 5, pad = randomblob(100);",
    )
    .expect("updates");
    let killed = Volume::new();
    for name in ["bank.db", "bank.db-journal"] {
        fs::copy(volume.path(name), killed.path(name)).expect("copies");
    }
    drop(bank);
    assert_ne!(fs::read(killed.path("bank.db-journal")).expect("reads")[0], 0, "the journal is hot");
    let (image, facts) = killed.capture();
    assert_eq!(sum(&image), 1_000_000);
    assert_eq!(facts.findings, Vec::<String>::new());
}

#[test]
fn what_happens_after_the_transaction_began_is_not_in_the_image() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "wal", 4096, 5000);
    let mut snapshots = volume.snapshots();
    let mut start = vec![0; 10_000];
    let facts = snapshots[0].facts(false).expect("facts");
    snapshots[0].read().expect("reads").read_exact(&mut start).expect("reads");
    bank.execute_batch(
        "INSERT INTO account SELECT NULL, 1000, randomblob(100) FROM account; CREATE TABLE other(x); INSERT INTO other VALUES (1);
         DELETE FROM account WHERE id % 3 = 0; PRAGMA wal_checkpoint(PASSIVE); VACUUM; PRAGMA user_version = 43;",
    )
    .expect("grows, changes and shrinks");
    let image = volume.out("image.db");
    write_image(&mut snapshots[0], &image);
    assert_eq!(&fs::read(&image).expect("reads")[..start.len()], start);
    assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
    assert_eq!(sum(&image), 5_000_000);
    assert_eq!(integrity(&image), "ok");
    // The writer gets its checkpoint once the transaction is over.
    drop(snapshots);
    let busy: i64 = bank.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("checkpoints");
    assert_eq!(busy, 0);
}

#[test]
fn writers_in_rollback_mode_are_released_before_the_image_is_read() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "delete", 4096, 1000);
    let mut snapshots = volume.snapshots();
    assert!(snapshots[0].waited().is_some());
    bank.execute("UPDATE account SET money = 0", []).expect("is not kept waiting");
    let image = volume.out("image.db");
    assert!(snapshots[0].facts(true).expect("facts").findings.is_empty());
    write_image(&mut snapshots[0], &image);
    assert_eq!(sum(&image), 1_000_000);
}

#[test]
fn several_databases_are_opened_before_the_first_is_read() {
    let volume = Volume::new();
    let banks = [volume.bank("a.db", "wal", 4096, 10), volume.bank("b.db", "delete", 4096, 10)];
    let mut snapshots = volume.snapshots();
    for bank in &banks {
        bank.execute("UPDATE account SET money = 0", []).expect("updates");
    }
    for snapshot in &mut snapshots {
        let image = volume.out("image.db");
        write_image(snapshot, &image);
        assert_eq!(sum(&image), 10_000, "{}", snapshot.found().path);
    }
}

#[test]
fn a_server_that_lets_nobody_read_is_a_clear_error() {
    for journal_mode in ["wal", "delete"] {
        let volume = Volume::new();
        let script = "import sqlite3, sys\n\
            db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            db.execute('PRAGMA locking_mode = EXCLUSIVE')\n\
            db.execute('PRAGMA journal_mode = ' + sys.argv[2])\n\
            db.execute('CREATE TABLE t(x)')\n\
            print('ready', flush=True)\n\
            sys.stdin.read()";
        let mut server = Command::new("python3");
        server.args(["-c", script]).arg(volume.path("x.db")).arg(journal_mode);
        let mut server =
            server.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().expect("starts");
        server.stdout.as_mut().expect("a pipe").read_exact(&mut [0; 6]).expect("is ready");
        let error = open_all(&volume.root(), &volume.survey().databases, &volume.spool(), Duration::from_millis(50));
        let error = error.expect_err("is locked");
        assert_eq!(error.code(), Code::TryAgain);
        assert!(error.message().contains("x.db: it is locked by another process"), "{error}");
        assert!(error.advice().is_some_and(|hint| hint.contains("locking_mode=EXCLUSIVE")));
        drop(server.stdin.take());
        server.wait().expect("ends");
    }
}

#[test]
fn a_database_that_goes_away_is_an_error_before_and_no_matter_after() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 100));
    let survey = volume.survey();
    let mut snapshots = volume.snapshots();
    fs::remove_file(volume.path("bank.db")).expect("removes");
    drop(volume.bank("new.db", "delete", 512, 1));
    fs::rename(volume.path("new.db"), volume.path("bank.db")).expect("renames");
    assert!(snapshots[0].was_replaced().expect("looks"));
    let image = volume.out("image.db");
    write_image(&mut snapshots[0], &image);
    drop(snapshots);
    assert_eq!(sum(&image), 100_000);

    fs::remove_file(volume.path("bank.db")).expect("removes");
    let error = open_all(&volume.root(), &survey.databases, &volume.spool(), Duration::ZERO).expect_err("is gone");
    assert_eq!(error.code(), Code::TryAgain, "{error}");
    assert!(error.message().contains("bank.db: it was removed"), "{error}");
}

#[test]
fn a_link_in_the_place_of_a_database_is_not_followed() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "delete", 4096, 100));
    let survey = volume.survey();
    fs::rename(volume.path("bank.db"), volume.out("elsewhere.db")).expect("renames");
    std::os::unix::fs::symlink(volume.out("elsewhere.db"), volume.path("bank.db")).expect("links");
    open_all(&volume.root(), &survey.databases, &volume.spool(), Duration::ZERO).expect_err("is a link");
}

#[test]
fn names_that_look_like_something_else_are_just_names() {
    use std::os::unix::ffi::OsStrExt;
    for name in ["file:x?mode=memory", "a b%20?immutable=1#x.db", "new\nline.db", ":memory:"] {
        let volume = Volume::new();
        drop(volume.bank("bank.db", "wal", 4096, 100));
        fs::rename(volume.path("bank.db"), volume.path(name)).expect("renames");
        let (image, facts) = volume.capture();
        assert_eq!(facts.path.as_path(), Path::new(name));
        fs::rename(&image, volume.out(name)).expect("renames");
        assert_eq!(check_image(&volume.out(name), &facts).expect("checks"), Vec::<String>::new());
    }
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 100));
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.db");
    fs::rename(volume.path("bank.db"), volume.root().join(name)).expect("renames");
    let (image, facts) = volume.capture();
    assert_eq!(facts.path.as_bytes(), b"caf\xe9.db");
    fs::rename(&image, image.with_file_name(name)).expect("renames");
    assert_eq!(check_image(&image.with_file_name(name), &facts).expect("checks"), Vec::<String>::new());
}

#[test]
fn an_empty_database_has_an_empty_image() {
    let volume = Volume::new();
    volume.write("new.db", "");
    let scope = profile::Scope { sqlite: vec!["new.db".into()], ..Default::default() };
    let survey = volume.survey_of(&scope);
    let mut snapshots = open_all(&volume.root(), &survey.databases, &volume.spool(), Duration::ZERO).expect("opens");
    let facts = snapshots[0].facts(true).expect("facts");
    assert_eq!((facts.page_count, facts.bytes, facts.findings.len()), (0, 0, 0));
    let image = volume.out("image.db");
    write_image(&mut snapshots[0], &image);
    assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
}

#[test]
fn a_virtual_table_of_this_build_is_captured_with_its_shadows() {
    let volume = Volume::new();
    let notes = Connection::open(volume.path("notes.db")).expect("opens");
    notes
        .execute_batch("CREATE VIRTUAL TABLE note USING fts5(text); INSERT INTO note VALUES ('a mooring line');")
        .expect("fills");
    let (image, facts) = volume.capture();
    assert!(facts.findings.is_empty() && facts.warnings.is_empty(), "{facts:?}");
    let image = Connection::open(image).expect("opens");
    let found: i64 = image.query_row("SELECT count(*) FROM note('mooring')", [], |row| row.get(0)).expect("finds");
    assert_eq!(found, 1);
}

#[test]
fn what_sqlite_makes_beside_a_database_while_root_reads_it_is_its_owners() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("skipped: only root can set owners");
    }
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 100));
    chown(volume.path("bank.db"), Some(1000), Some(1001)).expect("sets");
    let snapshots = volume.snapshots();
    for name in ["bank.db-wal", "bank.db-shm"] {
        let meta = volume.path(name).metadata().expect("is there while it is read");
        assert_eq!((meta.uid(), meta.gid()), (1000, 1001), "a server of that user can go on");
    }
    drop(snapshots);
    assert_eq!(names(&volume.root()), [volume.path("bank.db")]);
}

#[test]
fn a_database_whose_directory_cannot_be_written_says_what_to_do() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 100));
    let databases = volume.survey().databases;
    let error = super::support::as_nobody(|| {
        open_all(&volume.root(), &databases, &volume.spool(), Duration::ZERO).expect_err("cannot make a -shm")
    });
    assert!(error.message().starts_with("cannot read the database") && error.message().contains("bank.db"), "{error}");
    assert!(error.advice().is_some_and(|hint| hint.contains("make the directory writable")), "{error:?}");
}

#[test]
fn many_databases_of_every_mode_are_captured_together() {
    let volume = Volume::new();
    let banks: Vec<_> = (0..60)
        .map(|number| {
            let mode = ["wal", "delete", "persist"][number % 3];
            volume.bank(&format!("{number:02}.db"), mode, 1024, 50)
        })
        .collect();
    let mut snapshots = volume.snapshots();
    for bank in &banks {
        bank.execute("UPDATE account SET money = 0", []).expect("updates");
    }
    for snapshot in &mut snapshots {
        let facts = snapshot.facts(true).expect("facts");
        let image = volume.out("image.db");
        write_image(snapshot, &image);
        assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
        assert_eq!(sum(&image), 50_000, "{}", facts.path);
    }
}
