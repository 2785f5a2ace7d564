//! One row restored, if it still is as quarantine left it.
//!
//! A column is restored if it still has the value that quarantine wrote. A column that already has its old value counts
//! as restored, so that undoing is idempotent. A deleted row comes back completely or not at all.

use std::collections::HashMap;

use rusqlite::{Connection, params_from_iter};

use super::{
    ColumnWas, Failure, RowBefore, RowChange, is_constraint,
    table::{Key, Table, list, parameters},
};
use crate::{
    quarantine::{ColumnValue, Outcome},
    store::sqlite::{quoted, words},
};

#[derive(Debug)]
pub struct Undo<'a> {
    connection: &'a Connection,
    table: Table,
    keys: HashMap<Vec<String>, Key>,
}

type Columns = [(String, ColumnValue)];

impl<'a> Undo<'a> {
    pub fn of(connection: &'a Connection, table: &str) -> Result<Self, Failure> {
        Ok(Self { connection, table: Table::open(connection, table)?, keys: HashMap::new() })
    }

    pub fn row(&mut self, was: &RowBefore) -> Result<Outcome, Failure> {
        let done = match &was.change {
            RowChange::Updated(columns) => self.updated(was, columns),
            RowChange::Deleted { rowid, columns } => self.deleted(was, *rowid, columns),
            RowChange::Inserted { columns } => self.inserted(was, columns),
        };
        match done {
            // A newer version of the server may have other columns and other constraints.
            Err(Failure::Missing(what)) => Ok(Outcome::Left(what)),
            Err(Failure::Sql(cause)) if is_constraint(&cause) => Ok(Outcome::Left(words(&cause))),
            other => other,
        }
    }

    fn updated(&mut self, was: &RowBefore, columns: &[ColumnWas]) -> Result<Outcome, Failure> {
        let columns: Vec<&ColumnWas> = columns.iter().filter(|column| column.is_changed()).collect();
        let names = columns.iter().map(|column| &column.name);
        let current = match &mut *self.read(was, names)? {
            [] => return Ok(Outcome::Left("the row is gone".to_owned())),
            [row] => std::mem::take(row),
            _ => return Ok(Outcome::Left("several rows have its key now".to_owned())),
        };
        let pairs = || columns.iter().zip(&current);
        let changed = pairs().filter(|(column, current)| **current != column.new && **current != column.old);
        let changed: Vec<&str> = changed.map(|(column, _)| &*column.name).collect();
        let to_write = pairs().filter(|(column, current)| **current == column.new).map(|(column, _)| *column);
        self.write(was, &to_write.collect::<Vec<_>>())?;
        match changed.len() {
            0 => Ok(Outcome::Released),
            count if count == columns.len() => Ok(Outcome::Left(format!("changed since: {}", changed.join(", ")))),
            _ => {
                let changed = changed.join(", ");
                Ok(Outcome::Left(format!("changed since, while the other columns were restored: {changed}")))
            }
        }
    }

    fn write(&mut self, was: &RowBefore, columns: &[&ColumnWas]) -> Result<(), Failure> {
        if columns.is_empty() {
            return Ok(());
        }
        let this = self.key(was)?.is(columns.len() + 1);
        let set = list(columns.iter().zip(1..).map(|(column, at)| format!("{} = ?{at}", quoted(&column.name))));
        let values = columns.iter().map(|column| &column.old).chain(was.key.iter().map(|(_, value)| value));
        let sql = format!("UPDATE {} SET {set} WHERE {this}", self.table.sql);
        self.connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }

    fn deleted(&mut self, was: &RowBefore, rowid: Option<i64>, columns: &Columns) -> Result<Outcome, Failure> {
        let there = self.read(was, columns.iter().map(|(name, _)| name))?;
        match &*there {
            [] => self.insert(rowid, columns).map(|()| Outcome::Released),
            [row] if is_same(row, columns) => Ok(Outcome::Released),
            _ => Ok(Outcome::Left("another row has its key now".to_owned())),
        }
    }

    fn insert(&self, rowid: Option<i64>, columns: &Columns) -> Result<(), Failure> {
        let number = rowid.map(ColumnValue::Integer);
        let rowid = match (self.table.rowid(), &number) {
            (Some(name), Some(number)) if self.is_free(name, number)? => Some((name.to_owned(), number)),
            _ => None,
        };
        let all = rowid.into_iter().chain(columns.iter().map(|(name, value)| (quoted(name), value)));
        let (names, values): (Vec<String>, Vec<&ColumnValue>) = all.unzip();
        let (table, names, parameters) = (&self.table.sql, names.join(", "), parameters(values.len()));
        let sql = format!("INSERT INTO {table} ({names}) VALUES ({parameters})");
        self.connection.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(())
    }

    /// Another row may have the same `rowid` by now, unless that is the key. Then this row gets a new one.
    fn is_free(&self, rowid: &str, number: &ColumnValue) -> rusqlite::Result<bool> {
        Ok(!self.table.holds(self.connection, &format!("{rowid} = ?1"), [number])?)
    }

    fn inserted(&mut self, was: &RowBefore, columns: &Columns) -> Result<Outcome, Failure> {
        match &*self.read(was, columns.iter().map(|(name, _)| name))? {
            [] => Ok(Outcome::Released),
            [row] if is_same(row, columns) => {
                let this = self.key(was)?.is(1);
                let sql = format!("DELETE FROM {} WHERE {this}", self.table.sql);
                let key = was.key.iter().map(|(_, value)| value);
                self.connection.prepare_cached(&sql)?.execute(params_from_iter(key))?;
                Ok(Outcome::Released)
            }
            _ => Ok(Outcome::Left("it was changed since, so it stays".to_owned())),
        }
    }

    /// The given columns of the rows with this key. More than one row is a conflict.
    fn read<'n>(
        &mut self,
        was: &RowBefore,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<Vec<Vec<ColumnValue>>, Failure> {
        let columns = names.map(|name| self.table.column(name)).collect::<Result<Vec<_>, _>>()?;
        let matching = format!("{} LIMIT 2", self.key(was)?.is(1));
        let columns = list(columns.iter().map(|name| quoted(name)));
        let key = params_from_iter(was.key.iter().map(|(_, value)| value));
        Ok(self.table.select(self.connection, &columns, &matching, key, |row| row)?)
    }

    fn key(&mut self, was: &RowBefore) -> Result<Key, Failure> {
        let names: Vec<String> = was.key.iter().map(|(name, _)| name.clone()).collect();
        if let Some(key) = self.keys.get(&names) {
            return Ok(key.clone());
        }
        let key = self.table.key_of(self.connection, &names)?;
        self.keys.insert(names, key.clone());
        Ok(key)
    }
}

fn is_same(row: &[ColumnValue], columns: &Columns) -> bool {
    row.iter().eq(columns.iter().map(|(_, value)| value))
}
