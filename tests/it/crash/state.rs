//! What a server would lose: files and a database, all of one generation.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

/// Everything that a backup holds: what every file says, and what the database says.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    rows: Vec<(i64, String)>,
}

impl State {
    /// A database of half a mebibyte in WAL mode, and files, all of one generation.
    pub fn write(data: &Path, generation: &str, files: &[&str]) {
        for file in files {
            let path = data.join(file);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("made");
            fs::write(path, format!("{{ \"generation\": \"{generation}\", \"file\": \"{file}\" }}\n"))
                .expect("written");
        }
        let connection = Connection::open(data.join("app.db")).expect("opens");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, generation TEXT NOT NULL, bulk BLOB NOT NULL);
                 DELETE FROM t",
            )
            .expect("a table");
        for id in 0..32 {
            connection.execute("INSERT INTO t VALUES (?1, ?2, randomblob(16384))", (id, generation)).expect("a row");
        }
    }

    pub fn of(data: &Path) -> Self {
        let mut files = BTreeMap::new();
        read_files(data, Path::new(""), &mut files);
        let connection = Connection::open(data.join("app.db")).expect("the database opens");
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("checked");
        assert_eq!(check, "ok");
        let mut query = connection.prepare("SELECT id, generation FROM t ORDER BY id").expect("the table is there");
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("readable");
        Self { files, rows: rows.map(|row| row.expect("readable")).collect() }
    }
}

fn read_files(data: &Path, below: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(data.join(below)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = below.join(entry.file_name());
        let name = path.to_string_lossy().into_owned();
        if [".moorline", "Init", "Backups"].contains(&name.as_str()) || name.starts_with("app.db") {
            continue;
        }
        if entry.path().is_dir() {
            read_files(data, &path, files);
        } else {
            files.insert(path, fs::read(entry.path()).expect("readable"));
        }
    }
}
