//! A read-only connection to a database that a server may be writing to, in one transaction.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use volume::presence;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};

use super::{facts::Header, pages};
use volume::error::{Code, Error, Result};

/// A server in rollback mode leaves gaps of less than a millisecond between its commits: be quick to find one.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// One database in one read transaction, which ends when this is dropped.
#[derive(Debug)]
pub struct Source {
    /// The connection, in its transaction.
    pub connection: Connection,
    /// Dropped after the connection.
    _tidy: Tidy,
    pub(super) opened: Instant,
    /// What SQLite had against the schema or the size, where it had to be told not to mind.
    pub(super) complaint: Option<String>,
    pub(super) header: Header,
    pub(super) is_wal: bool,
    pub(super) page_size: u32,
    pub(super) page_count: u32,
}

/// Why there is no [`Source`].
#[derive(Debug)]
pub(super) enum Refused {
    /// SQLite can make nothing of the file, and says why.
    Unreadable(String),
    /// Another process has it locked.
    Locked(Error),
    /// Anything else.
    Failed(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Locked(error) | Refused::Failed(error) => error,
            Refused::Unreadable(why) => Self::new(Code::Unexpected, why),
        }
    }
}

impl Source {
    /// Opens the database at `path`, which has no links in it, and begins a transaction that sees it as it is now. A
    /// lock that another process holds is waited for as long as `patience`.
    ///
    /// # Errors
    /// Where it stays locked, is gone, or cannot be read.
    pub fn open(path: &Path, patience: Duration) -> Result<Self> {
        Self::begin(path, patience).map_err(|refused| match refused {
            Refused::Unreadable(_) => {
                Error::from(refused).context(format!("cannot read the database {}", path.display()))
            }
            other => other.into(),
        })
    }

    pub(super) fn begin(path: &Path, patience: Duration) -> std::result::Result<Self, Refused> {
        let mut opened = Self::attempt(path, patience, false);
        if opened.as_ref().is_err_and(is_hot_journal) {
            log::warn!("{}: rolling back a transaction that a crash cut off", path.display());
            opened = roll_back(path, patience).and_then(|()| Self::attempt(path, patience, false));
        }
        if let Some(cause) = opened.as_ref().err().filter(|cause| is_malformed(cause)) {
            let complaint = words(cause);
            opened = Self::attempt(path, patience, true).map(|source| Self { complaint: Some(complaint), ..source });
        }
        opened.map_err(|cause| match is_malformed(&cause) {
            true => Refused::Unreadable(words(&cause)),
            false if is_locked(&cause) => Refused::Locked(explain("read the database", path, &cause)),
            false => Refused::Failed(explain("read the database", path, &cause)),
        })
    }

    fn attempt(path: &Path, patience: Duration, lenient: bool) -> rusqlite::Result<Self> {
        let tidy = Tidy::before(path);
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        wait_for_locks(&mut connection, patience)?;
        prepare(&connection, lenient)?;
        connection.execute_batch("BEGIN")?;
        let opened = Instant::now();
        // The first read pins what the transaction sees.
        let header = match pages::available() {
            true => connection
                .query_row(pages::ONE_PAGE, [1], |row| Ok(Header::of(row.get_ref(0)?.as_blob()?)))
                .optional()?
                .unwrap_or_else(|| Header::of(&[])),
            false => Header::of(&[]),
        };
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok(Self {
            page_size: connection.pragma_query_value(None, "page_size", |row| row.get(0))?,
            page_count: connection.pragma_query_value(None, "page_count", |row| row.get(0))?,
            is_wal: mode == "wal",
            complaint: None,
            connection,
            _tidy: tidy,
            opened,
            header,
        })
    }
}

/// Settings that need no lock first, so that nothing is read before `lenient` is known.
pub(super) fn prepare(connection: &Connection, lenient: bool) -> rusqlite::Result<()> {
    if lenient {
        // Read what can be read: a schema with errors, a file shorter than its header says.
        connection.execute_batch("PRAGMA writable_schema = ON")?;
    }
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;
         PRAGMA cache_size = -512;",
    )
}

pub(super) fn wait_for_locks(connection: &mut Connection, patience: Duration) -> rusqlite::Result<()> {
    // `busy_timeout` sleeps up to 100 ms between two tries, and would miss every gap.
    let mut since = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        let wait = since.elapsed() < patience;
        if wait {
            thread::sleep(BETWEEN_TRIES);
        }
        wait
    }))
}

/// Reading a database in WAL mode makes its `-wal` and `-shm`, and a read-only connection cannot take them away again.
/// Where they were not there before, and nothing is in them, SQLite removes them as the last user of the database
/// does, which looks after every lock. Nothing is checkpointed: there is nothing to.
#[derive(Debug)]
struct Tidy {
    path: PathBuf,
    alone: bool,
}

impl Tidy {
    fn before(path: &Path) -> Self {
        let is_absent = |suffix| presence::exists(&beside(path, suffix)).is_ok_and(|is_there| !is_there);
        let alone = ["-wal", "-shm"].into_iter().all(is_absent);
        Self { path: path.to_owned(), alone }
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        let wal = beside(&self.path, "-wal");
        let is_empty =
            || presence::entry(&wal).is_ok_and(|meta| meta.is_some_and(|meta| meta.is_file() && meta.len() == 0));
        if self.alone && is_empty() {
            // That it cannot is no failure: two files of no content stay.
            if let Ok(connection) = writable(&self.path) {
                drop(connection.query_row("SELECT 1 FROM sqlite_schema", [], |_| Ok(())));
            }
        }
    }
}

fn writable(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    Connection::open_with_flags(path, flags)
}

fn roll_back(path: &Path, patience: Duration) -> rusqlite::Result<()> {
    let mut connection = writable(path)?;
    wait_for_locks(&mut connection, patience)?;
    connection.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn is_hot_journal(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error().is_some_and(|cause| cause.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

pub(super) fn is_locked(cause: &rusqlite::Error) -> bool {
    // SQLite gives up with the last one after many rounds of a race for the log's locks.
    use ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    matches!(cause.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
}

/// Whether the same could succeed later: a lock is held, the disk is full.
#[must_use]
pub fn is_busy_or_full(cause: &rusqlite::Error) -> bool {
    is_locked(cause) || cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

pub(super) fn is_malformed(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the statement makes no sense to this SQLite: it lacks a collation, function, tokenizer or module of the
/// server's. `rusqlite` gives such an error in two forms.
pub fn lacks_something(cause: &rusqlite::Error) -> bool {
    matches!(cause, rusqlite::Error::SqlInputError { .. }) || cause.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// What SQLite says.
#[must_use]
pub fn words(cause: &rusqlite::Error) -> String {
    match cause {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// `cannot VERB PATH: why`, and what to do.
pub fn explain(verb: &str, path: &Path, cause: &rusqlite::Error) -> Error {
    let says = |code, why: &str| Error::new(code, format!("cannot {verb} {}: {why}", path.display()));
    match cause.sqlite_error_code() {
        _ if is_locked(cause) => says(Code::TryAgain, "another process keeps it locked").hint(
            "a server that sets locking_mode=EXCLUSIVE lets nobody read while it runs: back up while it is stopped, \
                 as is done before each start",
        ),
        Some(ErrorCode::DiskFull) => says(Code::TryAgain, "no space left on device"),
        Some(ErrorCode::CannotOpen) if presence::exists(path).is_ok_and(|is_there| !is_there) => {
            says(Code::TryAgain, "it is gone, and was there a moment ago")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            says(Code::Unexpected, &words(cause)).hint(
                "SQLite makes a -wal and a -shm beside the database to read it: check that the directory can be \
                 written by the user the container runs as",
            )
        }
        _ => says(Code::Unexpected, &words(cause)),
    }
}
