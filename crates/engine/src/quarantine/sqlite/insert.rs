//! A row inserted, such as a dummy mail server or a banner.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};

use super::{
    Failure, RowBefore, RowChange, StepContext, StepEffect, is_constraint, refuse_infinite,
    table::{Key, Table, parameters},
};
use crate::{prelude::*, quarantine::ColumnValue, store::sqlite::words};
use profile::step::{Rows, Scalar};

pub fn act(context: &StepContext<'_>, row: &BTreeMap<String, Scalar>) -> Result<StepEffect, Failure> {
    refuse_infinite(row.values())?;
    let table = Table::open(context.connection, &context.rows.table)?;
    let row = Row::new(&table, row)?;
    let there = StepEffect { matched: 1, ..StepEffect::default() };
    for known in context.known.values() {
        let (names, values): (Vec<_>, Vec<_>) = known.key.iter().cloned().unzip();
        let key = table.key_of(context.connection, &names)?;
        if table.holds(context.connection, &key.is(1), params_from_iter(values))? {
            return Ok(there);
        }
    }
    let key = key(context.connection, &table, context.rows)?;
    if row.is_there(context, &table, &key)? {
        return Ok(there);
    }
    let was = row.insert(context, &table, &key)?;
    Ok(StepEffect { rows: vec![was], ..there })
}

/// The key of the row that would be inserted; values separated by commas, as far as the profile defines them.
pub fn inspect(connection: &Connection, rows: &Rows, row: &BTreeMap<String, Scalar>) -> Result<String, Failure> {
    let table = Table::open(connection, &rows.table)?;
    let row = Row::new(&table, row)?;
    let key = key(connection, &table, rows)?;
    Ok(key.names.iter().filter_map(|name| row.value(name)).map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn key(connection: &Connection, table: &Table, rows: &Rows) -> Result<Key, Failure> {
    match &*rows.key {
        [] => table.key(connection, &[], "FALSE"),
        given => table.key_of(connection, given),
    }
}

struct Row {
    columns: Key,
    values: Vec<ColumnValue>,
}

impl Row {
    fn new(table: &Table, row: &BTreeMap<String, Scalar>) -> Result<Self, Failure> {
        let columns = row.keys().map(|name| table.column(name)).collect::<Result<_, _>>()?;
        Ok(Self { columns: Key::of_columns(columns), values: row.values().map(ColumnValue::from).collect() })
    }

    fn value(&self, column: &str) -> Option<&ColumnValue> {
        let at = self.columns.names.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(at)
    }

    /// Whether the server already has this row. Refuses a row with the same key and other values.
    fn is_there(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<bool, Failure> {
        let Some(values) = key.names.iter().map(|name| self.value(name)).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        if !table.holds(context.connection, &key.is(1), params_from_iter(values))? {
            return Ok(false);
        }
        match table.holds(context.connection, &self.columns.is(1), params_from_iter(&self.values))? {
            true => Ok(true),
            false => Err(Failure::Refused("a different row with the same key exists already".into())),
        }
    }

    fn insert(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let (columns, parameters) = (self.columns.columns(), parameters(self.values.len()));
        let sql = format!("INSERT INTO {} ({columns}) VALUES ({parameters})", table.sql);
        context.connection.execute(&sql, params_from_iter(&self.values)).map_err(|cause| {
            match is_constraint(&cause) {
                true => Failure::Refused(format!("cannot insert the row: {}", words(&cause))),
                false => cause.into(),
            }
        })?;
        self.inserted(context, table, key)
    }

    /// The row as SQLite stored it.
    fn inserted(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let locator = table.locator();
        let given = match table.rowid() {
            Some(_) => vec![ColumnValue::Integer(context.connection.last_insert_rowid())],
            None => locator.names.iter().map(|name| self.value(name).cloned().unwrap_or(ColumnValue::Null)).collect(),
        };
        let columns = format!("{}, {}", key.columns(), table.all_columns());
        let found = table.select(context.connection, &columns, &locator.is(1), params_from_iter(given), |row| row)?;
        let mut keys = found.into_iter().next().ok_or_else(|| {
            Failure::Refused("the row to insert must have a value in every column of the primary key".into())
        })?;
        let columns = table.stored().into_iter().zip(keys.split_off(key.len())).collect();
        Ok(context.row(key.with(keys), RowChange::Inserted { columns }))
    }
}
