//! Which rows of a database a restore would change.
//!
//! Rows are told apart by the table's primary key, or where it has none (or one with NULLs in it) by `rowid`. A table
//! whose columns are not the same on both sides counts every row that both have as changed; one that only one side has,
//! or whose key is another, counts whole. Virtual tables are not looked at: their content is in tables of their own,
//! which are. SQLite's statistics (`sqlite_stat…`) are no data.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::table::{Collations, Table};
use super::sqlite::{Source, explain, immutable, lacks_something};
use volume::error::{IoContext, Result};

/// How the rows of one table would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// The table.
    pub table: String,
    /// Rows that are in the backup only.
    pub appear: u64,
    /// Rows that both have, and that differ.
    pub change: u64,
    /// Rows that are on the volume only.
    pub vanish: u64,
}

/// Compares the database at `live`, which a server may be using, with the staged image of it. Only tables that would
/// change are in the answer. The live one is read in one transaction, and neither is changed.
///
/// # Errors
/// Where one of them cannot be read.
pub fn databases(live: &Path, staged: &Path, patience: Duration) -> Result<Vec<TableChange>> {
    // SQLite is told to follow no links: those above the database are none of its business.
    let above = live.parent().unwrap_or(live).canonicalize().on("find", live)?;
    let source = Source::open(&above.join(live.file_name().unwrap_or_default()), patience)?;
    let connection = &source.connection;
    let failed = |cause| explain("compare the database", live, &cause);
    attach(&source, staged).map_err(failed)?;
    let (live, staged) =
        (table::all(connection, "main").map_err(failed)?, table::all(connection, "staged").map_err(failed)?);
    let names: BTreeSet<_> = live.keys().chain(staged.keys()).cloned().collect();
    let mut collations = Collations::Known;
    let changes = names.into_iter().map(|name| match change(connection, &live, &staged, &name, collations) {
        Err(cause) if lacks_something(&cause) && collations == Collations::Known => {
            collations = Collations::make_up(connection)?;
            change(connection, &live, &staged, &name, collations)
        }
        other => other,
    });
    let changes: rusqlite::Result<Vec<_>> = changes.collect();
    let mut changes = changes.map_err(failed)?;
    changes.retain(|change| change.appear + change.change + change.vanish > 0);
    Ok(changes)
}

/// A database can be attached only outside of a transaction; then it is begun anew.
fn attach(source: &Source, staged: &Path) -> rusqlite::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    // Percent-encoded, so that it is text whatever the path's bytes are.
    let uri = String::from_utf8_lossy(immutable(staged).as_os_str().as_bytes()).into_owned();
    source.connection.execute_batch("COMMIT")?;
    source.connection.execute("ATTACH ?1 AS staged", [uri])?;
    source.connection.execute_batch("BEGIN")
}

fn change(
    connection: &rusqlite::Connection,
    live: &BTreeMap<String, Table>,
    staged: &BTreeMap<String, Table>,
    name: &str,
    collations: Collations,
) -> rusqlite::Result<TableChange> {
    let (appear, change, vanish) = match (live.get(name), staged.get(name)) {
        (Some(live), Some(staged)) => table::compare(connection, live, staged, collations)?,
        (None, Some(_)) => (table::count(connection, "staged", name)?, 0, 0),
        (Some(_), None) => (0, 0, table::count(connection, "main", name)?),
        (None, None) => (0, 0, 0),
    };
    Ok(TableChange { table: name.to_owned(), appear, change, vanish })
}
