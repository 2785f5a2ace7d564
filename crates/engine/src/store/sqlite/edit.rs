//! A database opened to be changed: one transaction, in which nothing happens but what is asked for.
//!
//! Triggers and foreign keys are off, so that a change does not set off others; a name in double quotes is a name and
//! never a text, so that a misspelt column is not taken for one. The journal mode stays what it was. Where nobody else has
//! the database open, none of the files that SQLite makes beside it is left: what is in a `-wal` is written back at the
//! end, also what a crash of the server's had left there.
//!
//! No promise: beside another process, or on a full disk, part of a change stays in the `-wal`; it is made all the same,
//! and whoever opens the database finds it. To move the file alone, look for a `-wal` first. And a function or collation that only the server defines is not there.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::source::{explain, is_locked, wait_for_locks};
use volume::error::Result;

/// One database in one write transaction, rolled back when this is dropped.
#[derive(Debug)]
pub struct Edit {
    path: PathBuf,
    connection: Connection,
}

impl Edit {
    /// Opens the database at `path`, which has no links in it, and begins a transaction. A lock that another process
    /// holds is waited for as long as `patience`.
    ///
    /// # Errors
    /// Where it stays locked, is not there, or cannot be written to.
    pub fn begin(path: &Path, patience: Duration) -> Result<Self> {
        let begun = Self::attempt(path, patience);
        begun.map_err(|cause| match is_locked(&cause) {
            true => explain("change", path, &cause).hint("stop the server first"),
            false => explain("change", path, &cause),
        })
    }

    fn attempt(path: &Path, patience: Duration) -> rusqlite::Result<Self> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        wait_for_locks(&mut connection, patience)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;
             PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        )?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// The connection, in its transaction.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Makes the changes, durably, and closes the database: whoever is its last user writes the `-wal` back.
    ///
    /// # Errors
    /// Where they could not be made.
    pub fn commit(self) -> Result<()> {
        let Self { path, connection } = self;
        connection.execute_batch("COMMIT").map_err(|cause| explain("change", &path, &cause))?;
        // They are made: that it cannot be closed well is no failure of theirs.
        drop(connection.close());
        Ok(())
    }
}
