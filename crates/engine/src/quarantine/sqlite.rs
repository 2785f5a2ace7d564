//! Steps on the rows of a SQLite database, inside a transaction that somebody else began.
//!
//! ```text
//! act     which rows fulfil the condition, less those that are off already → what they are → changed as one statement,
//!         as a person would write it → what they are now, as SQLite stored it
//! undo    one row: only where it still is what was written
//! look    which rows fulfil the condition
//! ```
//! What was written is read back and not computed: a column's type may make another value of it, and it must compare
//! equal at release.

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

/// Why a step did not act on a database.
#[derive(Debug)]
pub enum Failure {
    /// Something that it needs is not there: a table, a column.
    Missing(String),
    /// It makes no sense here.
    Refused(String),
    /// SQLite says no.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        let says = words(&cause);
        let is_name = ["no such column: ", "no such table: "].iter().any(|start| says.starts_with(start));
        // A text in double quotes is a mistake in the profile, and nothing that another version may lack.
        match is_name && !says.contains("should this be a string literal") {
            true => Self::Missing(says),
            false => Self::Sql(cause),
        }
    }
}

/// What a step did to a database.
#[derive(Debug, Default)]
pub struct StepEffect {
    /// How many rows fulfil its condition.
    pub matched: usize,
    /// Those that it changed: new ones, and known ones as they are to be remembered from now on.
    pub rows: Vec<RowBefore>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// Rows of one database that a step has switched off before, by their keys.
pub type KnownRows<'a> = HashMap<&'a [(String, ColumnValue)], &'a RowBefore>;

/// Whether the step exists in a database of this schema.
pub fn exists(connection: &Connection, rows: &Rows) -> Result<bool, Failure> {
    match &rows.when {
        None => Ok(true),
        Some(when) => Ok(connection.query_row(&format!("SELECT ({when}\n) IS TRUE"), [], |row| row.get(0))?),
    }
}

/// Lets a step act on the database at `path`.
pub fn act(connection: &Connection, path: &RelPath, rows: &Rows, known: &KnownRows<'_>) -> Result<StepEffect, Failure> {
    let context = StepContext { connection, path, rows, known };
    match &rows.change {
        Change::Update { set, expr } => update::act(&context, set, expr),
        Change::Delete { discard: true } => delete::discard(&context),
        Change::Delete { discard: false } => delete::act(&context),
        Change::Insert(values) => insert::act(&context, values),
    }
}

/// A step on a database.
struct StepContext<'a> {
    connection: &'a Connection,
    path: &'a RelPath,
    rows: &'a Rows,
    known: &'a KnownRows<'a>,
}

impl StepContext<'_> {
    /// What a row fulfils to be acted on. On a line of its own, so that a comment in it ends where it ends.
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

/// A value as a profile writes it.
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

/// JSON has no word for infinity: it could not be remembered what the step is.
fn refuse_infinite<'a>(mut values: impl Iterator<Item = &'a Scalar>) -> Result<(), Failure> {
    match values.any(|value| matches!(value, Scalar::Real(number) if !number.is_finite())) {
        true => Err(Failure::Refused("a value is no finite number".to_owned())),
        false => Ok(()),
    }
}

fn is_constraint(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
