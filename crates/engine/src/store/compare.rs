//! Which rows of a database a restore would change.
//!
//! The primary key identifies a row, or `rowid` if the table has no primary key or one that contains NULLs. If the
//! columns of a table differ, every row that both sides have counts as changed. If only one side has the table, or the
//! keys differ, all its rows count. Virtual tables are skipped, because their content is in shadow tables, which are
//! compared. SQLite's statistics (`sqlite_stat…`) are skipped because they are not data.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use self::table::{Collations, Table};
use super::sqlite::{Source, explain, immutable, lacks_something};
use crate::prelude::*;

/// How the rows of one table would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// Its name.
    pub table: String,
    /// Rows that only the backup has.
    pub appear: u64,
    /// Rows that differ.
    pub change: u64,
    /// Rows that only the volume has.
    pub vanish: u64,
}

/// Compares the database at `live`, which a server may be using, with its staged image, and returns the tables that
/// would change. The live database is read in one transaction. Neither database is written to.
pub fn databases(live: &Path, staged: &Path, lock_timeout: Duration) -> Result<Vec<TableChange>> {
    // We open the database with `SQLITE_OPEN_NOFOLLOW`, so we resolve the links above it ourselves.
    let above = live.parent().unwrap_or(live).canonicalize().on("resolve", live)?;
    let source = Source::open(&above.join(live.file_name().unwrap_or_default()), lock_timeout)?;
    let connection = &source.connection;
    let failed = |cause| explain("compare the database", live, &cause);
    attach(&source, staged).map_err(failed)?;
    let (live, staged) =
        (table::all(connection, "main").map_err(failed)?, table::all(connection, "staged").map_err(failed)?);
    let names: BTreeSet<_> = live.keys().chain(staged.keys()).cloned().collect();
    let mut collations = Collations::Known;
    let changes = names.into_iter().map(|name| match change(connection, &live, &staged, &name, collations) {
        Err(cause) if lacks_something(&cause) && collations == Collations::Known => {
            collations = Collations::define_missing(connection)?;
            change(connection, &live, &staged, &name, collations)
        }
        other => other,
    });
    let changes: rusqlite::Result<Vec<_>> = changes.collect();
    let mut changes = changes.map_err(failed)?;
    changes.retain(|change| change.appear + change.change + change.vanish > 0);
    Ok(changes)
}

/// Ends the transaction and begins a new one, because SQLite attaches databases only outside of a transaction.
fn attach(source: &Source, staged: &Path) -> rusqlite::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    // The URI is percent-encoded, so it is valid UTF-8 for every path.
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
