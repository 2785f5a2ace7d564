//! A table: its columns, and the key that identifies its rows.
//!
//! Rows are identified by the step's `key`. The default is the primary key; if none exists, or it contains NULLs, the
//! `rowid`. That is best effort, because a `VACUUM` may renumber the rows of a table without an `INTEGER PRIMARY KEY`.

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::{Failure, RowKey};
use crate::{quarantine::ColumnValue, store::sqlite::quoted};

#[derive(Debug)]
pub struct Table {
    pub sql: String,
    /// Stored columns, in order. Generated ones are left out, because they follow from the others.
    columns: Vec<Column>,
    /// A name for `rowid` that is not also the name of a column.
    rowid: Option<&'static str>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// Position in the primary key, from 1; 0 if it is not part of it.
    key: i64,
}

#[derive(Debug, Clone)]
pub struct Key {
    /// As they are recorded.
    pub names: Vec<String>,
    sql: Vec<String>,
}

impl Table {
    /// Finds a table by name; `Missing` if it does not exist.
    pub fn open(connection: &Connection, name: &str) -> Result<Self, Failure> {
        let sql = "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 COLLATE NOCASE";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?));
        let found: Option<(String, _, bool)> = connection.query_row(sql, [name], read).optional()?;
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

    /// The columns of the primary key, in its order.
    pub fn primary(&self) -> Vec<String> {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.clone()).collect()
    }

    pub fn stored(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    pub fn all_columns(&self) -> String {
        list(self.columns.iter().map(|column| quoted(&column.name)))
    }

    /// The column's name as the table spells it; `Missing` if it does not exist or is generated.
    pub fn column(&self, name: &str) -> Result<String, Failure> {
        let found = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
        found
            .map(|column| column.name.clone())
            .ok_or_else(|| Failure::Missing(format!("there is no column {name} in {}", self.plain())))
    }

    fn plain(&self) -> &str {
        self.sql.trim_start_matches("main.").trim_matches('"')
    }

    /// The columns that identify a row while a step acts: the `rowid`, or the primary key of a table that has none.
    pub fn locator(&self) -> Key {
        match self.rowid {
            Some(rowid) => Key { names: vec![rowid.to_owned()], sql: vec![rowid.to_owned()] },
            None => Key::of_columns(self.primary()),
        }
    }

    /// The values of these columns in the rows for which `matching` holds, which may also end with an order or a limit.
    pub fn select<T>(
        &self,
        connection: &Connection,
        columns: &str,
        matching: &str,
        parameters: impl Params,
        read: impl Fn(Vec<ColumnValue>) -> T,
    ) -> rusqlite::Result<Vec<T>> {
        let mut select = connection.prepare_cached(&format!("SELECT {columns} FROM {} WHERE {matching}", self.sql))?;
        let count = select.column_count();
        let value = |row: &Row<'_>, column| row.get_ref(column).map(ColumnValue::from);
        let rows = select.query_map(parameters, |row| {
            Ok(read((0..count).map(|column| value(row, column)).collect::<rusqlite::Result<_>>()?))
        })?;
        rows.collect()
    }

    /// Whether the condition holds for any row.
    pub fn holds(&self, connection: &Connection, condition: &str, parameters: impl Params) -> rusqlite::Result<bool> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {condition})", self.sql);
        connection.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0))
    }

    /// The name of its `rowid`, if a row can be recorded with it.
    pub fn rowid(&self) -> Option<&'static str> {
        self.rowid
    }

    /// These columns as a key. `rowid` means the row's number, unless a column has that name.
    pub fn key_of(&self, connection: &Connection, names: &[String]) -> Result<Key, Failure> {
        let mut key = self.resolve(names)?;
        let (table, is) = (&self.sql, key.is(1));
        // Without the server's own collation we can still compare bytes, only without an index.
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
                    // Under a name that is not a column's, because `rowid` may be one.
                    key.names.push(rowid.to_owned());
                }
                (Err(missing), _) => return Err(missing),
            }
        }
        Ok(key)
    }

    /// The key of a step: `given`, or one that we choose. Checks that it identifies the rows that match `condition`.
    pub fn key(&self, connection: &Connection, given: &[String], condition: &str) -> Result<Key, Failure> {
        if !given.is_empty() {
            let key = self.key_of(connection, given)?;
            if self.is_ambiguous(connection, &key, condition)? {
                let columns = key.names.join(", ");
                return Err(Failure::Refused(format!(
                    "`key` ({columns}) does not identify the rows of {}: several rows have the same values",
                    self.plain()
                )));
            }
            return Ok(key);
        }
        let primary = self.key_of(connection, &self.primary())?;
        // The primary key of a table with `rowid` may contain NULLs, because of an old bug that SQLite keeps for
        // compatibility.
        if primary.names.is_empty() || (self.rowid.is_some() && self.has_null(connection, &primary, condition)?) {
            return Ok(self.locator());
        }
        Ok(primary)
    }

    fn has_null(&self, connection: &Connection, key: &Key, condition: &str) -> rusqlite::Result<bool> {
        let null: Vec<_> = key.sql.iter().map(|column| format!("{column} IS NULL")).collect();
        self.holds(connection, &format!("({condition}\n) AND ({})", null.join(" OR ")), [])
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
    pub fn of_columns(names: Vec<String>) -> Self {
        Self { sql: names.iter().map(|name| quoted(name)).collect(), names }
    }

    pub fn columns(&self) -> String {
        list(self.sql.iter().cloned())
    }

    pub fn len(&self) -> usize {
        self.sql.len()
    }

    /// A condition for the row whose key is bound to the parameters from `first` on.
    pub fn is(&self, first: usize) -> String {
        let equal = self.sql.iter().zip(first..).map(|(column, parameter)| format!("{column} IS ?{parameter}"));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// A condition for the rows whose keys are in `table`.
    pub fn is_in(&self, table: &str) -> String {
        format!("({}) IN (SELECT * FROM {table})", self.columns())
    }

    pub fn has(&self, column: &str) -> bool {
        self.names.iter().any(|name| name.eq_ignore_ascii_case(column))
    }

    pub fn with(&self, values: Vec<ColumnValue>) -> RowKey {
        self.names.iter().cloned().zip(values).collect()
    }
}

pub fn list(columns: impl Iterator<Item = String>) -> String {
    columns.collect::<Vec<_>>().join(", ")
}

/// `?1, ?2, …`
pub fn parameters(count: usize) -> String {
    list((1..=count).map(|number| format!("?{number}")))
}
