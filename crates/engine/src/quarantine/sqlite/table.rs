//! A table: its columns, and what tells its rows apart.
//!
//! Rows are found again by the step's `key`; by default the primary key, or where there is none, or one with NULLs in it,
//! the `rowid`. No promise where it is the latter: a `VACUUM` may give the rows of a table without an
//! `INTEGER PRIMARY KEY` other ones.

use rusqlite::{Connection, OptionalExtension, Row};

use super::Failure;
use crate::{quarantine::ColumnValue, store::sqlite::quoted};

/// A table of the main database.
#[derive(Debug)]
pub struct Table {
    /// Its name, as SQL takes it.
    pub sql: String,
    /// Stored columns, in order: those that are computed follow from them.
    columns: Vec<Column>,
    /// The name that `rowid` goes by, if it has one that no column has taken.
    rowid: Option<&'static str>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// From one up, of the primary key.
    key: i64,
}

/// The columns that tell rows apart.
#[derive(Debug, Clone)]
pub struct Key {
    /// As they are remembered.
    pub names: Vec<String>,
    /// As SQL takes them.
    sql: Vec<String>,
}

impl Table {
    /// The table of this name. That it is not there is `Missing`.
    pub fn open(connection: &Connection, name: &str) -> Result<Self, Failure> {
        let found = connection
            .query_row(
                "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
                [name],
                |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?)),
            )
            .optional()?;
        match found {
            None => Err(Failure::Missing(format!("there is no table {name}"))),
            Some((_, kind, _)) if kind == "view" => {
                Err(Failure::Missing(format!("there is no table {name}: it is a view")))
            }
            Some((name, _, without_rowid)) => Ok(Self::read(connection, &name, without_rowid)?),
        }
    }

    fn read(connection: &Connection, name: &str, without_rowid: bool) -> rusqlite::Result<Self> {
        let mut info = connection.prepare("SELECT name, pk, hidden FROM pragma_table_xinfo(?1, 'main')")?;
        let rows =
            info.query_map([name], |row| Ok((Column { name: row.get(0)?, key: row.get(1)? }, row.get::<_, i64>(2)?)))?;
        let all: Vec<(Column, i64)> = rows.collect::<rusqlite::Result<_>>()?;
        let free = |name: &&str| all.iter().all(|(column, _)| !column.name.eq_ignore_ascii_case(name));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(free).filter(|_| !without_rowid);
        let columns = all.into_iter().filter(|(_, hidden)| *hidden == 0).map(|(column, _)| column).collect();
        Ok(Self { sql: format!("main.{}", quoted(name)), columns, rowid })
    }

    /// The columns that the primary key consists of, in its order.
    pub fn primary(&self) -> Vec<String> {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.clone()).collect()
    }

    /// Its stored columns.
    pub fn stored(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// What is selected to read every stored column.
    pub fn all_columns(&self) -> String {
        list(self.columns.iter().map(|column| quoted(&column.name)))
    }

    /// As the table spells it. That it is not there, or is computed, is `Missing`.
    pub fn column(&self, name: &str) -> Result<String, Failure> {
        let found = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        found
            .map(|column| column.name.clone())
            .ok_or_else(|| Failure::Missing(format!("there is no column {name} in {}", self.plain())))
    }

    /// Its name.
    fn plain(&self) -> &str {
        self.sql.trim_start_matches("main.").trim_matches('"')
    }

    /// What finds a row for as long as a step acts: the `rowid`, or where there is none, the primary key.
    pub fn locator(&self) -> Key {
        match self.rowid {
            Some(rowid) => Key { names: vec![rowid.to_owned()], sql: vec![rowid.to_owned()] },
            None => {
                let names = self.primary();
                Key { sql: names.iter().map(|name| quoted(name)).collect(), names }
            }
        }
    }

    /// The name under which its `rowid` is remembered with a row, where no column of the key holds it already.
    pub fn rowid(&self) -> Option<&'static str> {
        self.rowid
    }

    /// These columns as a key; `rowid` is the row's number, unless a column has that name.
    pub fn key_of(&self, connection: &Connection, names: &[String]) -> Result<Key, Failure> {
        let mut key = self.resolve(names)?;
        let (table, is) = (&self.sql, key.is(1));
        // Where only the server knows the column's order, bytes tell equal from unequal just as well, if not as fast.
        if !names.is_empty() && connection.prepare(&format!("SELECT 1 FROM {table} WHERE {is}")).is_err() {
            key.sql.iter_mut().for_each(|column| column.push_str(" COLLATE BINARY"));
        }
        Ok(key)
    }

    fn resolve(&self, names: &[String]) -> Result<Key, Failure> {
        let mut key = Key { names: Vec::new(), sql: Vec::new() };
        for name in names {
            let is_rowid = ["rowid", "_rowid_", "oid"].iter().any(|word| name.eq_ignore_ascii_case(word));
            match (self.column(name), self.rowid) {
                (Ok(column), _) => {
                    key.sql.push(quoted(&column));
                    key.names.push(column);
                }
                (Err(_), Some(rowid)) if is_rowid => {
                    key.sql.push(rowid.to_owned());
                    // Under a name that no column has: `rowid` may be one.
                    key.names.push(rowid.to_owned());
                }
                (Err(missing), _) => return Err(missing),
            }
        }
        Ok(key)
    }

    /// The key of a step that names `given`, or leaves it to us, for the rows that fulfil `condition`. It is checked
    /// that it tells them from all others.
    pub fn key(&self, connection: &Connection, given: &[String], condition: &str) -> Result<Key, Failure> {
        if !given.is_empty() {
            let key = self.key_of(connection, given)?;
            if self.is_ambiguous(connection, &key, condition)? {
                let columns = key.names.join(", ");
                return Err(Failure::Refused(format!(
                    "`key`, {columns}, does not tell the rows of {} apart: several of them have the same",
                    self.plain()
                )));
            }
            return Ok(key);
        }
        let primary = self.key_of(connection, &self.primary())?;
        // A primary key of a table with `rowid` may have NULLs, for the sake of an old mistake of SQLite's.
        if primary.names.is_empty() || (self.rowid.is_some() && self.has_null(connection, &primary, condition)?) {
            return Ok(self.locator());
        }
        Ok(primary)
    }

    fn has_null(&self, connection: &Connection, key: &Key, condition: &str) -> rusqlite::Result<bool> {
        let null: Vec<_> = key.sql.iter().map(|column| format!("{column} IS NULL")).collect();
        let (table, null) = (&self.sql, null.join(" OR "));
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {table} WHERE ({condition}\n) AND ({null}))");
        connection.query_row(&sql, [], |row| row.get(0))
    }

    fn is_ambiguous(&self, connection: &Connection, key: &Key, condition: &str) -> rusqlite::Result<bool> {
        let (table, columns) = (&self.sql, key.columns());
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM {table} GROUP BY {columns} HAVING count(*) > 1 AND sum(({condition}\n) IS TRUE))"
        );
        connection.query_row(&sql, [], |row| row.get(0))
    }
}

impl Key {
    /// What is selected to read it.
    pub fn columns(&self) -> String {
        list(self.sql.iter().cloned())
    }

    /// How many columns it has.
    pub fn len(&self) -> usize {
        self.sql.len()
    }

    /// What is true of the row whose key is bound from parameter `first` on.
    pub fn is(&self, first: usize) -> String {
        let equal = self.sql.iter().zip(first..).map(|(column, parameter)| format!("{column} IS ?{parameter}"));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// What is true of the rows whose keys a table holds.
    pub fn is_in(&self, table: &str) -> String {
        format!("({}) IN (SELECT * FROM {table})", self.columns())
    }

    /// Whether it has this column.
    pub fn has(&self, column: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(column))
    }

    /// Its columns with the values that a row has in them.
    pub fn with(&self, values: Vec<ColumnValue>) -> Vec<(String, ColumnValue)> {
        self.names.iter().cloned().zip(values).collect()
    }
}

/// With commas.
pub fn list(columns: impl Iterator<Item = String>) -> String {
    columns.collect::<Vec<_>>().join(", ")
}

/// Some columns of a row.
pub fn values(row: &Row<'_>, columns: std::ops::Range<usize>) -> rusqlite::Result<Vec<ColumnValue>> {
    columns.map(|column| row.get_ref(column).map(ColumnValue::from)).collect()
}
