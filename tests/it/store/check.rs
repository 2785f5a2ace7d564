//! Damage is found, told, and carried along.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use engine::store::sqlite::{DatabaseFacts, check_image};

use super::support::{Volume, names, python};

fn damage(path: &Path, at: u64, with: &[u8]) {
    OpenOptions::new().write(true).open(path).expect("opens").write_all_at(with, at).expect("writes");
}

/// With a function and a collation that only this server has.
fn as_the_server(volume: &Volume, sql: &str) {
    let script = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        db.create_collation('SERVER', lambda a, b: (a > b) - (a < b))\n\
        db.create_function('server_says', 1, lambda x: 1, deterministic=True)\n\
        db.executescript(sys.argv[2])";
    python(script, &[volume.path("bank.db").as_os_str(), sql.as_ref()]);
}

/// The same faults at the source and in the image: nothing new.
fn captured_as_it_is(volume: &Volume) -> DatabaseFacts {
    let source = fs::read(volume.path("bank.db")).expect("reads");
    let (image, facts) = volume.capture();
    assert!(!facts.findings.is_empty(), "the damage is told");
    assert_eq!(fs::read(&image).expect("reads"), source, "what there is, is captured");
    assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new(), "and nothing new is wrong with it");
    facts
}

#[test]
fn a_damaged_page_is_a_finding() {
    for journal_mode in ["wal", "delete"] {
        let volume = Volume::new();
        drop(volume.bank("bank.db", journal_mode, 4096, 1000));
        damage(&volume.path("bank.db"), 3 * 4096, &[0xff; 512]);
        captured_as_it_is(&volume);
    }
}

#[test]
fn a_damaged_schema_is_a_finding() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "delete", 4096, 1000));
    let content = fs::read(volume.path("bank.db")).expect("reads");
    let at = content.windows(12).position(|window| window == b"CREATE TABLE").expect("a schema");
    damage(&volume.path("bank.db"), at as u64, b"BANANA");
    let facts = captured_as_it_is(&volume);
    assert!(facts.findings[0].contains("malformed database schema"), "{facts:?}");
}

#[test]
fn a_database_that_was_cut_off_is_a_finding() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "delete", 4096, 1000));
    OpenOptions::new().write(true).open(volume.path("bank.db")).expect("opens").set_len(5 * 4096).expect("cuts");
    captured_as_it_is(&volume);
}

#[test]
fn what_sqlite_cannot_open_at_all_is_captured_as_it_is() {
    let volume = Volume::new();
    let mut content = b"SQLite format 3\0".to_vec();
    content.extend((0..5000_u32).map(|byte| (byte * 7 % 251) as u8));
    volume.write("bank.db", content);
    let facts = captured_as_it_is(&volume);
    assert_eq!(facts.findings, ["file is not a database"]);
}

#[test]
fn damage_that_the_backup_does_not_know_of_is_new() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "wal", 4096, 1000));
    let (image, facts) = volume.capture();
    let good = fs::read(&image).expect("reads");
    assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
    assert_eq!(names(image.parent().expect("a folder")), std::slice::from_ref(&image), "no sidecar is made");
    assert_eq!(fs::read(&image).expect("reads"), good, "nor is the image changed");

    damage(&image, 3 * 4096, &[0xff; 512]);
    assert!(!check_image(&image, &facts).expect("checks").is_empty());
    fs::write(&image, &good[..good.len() - 4096]).expect("writes");
    assert!(!check_image(&image, &facts).expect("checks").is_empty(), "a page too few");
    fs::write(&image, b"SQLite format 3\0 and then not").expect("writes");
    assert!(!check_image(&image, &facts).expect("checks").is_empty(), "no database");
    fs::write(&image, b"").expect("writes");
    assert!(!check_image(&image, &facts).expect("checks").is_empty(), "nothing");
}

#[test]
fn another_database_in_its_place_is_told() {
    let volume = Volume::new();
    let bank = volume.bank("bank.db", "delete", 4096, 1000);
    let (_, facts) = volume.capture();
    bank.execute_batch("PRAGMA user_version = 43; PRAGMA application_id = 8").expect("changes");
    let found = check_image(&volume.path("bank.db"), &facts).expect("checks");
    assert_eq!(
        found,
        ["its application_id is 8, but the manifest says 7", "its user_version is 43, but the manifest says 42"]
    );
}

#[test]
fn what_only_the_server_has_is_a_warning() {
    for journal_mode in ["wal", "delete"] {
        let volume = Volume::new();
        drop(volume.bank("bank.db", journal_mode, 4096, 100));
        as_the_server(
            &volume,
            "CREATE TABLE name(text TEXT COLLATE SERVER PRIMARY KEY) WITHOUT ROWID; INSERT INTO name VALUES ('b'), ('aa');
             CREATE TABLE rule(x CHECK (server_says(x))); INSERT INTO rule VALUES (3);
             CREATE INDEX by_rule ON rule(server_says(x));
             CREATE TABLE made(x, y TEXT NOT NULL AS (server_says(x))); INSERT INTO made VALUES (1);",
        );
        let (image, facts) = volume.capture();
        assert_eq!(facts.findings, Vec::<String>::new(), "{journal_mode}");
        assert!(facts.warnings.iter().any(|warning| warning.contains("SERVER")), "{facts:?}");
        assert!(facts.warnings.iter().any(|warning| warning.contains("server_says")), "{facts:?}");
        assert_eq!(check_image(&image, &facts).expect("checks"), Vec::<String>::new());
    }
}

#[test]
fn damage_is_found_behind_what_only_the_server_has() {
    let volume = Volume::new();
    drop(volume.bank("bank.db", "delete", 4096, 1000));
    as_the_server(&volume, "CREATE TABLE name(text TEXT COLLATE SERVER PRIMARY KEY) WITHOUT ROWID");
    damage(&volume.path("bank.db"), 3 * 4096, &[0xff; 512]);
    let facts = captured_as_it_is(&volume);
    assert!(!facts.warnings.is_empty());
}
