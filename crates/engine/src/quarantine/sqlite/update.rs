//! Columns updated: `set` and `expr`.

use std::collections::BTreeMap;

use rusqlite::{Connection, params_from_iter};

use super::{
    ColumnWas, Failure, FoundRow, RowBefore, RowChange, StepContext, StepEffect, condition, refuse_infinite,
    table::{Key, Table, list, parameters},
};
use crate::{quarantine::ColumnValue, store::sqlite::quoted};
use profile::step::{Rows, Scalar};

/// A temporary table of the rows that a step acts on.
pub const SELECTED: &str = "temp.moorline_selected";

pub struct UpdatePlan {
    pub table: Table,
    pub key: Key,
    /// The columns to write, as the table spells them.
    columns: Vec<String>,
    /// What to write into each: SQL, in which `?1` is the first of `given`.
    expressions: Vec<String>,
    /// The parameters of `expressions`.
    pub given: Vec<ColumnValue>,
}

pub fn act(
    context: &StepContext<'_>,
    set: &BTreeMap<String, Scalar>,
    expr: &BTreeMap<String, String>,
) -> Result<StepEffect, Failure> {
    let plan = UpdatePlan::new(context.connection, context.rows, set, expr)?;
    let mut rows = context.matching(&plan.table, &plan.key, &plan.quoted())?;
    let matched = rows.len();
    // A row that still is as quarantine left it is off, even if it matches again: `expr` must not act on its own
    // result.
    rows.retain(|row| !context.known.get(&*row.key).is_some_and(|was| plan.is_done(was, &row.values)));
    select(context.connection, &plan.table.locator(), rows.iter().map(|row| &row.locator))?;
    plan.write(context.connection)?;
    let new = plan.written(context.connection, &rows)?;
    let changed = rows.into_iter().zip(new).filter_map(|(row, new)| plan.changed(context, row, new));
    Ok(StepEffect { matched, rows: changed.collect(), warnings: Vec::new() })
}

/// Stores the locators of these rows in [`SELECTED`], for the statements that follow.
pub fn select<'a>(
    connection: &Connection,
    locator: &Key,
    rows: impl Iterator<Item = &'a Vec<ColumnValue>>,
) -> rusqlite::Result<()> {
    let columns = list((0..locator.len()).map(|number| format!("c{number}")));
    let parameters = parameters(locator.len());
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS {SELECTED}; CREATE TABLE {SELECTED} ({columns}, PRIMARY KEY ({columns})) WITHOUT ROWID"
    ))?;
    let mut insert = connection.prepare(&format!("INSERT INTO {SELECTED} VALUES ({parameters})"))?;
    for row in rows {
        insert.execute(params_from_iter(row))?;
    }
    Ok(())
}

impl UpdatePlan {
    pub fn new(
        connection: &Connection,
        rows: &Rows,
        set: &BTreeMap<String, Scalar>,
        expr: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        refuse_infinite(set.values())?;
        let table = Table::open(connection, &rows.table)?;
        let (mut columns, mut expressions, mut given) = (Vec::new(), Vec::new(), Vec::new());
        for (name, value) in set {
            given.push(ColumnValue::from(value));
            columns.push(table.column(name)?);
            expressions.push(format!("?{}", given.len()));
        }
        for (name, expression) in expr {
            columns.push(table.column(name)?);
            expressions.push(format!("({expression}\n)"));
        }
        let key = table.key(connection, &rows.key, condition(rows))?;
        let plan = Self { table, key, columns, expressions, given };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), Failure> {
        let primary = self.table.primary();
        for (number, column) in self.columns.iter().enumerate() {
            if self.key.has(column) || primary.contains(column) {
                return Err(Failure::Refused(format!("{column} is part of the key, which must not change")));
            }
            if self.columns[..number].contains(column) {
                return Err(Failure::Refused(format!("{column} is written twice")));
            }
        }
        Ok(())
    }

    /// A condition for the rows that would change. Its parameters are [`Self::given`].
    pub fn differs(&self) -> String {
        let differs = self.columns.iter().zip(&self.expressions);
        differs.map(|(column, to)| format!("{} IS NOT {to}", quoted(column))).collect::<Vec<_>>().join(" OR ")
    }

    fn quoted(&self) -> String {
        list(self.columns.iter().map(|column| quoted(column)))
    }

    /// Whether a recorded row still has every value that a step on the same columns wrote.
    fn is_done(&self, was: &RowBefore, current: &[ColumnValue]) -> bool {
        let RowChange::Updated(known) = &was.change else { return false };
        self.columns.iter().zip(current).all(|(column, current)| {
            known.iter().any(|known| known.name.eq_ignore_ascii_case(column) && known.new == *current)
        })
    }

    /// In one statement, so that an expression sees the table as it was.
    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let set = self.columns.iter().zip(&self.expressions).map(|(column, to)| format!("{} = {to}", quoted(column)));
        let (table, set, selected) = (&self.table.sql, list(set), self.table.locator().is_in(SELECTED));
        let mut update = connection.prepare(&format!("UPDATE {table} SET {set} WHERE {selected}"))?;
        update.execute(params_from_iter(&self.given)).map(drop)
    }

    fn written(&self, connection: &Connection, rows: &[FoundRow]) -> rusqlite::Result<Vec<Vec<ColumnValue>>> {
        let (columns, this) = (self.quoted(), self.table.locator().is(1));
        let read = |row: &FoundRow| {
            let found = self.table.select(connection, &columns, &this, params_from_iter(&row.locator), |row| row)?;
            found.into_iter().next().ok_or(rusqlite::Error::QueryReturnedNoRows)
        };
        rows.iter().map(read).collect()
    }

    /// The record of a row. If it was recorded before, its first values stay.
    fn changed(&self, context: &StepContext<'_>, row: FoundRow, new: Vec<ColumnValue>) -> Option<RowBefore> {
        let columns = self.columns.iter().zip(row.values).zip(new);
        let mut columns: Vec<_> =
            columns.map(|((name, old), new)| ColumnWas { name: name.clone(), old, new }).collect();
        if !columns.iter().any(ColumnWas::is_changed) {
            return None;
        }
        if let Some(RowChange::Updated(known)) = context.known.get(&*row.key).map(|was| &was.change) {
            for known in known {
                match columns.iter_mut().find(|column| column.name.eq_ignore_ascii_case(&known.name)) {
                    Some(column) => column.old = known.old.clone(),
                    None => columns.push(known.clone()),
                }
            }
        }
        Some(context.row(row.key, RowChange::Updated(columns)))
    }
}
