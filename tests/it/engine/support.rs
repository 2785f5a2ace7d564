//! A staged copy with databases in it, and steps in a line each.

use std::{collections::BTreeMap, fs, path::PathBuf};

use engine::quarantine::{self as apps, Chosen, QuarantineRecord, Release};
use profile::step::{Action, Change, Moment, Rows, Scalar, Step};
use rusqlite::{Connection, types::ValueRef};
use volume::error::{Error, Result};

/// A staged copy.
pub struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    /// With one database, `app.db`.
    pub fn with(sql: &str) -> Self {
        let copy = Self { folder: tempfile::tempdir().expect("a folder") };
        copy.sql("app.db", sql);
        copy
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a server, or a user of it, does to a database.
    pub fn sql(&self, database: &str, sql: &str) {
        let path = self.path(database);
        fs::create_dir_all(path.parent().expect("has one")).expect("made");
        let connection = Connection::open(path).expect("opens");
        connection.execute_batch(sql).expect("is SQL");
    }

    /// Rows, each as SQL would write it.
    pub fn rows(&self, database: &str, sql: &str) -> Vec<String> {
        let connection = Connection::open(self.path(database)).expect("opens");
        let mut select = connection.prepare(sql).expect("is SQL");
        let columns = select.column_count();
        let rows = select.query_map([], |row| {
            let values = (0..columns).map(|column| row.get_ref(column).map(literal));
            Ok(values.collect::<rusqlite::Result<Vec<_>>>()?.join("|"))
        });
        rows.expect("selects").collect::<rusqlite::Result<_>>().expect("reads")
    }

    /// The rows of a table of `app.db`.
    pub fn table(&self, table: &str) -> Vec<String> {
        self.rows("app.db", &format!("SELECT * FROM {table}"))
    }

    pub fn off(&self, steps: &[Step]) -> (QuarantineRecord, Vec<String>) {
        self.off_again(steps, None)
    }

    pub fn off_again(&self, steps: &[Step], before: Option<QuarantineRecord>) -> (QuarantineRecord, Vec<String>) {
        let (memory, warnings) = self.try_off(steps, before).expect("quarantines");
        assert!(!memory.pending);
        (reread(&memory), warnings)
    }

    pub fn try_off(&self, steps: &[Step], before: Option<QuarantineRecord>) -> Result<(QuarantineRecord, Vec<String>)> {
        apps::quarantine(self.folder.path(), steps, before, &mut |_| Ok(()))
    }

    /// The error of a quarantine, after which nothing is other than before.
    pub fn refuses(&self, steps: &[Step]) -> Error {
        let before = fs::read(self.path("app.db")).expect("reads");
        let mut kept = 0;
        let refused = apps::quarantine(self.folder.path(), steps, None, &mut |_| {
            kept += 1;
            Ok(())
        });
        let error = refused.expect_err("refuses");
        assert_eq!((kept, error.code().exit()), (0, 13), "{error}");
        assert!(fs::read(self.path("app.db")).expect("reads") == before, "the database was changed");
        error
    }

    pub fn on(&self, memory: &QuarantineRecord) -> Release {
        let mut memory = memory.clone();
        let release = self.release(&mut memory, &Chosen::All);
        assert!(memory.is_over());
        release
    }

    pub fn release(&self, memory: &mut QuarantineRecord, chosen: &Chosen) -> Release {
        apps::release(self.folder.path(), memory, chosen, &mut |_| Ok(())).expect("releases")
    }

    pub fn root(&self) -> &std::path::Path {
        self.folder.path()
    }
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => format!("'{}'", bytes.escape_ascii()),
        ValueRef::Blob(bytes) => format!("x'{}'", bytes.escape_ascii()),
    }
}

/// Through its file: what is not in that is not remembered.
pub fn reread(memory: &QuarantineRecord) -> QuarantineRecord {
    let bytes = memory.to_bytes().expect("is written");
    let read = QuarantineRecord::from_bytes(&bytes, "quarantine.json".as_ref()).expect("is read");
    assert_eq!(read, *memory);
    read
}

pub fn ids(memory: &QuarantineRecord) -> Vec<String> {
    memory.apps().map(|app| app.id).collect()
}

pub fn named(names: &[&str]) -> Chosen {
    Chosen::Named(names.iter().map(|&name| name.to_owned()).collect())
}

/// `released of of: why each other was left`
pub fn summary(release: &Release) -> Vec<String> {
    let line = |step: &apps::ReleasedStep| {
        let left = step.left.iter().map(|left| format!("; {}: {}", left.id, left.why)).collect::<String>();
        format!("{} {} of {}{left}", step.step, step.released, step.of)
    };
    release.steps.iter().map(line).collect()
}

/// A step on a table of `app.db`, named as the table is.
pub fn rows(table: &str, filter: &str, change: Change) -> Step {
    let filter = Some(filter.to_owned()).filter(|filter| !filter.is_empty());
    let rows =
        Rows { database: "app.db".to_owned(), table: table.to_owned(), key: Vec::new(), filter, when: None, change };
    Step { name: table.to_owned(), at: Moment::Restore, optional: false, action: Action::Sqlite(rows) }
}

pub fn set(table: &str, filter: &str, columns: &[(&str, Scalar)]) -> Step {
    rows(table, filter, Change::Update { set: scalars(columns), expr: BTreeMap::new() })
}

pub fn expr(table: &str, filter: &str, columns: &[(&str, &str)]) -> Step {
    let expr = columns.iter().map(|&(name, sql)| (name.to_owned(), sql.to_owned())).collect();
    rows(table, filter, Change::Update { set: BTreeMap::new(), expr })
}

pub fn delete(table: &str, filter: &str) -> Step {
    rows(table, filter, Change::Delete { discard: false })
}

pub fn discard(table: &str, filter: &str) -> Step {
    rows(table, filter, Change::Delete { discard: true })
}

pub fn insert(table: &str, columns: &[(&str, Scalar)]) -> Step {
    rows(table, "", Change::Insert(scalars(columns)))
}

fn scalars(columns: &[(&str, Scalar)]) -> BTreeMap<String, Scalar> {
    columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

/// `set = { enabled = false }`
pub fn off(table: &str) -> Step {
    set(table, "enabled = 1", &[("enabled", Scalar::Integer(0))])
}

pub fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

/// What a step may say besides.
pub trait And {
    fn with(self, change: impl FnOnce(&mut Rows)) -> Self;
    fn called(self, name: &str) -> Self;
    fn at_release(self) -> Self;
    fn optional(self) -> Self;
}

impl And for Step {
    fn with(mut self, change: impl FnOnce(&mut Rows)) -> Self {
        let Action::Sqlite(rows) = &mut self.action else { panic!("a step on rows") };
        change(rows);
        self
    }

    fn called(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    fn at_release(mut self) -> Self {
        self.at = Moment::Release;
        self
    }

    fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}
