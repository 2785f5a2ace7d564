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
mod inspect;
mod row;
mod table;
mod undo;
mod update;

use std::collections::HashMap;

use rusqlite::{Connection, ErrorCode, types::ToSqlOutput};

pub use self::{
    inspect::inspect,
    row::{ColumnWas, RowBefore, RowChange},
    undo::Undo,
};
use super::ColumnValue;
use crate::store::sqlite::words;
use profile::step::{Change, Rows, Scalar};
use seqbac_header::RelPath;

/// Why a step failed on a database.
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

/// The effect of a step on a database.
#[derive(Debug, Default)]
pub struct StepEffect {
    /// How many rows match.
    pub matched: usize,
    /// The rows that it changed. For rows that were recorded before, the entries that replace the old ones.
    pub rows: Vec<RowBefore>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

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

/// A step on one database.
struct StepContext<'a> {
    connection: &'a Connection,
    path: &'a RelPath,
    rows: &'a Rows,
    known: &'a KnownRows<'a>,
}

impl StepContext<'_> {
    /// The `where` of the step. Callers put a line break after it, because it may end with a comment.
    fn condition(&self) -> &str {
        condition(self.rows)
    }

    fn row(&self, key: Vec<(String, ColumnValue)>, change: RowChange) -> RowBefore {
        RowBefore { database: self.path.clone(), key, change }
    }
}

fn condition(rows: &Rows) -> &str {
    rows.filter.as_deref().unwrap_or("TRUE")
}

/// A value from a profile.
struct SqlScalar<'a>(&'a Scalar);

impl rusqlite::ToSql for SqlScalar<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self.0 {
            Scalar::Null => Ok(rusqlite::types::Null.into()),
            Scalar::Integer(number) => number.to_sql(),
            Scalar::Real(number) => number.to_sql(),
            Scalar::Text(text) => text.to_sql(),
        }
    }
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
