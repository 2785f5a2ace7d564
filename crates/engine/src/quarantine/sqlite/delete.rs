//! Rows deleted: recorded completely, or for good.

use super::{
    Failure, RowBefore, RowChange, StepContext, StepEffect,
    table::{Key, Table, values},
    update::{SELECTED, select},
};
use crate::quarantine::ColumnValue;

pub fn act(context: &StepContext<'_>) -> Result<StepEffect, Failure> {
    let table = Table::open(context.connection, &context.rows.table)?;
    let key = table.key(context.connection, &context.rows.key, context.condition())?;
    let rows = matching(context, &table, &key)?;
    let locator = table.locator();
    select(context.connection, &locator, rows.iter().map(|(locator, _)| locator))?;
    context.connection.execute(&format!("DELETE FROM {} WHERE {}", table.sql, locator.is_in(SELECTED)), [])?;
    let mut acted = StepEffect { matched: rows.len(), ..StepEffect::default() };
    for (_, row) in rows {
        match context.known.get(&*row.key) {
            None => acted.rows.push(row),
            Some(known) if known.change == row.change => {}
            Some(_) => acted.warnings.push(format!(
                "{} existed again and was deleted again; release brings back the first version",
                row.name()
            )),
        }
    }
    Ok(acted)
}

/// Deletes rows for good.
pub fn discard(context: &StepContext<'_>) -> Result<StepEffect, Failure> {
    let table = Table::open(context.connection, &context.rows.table)?;
    let sql = format!("DELETE FROM {} WHERE ({}\n)", table.sql, context.condition());
    Ok(StepEffect { matched: context.connection.execute(&sql, [])?, ..StepEffect::default() })
}

/// The rows that match, each with its locator.
fn matching(
    context: &StepContext<'_>,
    table: &Table,
    key: &Key,
) -> rusqlite::Result<Vec<(Vec<ColumnValue>, RowBefore)>> {
    let (locator, names) = (table.locator(), table.stored());
    let (located, keyed) = (locator.len(), locator.len() + key.len());
    let (find, keys, all, sql) = (locator.columns(), key.columns(), table.all_columns(), &table.sql);
    let condition = context.condition();
    let sql = format!("SELECT {find}, {keys}, {all} FROM {sql} WHERE ({condition}\n) ORDER BY {find}");
    let mut select = context.connection.prepare(&sql)?;
    let rows = select.query_map([], |row| {
        let columns = values(row, keyed..keyed + names.len())?;
        let rowid = table.rowid().map(|_| row.get(0)).transpose()?;
        let change = RowChange::Deleted { rowid, columns: names.iter().cloned().zip(columns).collect() };
        Ok((values(row, 0..located)?, context.row(key.with(values(row, located..keyed)?), change)))
    })?;
    rows.collect()
}
