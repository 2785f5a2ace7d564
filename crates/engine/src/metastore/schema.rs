//! The tables of the metastore, as a list of versions. A released version is never changed; changes are appended as a
//! new one.

use rusqlite::{Connection, TransactionBehavior};

const APPLICATION: i32 = 0x6d6f_6f72;

const VERSIONS: &[&str] = &["CREATE TABLE users (
         id TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, display_name TEXT, email_address TEXT,
         password_hash TEXT, must_change_password INTEGER NOT NULL DEFAULT 0, role_ids TEXT NOT NULL DEFAULT '[]',
         preferences TEXT NOT NULL DEFAULT '{}', view_filter TEXT) STRICT;
     CREATE TABLE apikeys (
         id TEXT PRIMARY KEY, title TEXT NOT NULL, token_hash TEXT NOT NULL UNIQUE, token_prefix TEXT NOT NULL,
         owner_id TEXT, assigned_permissions TEXT NOT NULL DEFAULT '[]', input_settings TEXT NOT NULL DEFAULT '{}',
         is_default INTEGER NOT NULL DEFAULT 0) STRICT;
     CREATE TABLE signals (
         id TEXT PRIMARY KEY, title TEXT NOT NULL, description TEXT, filters TEXT NOT NULL DEFAULT '[]',
         columns TEXT NOT NULL DEFAULT '[]', is_protected INTEGER NOT NULL DEFAULT 0,
         is_index_suppressed INTEGER NOT NULL DEFAULT 0, grouping TEXT NOT NULL DEFAULT 'Inferred',
         explicit_group_name TEXT, owner_id TEXT) STRICT;
     CREATE TABLE appinstances (
         id TEXT PRIMARY KEY, app_id TEXT NOT NULL, title TEXT NOT NULL, settings TEXT NOT NULL DEFAULT '{}',
         streamed_signal_expression TEXT, accept_streamed_events INTEGER NOT NULL DEFAULT 1,
         suppression_time TEXT, events_per_suppression_window INTEGER, is_disabled INTEGER NOT NULL DEFAULT 0) STRICT;
     CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed TEXT NOT NULL) STRICT;
     CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT) STRICT;
     CREATE TABLE sessions (
         token_hash TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
         csrf_token TEXT NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL) STRICT;"];

pub(super) fn newest() -> u32 {
    u32::try_from(VERSIONS.len()).unwrap_or(u32::MAX)
}

#[derive(Debug)]
pub(super) enum Unusable {
    Sqlite(rusqlite::Error),
    Newer(u32),
}

impl From<rusqlite::Error> for Unusable {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sqlite(cause)
    }
}

pub(super) fn prepare(connection: &mut Connection) -> Result<(), Unusable> {
    connection.execute_batch(
        "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -256",
    )?;
    let newest = newest();
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0));
    match version(connection)? {
        now if now == newest => return Ok(()),
        now if now > newest => return Err(Unusable::Newer(now)),
        _ => {}
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated them first.
    for statements in VERSIONS.iter().skip(version(&transaction)? as usize) {
        transaction.execute_batch(statements)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", newest)?;
    transaction.commit()?;
    Ok(())
}
