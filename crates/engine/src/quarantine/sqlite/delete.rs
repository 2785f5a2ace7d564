//! Rows deleted: recorded completely, or for good.

use super::{
    Failure, FoundRow, RowChange, StepContext, StepEffect, condition,
    table::Table,
    update::{SELECTED, select},
};
use crate::{prelude::*, quarantine::ColumnValue};

pub fn act(context: &StepContext<'_>) -> Result<StepEffect, Failure> {
    let table = Table::open(context.connection, &context.rows.table)?;
    let key = table.key(context.connection, &context.rows.key, condition(context.rows))?;
    let rows = context.matching(&table, &key, &table.all_columns())?;
    let locator = table.locator();
    select(context.connection, &locator, rows.iter().map(|row| &row.locator))?;
    context.connection.execute(&format!("DELETE FROM {} WHERE {}", table.sql, locator.is_in(SELECTED)), [])?;
    let mut acted = StepEffect { matched: rows.len(), ..StepEffect::default() };
    for FoundRow { locator, key, values } in rows {
        let rowid = match (table.rowid(), locator.as_slice()) {
            (Some(_), [ColumnValue::Integer(number)]) => Some(*number),
            _ => None,
        };
        let columns = table.stored().into_iter().zip(values).collect();
        let row = context.row(key, RowChange::Deleted { rowid, columns });
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
    let sql = format!("DELETE FROM {} WHERE ({}\n)", table.sql, condition(context.rows));
    Ok(StepEffect { matched: context.connection.execute(&sql, [])?, ..StepEffect::default() })
}
