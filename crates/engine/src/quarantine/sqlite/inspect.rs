//! Which rows a step would act on.

use std::collections::BTreeMap;

use rusqlite::{Connection, ToSql, params_from_iter};

use super::{
    Failure, condition,
    table::{Key, Table, values},
    update::UpdatePlan,
};
use crate::quarantine::ColumnValue;
use profile::step::{Change, Rows, Scalar};

/// The keys of the rows that a step would act on now; values separated by commas.
pub fn inspect(connection: &Connection, rows: &Rows) -> Result<Vec<String>, Failure> {
    match &rows.change {
        Change::Update { set, expr } => {
            let plan = UpdatePlan::new(connection, rows, set, expr)?;
            let given: Vec<_> = plan.given().collect();
            let given: Vec<&dyn ToSql> = given.iter().map(|value| value as &dyn ToSql).collect();
            let found = format!("({}\n) AND ({})", condition(rows), plan.differs());
            Ok(keys(connection, &plan.table, &plan.key, &found, &given)?)
        }
        Change::Delete { .. } => {
            let table = Table::open(connection, &rows.table)?;
            let key = table.key(connection, &rows.key, condition(rows))?;
            Ok(keys(connection, &table, &key, condition(rows), &[])?)
        }
        Change::Insert(row) => insert(connection, rows, row),
    }
}

/// The key of the row that would be inserted, as far as the profile defines it.
fn insert(connection: &Connection, rows: &Rows, row: &BTreeMap<String, Scalar>) -> Result<Vec<String>, Failure> {
    let table = Table::open(connection, &rows.table)?;
    for name in row.keys() {
        table.column(name)?;
    }
    let key = match &*rows.key {
        [] => table.key(connection, &[], "FALSE")?,
        given => table.key_of(connection, given)?,
    };
    let named = |name: &String| row.iter().find(|(column, _)| column.eq_ignore_ascii_case(name));
    let known = key.names.iter().filter_map(named).map(|(_, value)| match value {
        Scalar::Null => ColumnValue::Null,
        Scalar::Integer(number) => ColumnValue::Integer(*number),
        Scalar::Real(number) => ColumnValue::Real(number.to_bits()),
        Scalar::Text(text) => ColumnValue::Text(text.clone().into_bytes()),
    });
    Ok(vec![known.map(|value| value.to_string()).collect::<Vec<_>>().join(",")])
}

fn keys(
    connection: &Connection,
    table: &Table,
    key: &Key,
    condition: &str,
    given: &[&dyn ToSql],
) -> rusqlite::Result<Vec<String>> {
    let (columns, sql, find) = (key.columns(), &table.sql, table.locator().columns());
    let mut select =
        connection.prepare(&format!("SELECT {columns} FROM {sql} WHERE ({condition}\n) ORDER BY {find}"))?;
    let rows = select.query_map(params_from_iter(given), |row| {
        let key = values(row, 0..key.len())?;
        Ok(key.iter().map(ColumnValue::to_string).collect::<Vec<_>>().join(","))
    })?;
    rows.collect()
}
