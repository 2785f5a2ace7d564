//! A row inserted, such as a dummy mail server or a banner.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params_from_iter};

use super::{
    Failure, RowBefore, RowChange, SqlScalar, StepContext, StepEffect, is_constraint, refuse_infinite,
    table::{Key, Table, list, values},
};
use crate::{quarantine::ColumnValue, store::sqlite::quoted};
use profile::step::Scalar;

pub fn act(context: &StepContext<'_>, row: &BTreeMap<String, Scalar>) -> Result<StepEffect, Failure> {
    refuse_infinite(row.values())?;
    let table = Table::open(context.connection, &context.rows.table)?;
    let row = Row::new(&table, row)?;
    let there = StepEffect { matched: 1, ..StepEffect::default() };
    for known in context.known.values() {
        if find(context, &table, &table.key_of(context.connection, &names(known))?, &key_values(known))?.is_some() {
            return Ok(there);
        }
    }
    let key = row.key(context, &table)?;
    if row.is_there(context, &table, &key)? {
        return Ok(there);
    }
    let was = row.insert(context, &table, &key)?;
    Ok(StepEffect { rows: vec![was], ..there })
}

/// The values of the row with this key.
fn find(
    context: &StepContext<'_>,
    table: &Table,
    key: &Key,
    is: &[ColumnValue],
) -> rusqlite::Result<Option<Vec<ColumnValue>>> {
    let (all, sql, count) = (table.all_columns(), &table.sql, table.stored().len());
    let mut select = context.connection.prepare(&format!("SELECT {all} FROM {sql} WHERE {}", key.is(1)))?;
    select.query_row(params_from_iter(is), |row| values(row, 0..count)).optional()
}

fn names(was: &RowBefore) -> Vec<String> {
    was.key.iter().map(|(name, _)| name.clone()).collect()
}

fn key_values(was: &RowBefore) -> Vec<ColumnValue> {
    was.key.iter().map(|(_, value)| value.clone()).collect()
}

/// The row as the profile describes it.
struct Row<'a> {
    columns: Vec<String>,
    values: Vec<&'a Scalar>,
}

impl<'a> Row<'a> {
    fn new(table: &Table, row: &'a BTreeMap<String, Scalar>) -> Result<Self, Failure> {
        let columns = row.keys().map(|name| table.column(name)).collect::<Result<_, _>>()?;
        Ok(Self { columns, values: row.values().collect() })
    }

    fn value(&self, column: &str) -> Option<&'a Scalar> {
        let at = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(at).copied()
    }

    fn key(&self, context: &StepContext<'_>, table: &Table) -> Result<Key, Failure> {
        match &*context.rows.key {
            [] => table.key(context.connection, &[], "FALSE"),
            given => table.key_of(context.connection, given),
        }
    }

    /// Whether the server already has this row. Refuses a row with the same key and other values.
    fn is_there(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<bool, Failure> {
        let Some(values) = key.names.iter().map(|name| self.value(name)).collect::<Option<Vec<_>>>() else {
            return Ok(false);
        };
        let same = |condition: &str, values: &[&Scalar]| {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {} WHERE {condition})", table.sql);
            let values = values.iter().map(|value| SqlScalar(value));
            context.connection.query_row(&sql, params_from_iter(values), |row| row.get::<_, bool>(0))
        };
        if !same(&key.is(1), &values)? {
            return Ok(false);
        }
        let columns = self.columns.iter().zip(1..).map(|(column, number)| format!("{} IS ?{number}", quoted(column)));
        match same(&columns.collect::<Vec<_>>().join(" AND "), &self.values)? {
            true => Ok(true),
            false => Err(Failure::Refused("a different row with the same key exists already".into())),
        }
    }

    fn insert(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let columns = list(self.columns.iter().map(|column| quoted(column)));
        let parameters = list((1..=self.columns.len()).map(|number| format!("?{number}")));
        let sql = format!("INSERT INTO {} ({columns}) VALUES ({parameters})", table.sql);
        let given = self.values.iter().map(|value| SqlScalar(value));
        context.connection.execute(&sql, params_from_iter(given)).map_err(|cause| match is_constraint(&cause) {
            true => Failure::Refused(format!("cannot insert the row: {}", crate::store::sqlite::words(&cause))),
            false => cause.into(),
        })?;
        self.inserted(context, table, key)
    }

    /// The row as SQLite stored it.
    fn inserted(&self, context: &StepContext<'_>, table: &Table, key: &Key) -> Result<RowBefore, Failure> {
        let (locator, names) = (table.locator(), table.stored());
        let (keys, all, sql, this) = (key.columns(), table.all_columns(), &table.sql, locator.is(1));
        let mut select = context.connection.prepare(&format!("SELECT {keys}, {all} FROM {sql} WHERE {this}"))?;
        let read = |row: &rusqlite::Row<'_>| {
            let columns = values(row, key.len()..key.len() + names.len())?;
            let columns = names.iter().cloned().zip(columns).collect();
            Ok(context.row(key.with(values(row, 0..key.len())?), RowChange::Inserted { columns }))
        };
        let found = match table.rowid() {
            Some(_) => select.query_row([context.connection.last_insert_rowid()], read),
            None => {
                let given = locator.names.iter().map(|name| SqlScalar(self.value(name).unwrap_or(&Scalar::Null)));
                select.query_row(params_from_iter(given), read)
            }
        };
        found.optional()?.ok_or_else(|| {
            Failure::Refused("the row to insert must have a value in every column of the primary key".into())
        })
    }
}
