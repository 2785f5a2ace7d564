//! A database opened to be changed: one transaction, in which nothing happens but what is asked for.
//!
//! Triggers and foreign keys are off, so that a change does not set off others; a name in double quotes is a name and
//! never a text, so that a misspelt column is not taken for one. The journal mode stays what it was, and of the files
//! that SQLite makes beside a database none is left: what is in a `-wal` is written back at the end, also what a crash
//! of the server's had left there.
//!
//! No promise: a function or collation that only the server defines is not there.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::source::{beside, explain, is_locked, wait_for_locks};
use crate::error::{Code, Error, Result};

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

    /// Makes the changes, durably, and closes the database.
    ///
    /// # Errors
    /// Where they could not be made; and where they are made, but part of them is only in the `-wal`.
    pub fn commit(self) -> Result<()> {
        let Self { path, connection } = self;
        let failed = |cause| explain("change", &path, &cause);
        connection.execute_batch("COMMIT").map_err(failed)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
        connection.close().map_err(|(_, cause)| failed(cause))?;
        match beside(&path, "-wal").symlink_metadata() {
            Err(_) => Ok(()),
            Ok(_) => Err(Error::new(
                Code::TryAgain,
                format!("{} was changed, but not all of its -wal could be written back", path.display()),
            )
            .hint("another process has it open: stop the server first")),
        }
    }
}
