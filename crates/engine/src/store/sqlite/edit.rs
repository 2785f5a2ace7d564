//! One write transaction on a database, without side effects.
//!
//! - Triggers and foreign keys are off, so that a change does not cause others.
//! - A name in double quotes is never a string, so that a misspelled column is an error.
//! - The journal mode does not change.
//! - If no other process has the database open, SQLite checkpoints the `-wal` at the end and removes it, including
//!   pages that a crash of the server left there.
//!
//! Limitations: if another process has the database open, or the disk is full, part of a change stays in the `-wal`.
//! The change is still durable, but check for a `-wal` before you move the file alone. Functions and collations that
//! only the server defines are not available.

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::source::{explain, is_locked, wait_for_locks};
use crate::prelude::*;

/// A database in a write transaction, which is rolled back on drop.
#[derive(Debug)]
pub(crate) struct Edit {
    path: PathBuf,
    connection: Connection,
}

impl Edit {
    /// Opens the database at `path`, which must not contain links, and begins a transaction. Waits up to `lock_timeout`
    /// for a lock that another process holds.
    pub fn begin(path: &Path, lock_timeout: Duration) -> Result<Self> {
        let begun = Self::attempt(path, lock_timeout);
        begun.map_err(|cause| match is_locked(&cause) {
            true => explain("change", path, &cause).hint("stop the server first"),
            false => explain("change", path, &cause),
        })
    }

    fn attempt(path: &Path, lock_timeout: Duration) -> rusqlite::Result<Self> {
        let flags =
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        wait_for_locks(&mut connection, lock_timeout)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA trusted_schema = OFF; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;
             PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
        )?;
        Ok(Self { path: path.to_owned(), connection })
    }

    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Commits durably and closes the database. The last process that closes a database checkpoints its `-wal`.
    pub fn commit(self) -> Result<()> {
        let Self { path, connection } = self;
        connection.execute_batch("COMMIT").map_err(|cause| explain("change", &path, &cause))?;
        // The changes are durable, so an error from closing the database is not a failure.
        drop(connection.close());
        Ok(())
    }
}
