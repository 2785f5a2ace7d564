//! The console's own state: users, API keys, signals, notifications and settings, in one SQLite database,
//! `.moorline/metastore.db`.
//!
//! It is part of every backup, as the member `moorline/metastore.db`, and every restore brings it back. Sessions are left
//! out of the copy, because only the running console needs them; secrets are sealed again with the volume's key.
//!
//! Every process that opens it holds a shared [`MetastoreLock`] until it is closed, and keeps it open only briefly. A
//! restore takes the lock exclusively, because it replaces the database.

mod copy;
mod lock;
mod mirror;
mod schema;

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::{
    prelude::*,
    store::sqlite::{is_busy_or_full, words},
};
use volume::METASTORE;

pub(crate) use self::{
    copy::adopt,
    mirror::{mirror_now, settings_of},
};
pub use self::{lock::MetastoreLock, mirror::mirror};

/// Its path, relative to the storage root.
pub const PATH: &str = METASTORE;

/// Its name in a backup.
pub const MEMBER: &str = "moorline/metastore.db";

/// Another moorline process may hold SQLite's lock for a moment.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// With less free space it cannot be opened, because its `-shm` alone takes half of this.
const LEAST_SPACE: u64 = 64 << 10;

/// Its path, relative to the storage root.
#[must_use]
pub fn path() -> RelPath {
    RelPath::new(PATH).expect("two plain names make a relative path")
}

/// Its absolute path.
#[must_use]
pub fn file(volume: &Volume) -> PathBuf {
    path().under(volume.root())
}

/// Whether the volume has one.
pub fn is_there(volume: &Volume) -> Result<bool> {
    presence::exists(&file(volume))
}

/// Opens it. Creates it if it does not exist, and migrates its tables to this version. Fails if it cannot be opened, or
/// a newer version wrote it.
pub fn open(volume: &Volume, _held: &MetastoreLock) -> Result<Connection> {
    let path = file(volume);
    let failed = |cause: rusqlite::Error| explain(&path, &cause);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    schema::prepare(&mut connection).map_err(|cause| match cause {
        schema::Unusable::Sqlite(cause) => failed(cause),
        schema::Unusable::Newer(version) => {
            let what = format!("{} has version {version}, written by a newer moorline", path.display());
            Error::new(Code::Unexpected, what).hint("run the newer version, or restore a backup taken by this one")
        }
    })?;
    Ok(connection)
}

/// The value of a setting, as JSON.
pub fn setting(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM settings WHERE name = ?1", [name], |row| row.get(0))
        .optional()
        .map(Option::flatten)
}

/// Turns an error of SQLite into a message with a hint.
#[must_use]
pub fn explain(path: &Path, cause: &rusqlite::Error) -> Error {
    let says =
        |code, why: &str| Error::new(code, format!("cannot use the console's database {}: {why}", path.display()));
    match cause.sqlite_error_code() {
        _ if lacks_space(path, cause) => says(Code::TryAgain, "the disk is full")
            .hint("free space on the volume; `moorline rollback --list` lists the old states that restores keep"),
        _ if is_busy_or_full(cause) => says(Code::TryAgain, &words(cause)),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            says(Code::Unexpected, &words(cause)).hint("rename it and restart the console, or restore a backup")
        }
        _ => says(Code::Unexpected, &words(cause)),
    }
}

/// SQLite creates files beside a database even to read it. If the disk is full, its error seldom says so; `statvfs`
/// does.
fn lacks_space(path: &Path, cause: &rusqlite::Error) -> bool {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => true,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => path
            .parent()
            .and_then(|folder| statvfs(folder).ok())
            .is_some_and(|stat| stat.blocks_available() * stat.fragment_size() < LEAST_SPACE),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn only_a_damaged_metastore_has_to_be_renamed() {
        let folder = tempfile::tempdir().expect("a folder");
        let said = |code| {
            let cause = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            explain(&folder.path().join("metastore.db"), &cause)
        };
        let aside = |error: &Error| error.advice().is_some_and(|hint| hint.contains("rename it"));
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_NOTADB] {
            assert!(aside(&said(code)));
        }
        for code in [ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_FULL, ffi::SQLITE_BUSY, ffi::SQLITE_CANTOPEN] {
            assert!(!aside(&said(code)), "{:?}", said(code));
        }
        let full = said(ffi::SQLITE_FULL);
        assert_eq!((full.code(), full.message().contains("the disk is full")), (Code::TryAgain, true));
    }
}
