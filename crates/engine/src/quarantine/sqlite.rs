//! Steps on the rows of a SQLite database, within the caller's transaction.
//!
//! ```text
//! act       find the rows that match, except those off already → read → change them in one plain SQL statement → read
//!           them again, as SQLite stored them
//! undo      restore one row, if it still is as we left it
//! inspect   find the rows that match
//! ```
//! We read the new values back instead of computing them, because a column's affinity may convert a value, and the values
//! must compare equal at release.

mod delete;
mod insert;
mod row;
mod table;
mod undo;
mod update;

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, params_from_iter};

use self::{
    table::{Key, Table},
    update::UpdatePlan,
};
use super::ColumnValue;
use crate::{prelude::*, store::sqlite::words};
use profile::step::{Change, Rows, Scalar};

pub use self::{
    row::{ColumnWas, RowBefore, RowChange},
    undo::Undo,
};

#[derive(Debug)]
pub enum Failure {
    /// A table or column that it needs does not exist.
    Missing(String),
    /// The step cannot act on this database.
    Refused(String),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        let says = words(&cause);
        let is_name = ["no such column: ", "no such table: "].iter().any(|start| says.starts_with(start));
        // A string in double quotes is a mistake in the profile. No other version of the server would have that column.
        match is_name && !says.contains("should this be a string literal") {
            true => Self::Missing(says),
            false => Self::Sql(cause),
        }
    }
}

#[derive(Debug, Default)]
pub struct StepEffect {
    pub matched: usize,
    /// The rows that it changed. For rows that were recorded before, the entries that replace the old ones.
    pub rows: Vec<RowBefore>,
    pub warnings: Vec<String>,
}

/// The key of a row: the columns that identify it, with their values.
pub type RowKey = Vec<(String, ColumnValue)>;

/// Rows of one database that the step switched off earlier, by key.
pub type KnownRows<'a> = HashMap<&'a [(String, ColumnValue)], &'a RowBefore>;

/// Whether `when` holds for this database.
pub fn exists(connection: &Connection, rows: &Rows) -> Result<bool, Failure> {
    match &rows.when {
        None => Ok(true),
        Some(when) => Ok(connection.query_row(&format!("SELECT ({when}\n) IS TRUE"), [], |row| row.get(0))?),
    }
}

pub fn act(connection: &Connection, path: &RelPath, rows: &Rows, known: &KnownRows<'_>) -> Result<StepEffect, Failure> {
    let context = StepContext { connection, path, rows, known };
    match &rows.change {
        Change::Update { set, expr } => update::act(&context, set, expr),
        Change::Delete { discard: true } => delete::discard(&context),
        Change::Delete { discard: false } => delete::act(&context),
        Change::Insert(values) => insert::act(&context, values),
    }
}

/// The keys of the rows that a step would act on now; values separated by commas.
pub fn inspect(connection: &Connection, rows: &Rows) -> Result<Vec<String>, Failure> {
    let (table, key, condition, given) = match &rows.change {
        Change::Update { set, expr } => {
            let plan = UpdatePlan::new(connection, rows, set, expr)?;
            let condition = format!("({}\n) AND ({})", condition(rows), plan.differs());
            (plan.table, plan.key, condition, plan.given)
        }
        Change::Delete { .. } => {
            let table = Table::open(connection, &rows.table)?;
            let key = table.key(connection, &rows.key, condition(rows))?;
            (table, key, condition(rows).to_owned(), Vec::new())
        }
        Change::Insert(row) => return Ok(vec![insert::inspect(connection, rows, row)?]),
    };
    let matching = format!("({condition}\n) ORDER BY {}", table.locator().columns());
    let name = |key: Vec<ColumnValue>| key.iter().map(ColumnValue::to_string).collect::<Vec<_>>().join(",");
    Ok(table.select(connection, &key.columns(), &matching, params_from_iter(given), name)?)
}

struct StepContext<'a> {
    connection: &'a Connection,
    path: &'a RelPath,
    rows: &'a Rows,
    known: &'a KnownRows<'a>,
}

struct FoundRow {
    locator: Vec<ColumnValue>,
    key: RowKey,
    values: Vec<ColumnValue>,
}

impl StepContext<'_> {
    /// The rows that match, with the values of these columns.
    fn matching(&self, table: &Table, key: &Key, columns: &str) -> rusqlite::Result<Vec<FoundRow>> {
        let locator = table.locator();
        let (find, keys) = (locator.columns(), key.columns());
        let matching = format!("({}\n) ORDER BY {find}", condition(self.rows));
        let read = |row: Vec<ColumnValue>| {
            let mut row = row.into_iter();
            let locator = row.by_ref().take(locator.len()).collect();
            let key = key.with(row.by_ref().take(key.len()).collect());
            FoundRow { locator, key, values: row.collect() }
        };
        table.select(self.connection, &format!("{find}, {keys}, {columns}"), &matching, [], read)
    }

    fn row(&self, key: RowKey, change: RowChange) -> RowBefore {
        RowBefore { database: self.path.clone(), key, change }
    }
}

/// The `where` of a step. Callers put a line break after it, because it may end with a comment.
fn condition(rows: &Rows) -> &str {
    rows.filter.as_deref().unwrap_or("TRUE")
}

/// JSON cannot represent infinity, so we could not record the step.
fn refuse_infinite<'a>(mut values: impl Iterator<Item = &'a Scalar>) -> Result<(), Failure> {
    match values.any(|value| matches!(value, Scalar::Real(number) if !number.is_finite())) {
        true => Err(Failure::Refused("a value is not a finite number".to_owned())),
        false => Ok(()),
    }
}

fn is_constraint(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
