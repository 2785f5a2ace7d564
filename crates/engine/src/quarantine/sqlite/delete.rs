//! Rows taken out: remembered whole, or gone for good.

use super::{
    Acted, Failure, Place, RowBefore, RowChange,
    table::{Key, Table, values},
    update::{SELECTED, select},
};
use crate::quarantine::Value;

pub fn act(place: &Place<'_>) -> Result<Acted, Failure> {
    let table = Table::open(place.connection, &place.rows.table)?;
    let key = table.key(place.connection, &place.rows.key, place.condition())?;
    let rows = matching(place, &table, &key)?;
    let locator = table.locator();
    select(place.connection, &locator, rows.iter().map(|(locator, _)| locator))?;
    place.connection.execute(&format!("DELETE FROM {} WHERE {}", table.sql, locator.is_in(SELECTED)), [])?;
    let mut acted = Acted { matched: rows.len(), ..Acted::default() };
    for (_, row) in rows {
        match place.known.get(&*row.key) {
            None => acted.rows.push(row),
            Some(known) if known.change == row.change => {}
            Some(_) => acted.warnings.push(format!(
                "{} was there again, and is taken out again; what comes back at release is what it was at first",
                row.name()
            )),
        }
    }
    Ok(acted)
}

/// Takes rows out that are not to come back.
pub fn discard(place: &Place<'_>) -> Result<Acted, Failure> {
    let table = Table::open(place.connection, &place.rows.table)?;
    let sql = format!("DELETE FROM {} WHERE ({}\n)", table.sql, place.condition());
    Ok(Acted { matched: place.connection.execute(&sql, [])?, ..Acted::default() })
}

/// The rows that fulfil the condition, each with what locates it.
fn matching(place: &Place<'_>, table: &Table, key: &Key) -> rusqlite::Result<Vec<(Vec<Value>, RowBefore)>> {
    let (locator, names) = (table.locator(), table.stored());
    let (located, keyed) = (locator.len(), locator.len() + key.len());
    let (find, keys, all, sql) = (locator.columns(), key.columns(), table.all_columns(), &table.sql);
    let condition = place.condition();
    let sql = format!("SELECT {find}, {keys}, {all} FROM {sql} WHERE ({condition}\n) ORDER BY {find}");
    let mut select = place.connection.prepare(&sql)?;
    let rows = select.query_map([], |row| {
        let columns = values(row, keyed..keyed + names.len())?;
        let rowid = table.rowid().map(|_| row.get(0)).transpose()?;
        let change = RowChange::Deleted { rowid, columns: names.iter().cloned().zip(columns).collect() };
        Ok((values(row, 0..located)?, place.row(key.with(values(row, located..keyed)?), change)))
    })?;
    rows.collect()
}
