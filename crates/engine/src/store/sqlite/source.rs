//! A read-only connection, in one transaction, to a database that a server may be writing to.

use std::{ffi::OsString, thread, time::Instant};

use nix::sys::statvfs::{FsFlags, statvfs};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, ffi};

use super::{check, facts::Header, open_files::OpenFiles, pages};
use crate::prelude::*;

/// A server in rollback mode leaves gaps of less than a millisecond between its commits, so we try often.
const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// A database in a read transaction, which ends on drop.
#[derive(Debug)]
pub(crate) struct Source {
    pub connection: Connection,
    /// Declared after the connection, so that it is dropped after it.
    _cleanup: SidecarCleanup,
    pub(super) opened: Instant,
    /// SQLite's error about the schema or the size, if we opened the database despite it.
    pub(super) complaint: Option<String>,
    pub(super) header: Header,
    pub(super) is_wal: bool,
    /// Opened as a file that does not change, because the file system is mounted read-only.
    pub(super) is_immutable: bool,
    pub(super) page_size: u32,
    pub(super) page_count: u32,
}

#[derive(Debug)]
pub(super) enum Refused {
    /// SQLite cannot read the file, with its reason.
    Unreadable(String),
    /// Another process has it locked.
    Locked(Error),
    /// The file no longer exists.
    Gone(Error),
    Failed(Error),
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Locked(error) | Refused::Gone(error) | Refused::Failed(error) => error,
            Refused::Unreadable(why) => Self::new(Code::Unexpected, why),
        }
    }
}

impl Source {
    /// Opens the database at `path`, which must not contain links, and begins a transaction. Waits up to `lock_timeout`
    /// for a lock that another process holds.
    pub fn open(path: &Path, lock_timeout: Duration) -> Result<Self> {
        Self::begin(path, lock_timeout).map_err(|refused| match refused {
            Refused::Unreadable(_) => {
                Error::from(refused).context(format!("cannot read the database {}", path.display()))
            }
            other => other.into(),
        })
    }

    pub(super) fn begin(path: &Path, lock_timeout: Duration) -> Result<Self, Refused> {
        let mut opened = Self::attempt(path, path, lock_timeout, false);
        if opened.as_ref().is_err_and(|cause| cannot_open(cause) && is_at_rest_on_read_only(path)) {
            opened = Self::attempt(&check::immutable(path), path, lock_timeout, false);
        }
        if opened.as_ref().is_err_and(is_hot_journal) {
            log::warn!("{}: rolling back a transaction that a crash interrupted", path.display());
            opened = roll_back(path, lock_timeout).and_then(|()| Self::attempt(path, path, lock_timeout, false));
        }
        if let Some(cause) = opened.as_ref().err().filter(|cause| is_malformed(cause)) {
            let complaint = words(cause);
            opened = Self::attempt(path, path, lock_timeout, true)
                .map(|source| Self { complaint: Some(complaint), ..source });
        }
        opened.map_err(|cause| match is_malformed(&cause) {
            true => Refused::Unreadable(words(&cause)),
            false if is_locked(&cause) => Refused::Locked(explain("read the database", path, &cause)),
            false if presence::exists(path).is_ok_and(|is_there| !is_there) => {
                Refused::Gone(explain("read the database", path, &cause))
            }
            false => Refused::Failed(explain("read the database", path, &cause)),
        })
    }

    /// `name` is `path`, or the URI that opens it as immutable.
    fn attempt(name: &Path, path: &Path, lock_timeout: Duration, lenient: bool) -> rusqlite::Result<Self> {
        let cleanup = SidecarCleanup::before(path);
        let before = OpenFiles::beneath_others(path);
        let is_immutable = name != path;
        let mut flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        flags.set(OpenFlags::SQLITE_OPEN_URI, is_immutable);
        let mut connection = Connection::open_with_flags(name, flags)?;
        wait_for_locks(&mut connection, lock_timeout)?;
        prepare(&connection, lenient)?;
        connection.execute_batch("BEGIN")?;
        let opened = Instant::now();
        // The first read fixes the transaction's view.
        let header = match pages::available() {
            true => connection
                .query_row(pages::ONE_PAGE, [1], |row| Ok(Header::of(row.get_ref(0)?.as_blob()?)))
                .optional()?
                .unwrap_or_else(|| Header::of(&[])),
            false => Header::of(&[]),
        };
        before.refuse_other_file(path)?;
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        Ok(Self {
            page_size: connection.pragma_query_value(None, "page_size", |row| row.get(0))?,
            page_count: connection.pragma_query_value(None, "page_count", |row| row.get(0))?,
            // A file that does not change needs no waiting for transactions.
            is_wal: mode == "wal" || is_immutable,
            is_immutable,
            complaint: None,
            connection,
            _cleanup: cleanup,
            opened,
            header,
        })
    }
}

fn cannot_open(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::CannotOpen)
}

/// Whether the file system is read-only for us, and no process has the database open in WAL mode: such a process needs a
/// `-shm`. SQLite cannot create one here, so it must not need one.
fn is_at_rest_on_read_only(path: &Path) -> bool {
    let is_read_only = statvfs(path).is_ok_and(|stat| stat.flags().contains(FsFlags::ST_RDONLY));
    is_read_only && !has_log(path)
}

/// Whether the database has a `-wal` with content.
pub(super) fn has_log(path: &Path) -> bool {
    presence::entry(&beside(path, "-wal")).is_ok_and(|meta| meta.is_some_and(|meta| meta.len() > 0))
}

/// Applies our settings. `writable_schema` comes first, so that SQLite does not read the schema without it.
pub(super) fn prepare(connection: &Connection, lenient: bool) -> rusqlite::Result<()> {
    if lenient {
        // SQLite then accepts a schema with errors, and a file that is shorter than its header says.
        connection.execute_batch("PRAGMA writable_schema = ON")?;
    }
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;
         PRAGMA cache_size = -512;",
    )
}

pub(super) fn wait_for_locks(connection: &mut Connection, lock_timeout: Duration) -> rusqlite::Result<()> {
    // `busy_timeout` sleeps up to 100 ms between two attempts, and would miss every gap.
    let mut since = Instant::now();
    connection.busy_handler(Some(move |tries: i32| {
        if tries == 0 {
            since = Instant::now();
        }
        let wait = since.elapsed() < lock_timeout;
        if wait {
            thread::sleep(BETWEEN_TRIES);
        }
        wait
    }))
}

/// Removes the sidecars that we caused.
///
/// Reading a database in WAL mode creates its `-wal` and `-shm`, and a read-only connection cannot remove them. If
/// neither existed before, and the `-wal` is empty, we open and close the database for writing, so that SQLite removes
/// them under its own locks. This checkpoints nothing, because the `-wal` is empty.
#[derive(Debug)]
struct SidecarCleanup {
    path: PathBuf,
    alone: bool,
}

impl SidecarCleanup {
    fn before(path: &Path) -> Self {
        let is_absent = |suffix| presence::exists(&beside(path, suffix)).is_ok_and(|is_there| !is_there);
        let alone = ["-wal", "-shm"].into_iter().all(is_absent);
        Self { path: path.to_owned(), alone }
    }
}

impl Drop for SidecarCleanup {
    fn drop(&mut self) {
        let wal = beside(&self.path, "-wal");
        let is_empty =
            || presence::entry(&wal).is_ok_and(|meta| meta.is_some_and(|meta| meta.is_file() && meta.len() == 0));
        if self.alone && is_empty() {
            // We ignore errors, because two files without content do no harm.
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

fn roll_back(path: &Path, lock_timeout: Duration) -> rusqlite::Result<()> {
    let mut connection = writable(path)?;
    wait_for_locks(&mut connection, lock_timeout)?;
    connection.query_row("PRAGMA schema_version", [], |_| Ok(()))
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn is_hot_journal(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error().is_some_and(|cause| cause.extended_code == ffi::SQLITE_READONLY_ROLLBACK)
}

pub(super) fn is_locked(cause: &rusqlite::Error) -> bool {
    // SQLite reports the last one after it has lost the race for the locks of the `-wal` many times.
    use ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
    matches!(cause.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
}

/// Whether a later attempt could succeed, because a lock is held or the disk is full.
pub(crate) fn is_busy_or_full(cause: &rusqlite::Error) -> bool {
    is_locked(cause) || cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

pub(super) fn is_malformed(cause: &rusqlite::Error) -> bool {
    matches!(cause.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether this SQLite lacks a collation, function, tokenizer or module that the server defines. `rusqlite` reports
/// this in two forms.
pub(crate) fn lacks_something(cause: &rusqlite::Error) -> bool {
    matches!(cause, rusqlite::Error::SqlInputError { .. }) || cause.sqlite_error_code() == Some(ErrorCode::Unknown)
}

/// SQLite's message, without `rusqlite`'s additions.
#[must_use]
pub fn words(cause: &rusqlite::Error) -> String {
    match cause {
        rusqlite::Error::SqliteFailure(_, Some(words)) => words.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// `cannot VERB PATH: why`, with a hint.
pub(crate) fn explain(verb: &str, path: &Path, cause: &rusqlite::Error) -> Error {
    let says = |code, why: &str| Error::new(code, format!("cannot {verb} {}: {why}", path.display()));
    if cause.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        && let Some(limit) = process::limits::open_files_exhausted()
    {
        return says(Code::Unexpected, &format!("this process has reached its limit of {limit} open files"))
            .hint(volume::error::RAISE_OPEN_FILES);
    }
    match cause.sqlite_error_code() {
        _ if is_locked(cause) => says(Code::TryAgain, "it is locked by another process").hint(
            "for a long transaction (VACUUM, a migration), wait longer with MOORLINE_DATABASE_WAIT=10m; if the server sets \
             locking_mode=EXCLUSIVE, stop it first, or rely on the boot backup that `moorline run` takes before the server \
             starts",
        ),
        Some(ErrorCode::DiskFull) => says(Code::TryAgain, "no space left on device"),
        Some(ErrorCode::CannotOpen) if presence::exists(path).is_ok_and(|is_there| !is_there) => {
            says(Code::TryAgain, "it was removed a moment ago")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => says(
            Code::Unexpected,
            &words(cause),
        )
        .hint(
            "make the directory writable for the user that the container runs as, because SQLite creates a -wal and a \
                 -shm file next to the database to read it",
        ),
        _ => says(Code::Unexpected, &words(cause)),
    }
}
