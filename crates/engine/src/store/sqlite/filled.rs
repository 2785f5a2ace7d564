//! How many tables of a database have rows.

use rusqlite::Connection;

use super::check::quoted;

/// Counts the tables that have rows. Returns `None` if one cannot be read.
pub(super) fn tables(connection: &Connection) -> Option<u32> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                 AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut query = connection.prepare(names).ok()?;
    let names: Vec<String> = query.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()?;
    let mut filled = 0;
    for name in names {
        let has_rows = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&name));
        filled += connection.query_row(&has_rows, [], |row| row.get::<_, u32>(0)).ok()?;
    }
    Some(filled)
}
