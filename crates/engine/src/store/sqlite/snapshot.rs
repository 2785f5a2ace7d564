//! Snapshots: a transaction on a live database, or a copy of it.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    thread,
    time::Instant,
};

use rusqlite::Connection;

use super::{
    check,
    facts::{DatabaseFacts, Header},
    pages::{self, Pages},
    source::{Refused, Source, beside, has_log},
};
use crate::{
    prelude::*,
    store::{Spool, SurveyEntry},
};

/// One database at one moment, independent of later changes.
#[derive(Debug)]
pub struct Snapshot {
    found: SurveyEntry,
    path: PathBuf,
    state: SnapshotState,
    waited: Option<Duration>,
}

#[derive(Debug)]
enum SnapshotState {
    /// In a transaction. The copy exists only if `sqlite_dbpage` is missing.
    Live(Box<Source>, Option<File>),
    /// Copied. The transaction has ended, and the connection is to the copy.
    Copied {
        file: File,
        connection: Connection,
        header: Header,
        page_size: u32,
        page_count: u32,
        complaint: Option<String>,
    },
    /// A file that SQLite cannot open. It is read as a file.
    Unreadable { file: File, bytes: u64, header: Header, why: String },
}

/// Longest wait for one database while we hold transactions on others.
const STEP: Duration = Duration::from_millis(200);
/// Log a line if we wait for a lock for longer than this.
const LOGGED_AFTER: Duration = Duration::from_secs(5);

/// Databases that were opened together.
#[derive(Debug)]
pub struct Opened {
    /// In the order of the survey.
    pub snapshots: Vec<Snapshot>,
    /// Databases that were removed after the survey.
    pub vanished: Vec<RelPath>,
}

/// Opens a transaction on every database before it reads the first, then copies the databases whose writers have to
/// wait.
///
/// Waits up to `lock_timeout` for locks that other processes hold. Meanwhile we release our own locks, because a server
/// that commits to two databases at once could otherwise deadlock with us.
///
/// A database that was removed since the survey is an error.
pub fn open_all(
    root: &Path,
    databases: &[SurveyEntry],
    spool: &Spool,
    lock_timeout: Duration,
) -> Result<Vec<Snapshot>> {
    open_present(root, databases, spool, lock_timeout, &|_| true).map(|opened| opened.snapshots)
}

/// As [`open_all`], but only for a database that `must_exist` is it an error that it was removed since the survey.
pub fn open_present(
    root: &Path,
    databases: &[SurveyEntry],
    spool: &Spool,
    lock_timeout: Duration,
    must_exist: &dyn Fn(&RelPath) -> bool,
) -> Result<Opened> {
    let root = root.canonicalize().on("resolve", root)?;
    let begun = Instant::now();
    let mut is_logged = false;
    loop {
        match open_together(&root, databases, STEP.min(lock_timeout), must_exist) {
            Ok(Opened { snapshots, vanished }) => {
                let released = snapshots.into_iter().map(|snapshot| snapshot.release_writers(spool));
                return Ok(Opened { snapshots: released.collect::<Result<_>>()?, vanished });
            }
            Err(Refused::Locked(error)) if begun.elapsed() < lock_timeout => {
                if begun.elapsed() >= LOGGED_AFTER && !std::mem::replace(&mut is_logged, true) {
                    log::info!("waiting up to {lock_timeout:.0?}: {error}");
                }
                thread::sleep(STEP / 4);
            }
            Err(Refused::Locked(error)) => return Err(error.context(format!("waited {lock_timeout:.0?}"))),
            Err(refused) => return Err(refused.into()),
        }
    }
}

fn open_together(
    root: &Path,
    databases: &[SurveyEntry],
    lock_timeout: Duration,
    must_exist: &dyn Fn(&RelPath) -> bool,
) -> Result<Opened, Refused> {
    let mut opened = Opened { snapshots: Vec::new(), vanished: Vec::new() };
    for found in databases {
        match Snapshot::open(root, found, lock_timeout) {
            Ok(snapshot) => opened.snapshots.push(snapshot),
            Err(Refused::Gone(_)) if !must_exist(&found.path) => opened.vanished.push(found.path.clone()),
            Err(refused) => return Err(refused),
        }
    }
    Ok(opened)
}

impl Snapshot {
    fn open(root: &Path, found: &SurveyEntry, lock_timeout: Duration) -> Result<Self, Refused> {
        let path = found.path.under(root);
        let state = match Source::begin(&path, lock_timeout) {
            Ok(source) => SnapshotState::Live(Box::new(source), None),
            // SQLite does not have the file open now, so we may read it as a file.
            Err(Refused::Unreadable(why)) => open_unreadable(&path, why)?,
            Err(refused) => return Err(refused),
        };
        Ok(Self { found: found.clone(), path, state, waited: None })
    }

    fn release_writers(mut self, spool: &Spool) -> Result<Self> {
        let source = match self.state {
            SnapshotState::Live(source, None) if !source.is_wal || !pages::available() => source,
            _ => return Ok(self),
        };
        self.state = match pages::available() {
            true => copy(*source, spool, &self.path, &mut self.waited)?,
            false => {
                let mut source = source;
                let file = pages::back_up(&source, spool, &self.path)?;
                source.header = header_of(&file).on("read", &self.path)?;
                SnapshotState::Live(source, Some(file))
            }
        };
        Ok(self)
    }

    /// Copies the database and closes it. The image still shows the time when the transaction began.
    pub fn release(mut self, spool: &Spool) -> Result<Self> {
        self.state = match self.state {
            SnapshotState::Live(source, None) if pages::available() => copy(*source, spool, &self.path, &mut None)?,
            other => other,
        };
        Ok(self)
    }

    /// The survey entry of the database.
    #[must_use]
    pub const fn found(&self) -> &SurveyEntry {
        &self.found
    }

    /// How long writers had to wait. `None` in WAL mode, where they never wait.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// The facts for the manifest. With `check`, they include the faults of the database, which are not errors.
    pub fn facts(&mut self, check: bool) -> Result<DatabaseFacts> {
        let (mut facts, connection, complaint) = match &self.state {
            SnapshotState::Live(source, _) => (
                source.header.facts(&self.found, source.page_size, source.page_count),
                Some(&source.connection),
                source.complaint.as_ref(),
            ),
            SnapshotState::Copied { connection, header, page_size, page_count, complaint, .. } => {
                (header.facts(&self.found, *page_size, *page_count), Some(connection), complaint.as_ref())
            }
            SnapshotState::Unreadable { bytes, header, why, .. } => {
                let pages = bytes.checked_div(u64::from(header.page_size())).unwrap_or(0);
                let facts = header.facts(&self.found, header.page_size(), u32::try_from(pages).unwrap_or(u32::MAX));
                (DatabaseFacts { bytes: *bytes, ..facts }, None, Some(why))
            }
        };
        let mut verdict = connection.filter(|_| check).map(check::quick_check).unwrap_or_default();
        if let Some(complaint) = complaint.filter(|complaint| !verdict.findings.contains(complaint)) {
            verdict.findings.insert(0, complaint.clone());
        }
        facts.filled_tables = connection.and_then(check::filled_tables);
        facts.checked = check;
        facts.findings = verdict.findings;
        facts.warnings = verdict.warnings;
        Ok(facts)
    }

    /// Reads the image from its first byte.
    pub fn read(&mut self) -> Result<Box<dyn Read + '_>> {
        let file = match &mut self.state {
            SnapshotState::Live(source, None) => return Ok(Box::new(Pages::of(source, &self.path)?)),
            SnapshotState::Unreadable { file, bytes, .. } => {
                file.rewind().on("rewind", &self.path)?;
                // The manifest has the size, so a file that has shrunk since is padded.
                return Ok(Box::new(file.chain(io::repeat(0)).take(*bytes)));
            }
            SnapshotState::Live(_, Some(file)) | SnapshotState::Copied { file, .. } => file,
        };
        file.seek(SeekFrom::Start(0)).on("rewind the copy of", &self.path)?;
        Ok(Box::new(file))
    }

    /// The `-wal` and the `-journal` of a database that SQLite cannot open, as files: they may hold rows that can be
    /// saved. Their content belongs to the image of any other database.
    pub fn sidecars(&self) -> Result<Vec<(SurveyEntry, File)>> {
        let mut sidecars = Vec::new();
        if !matches!(self.state, SnapshotState::Unreadable { .. }) {
            return Ok(sidecars);
        }
        for suffix in ["-wal", "-journal"] {
            let path = beside(&self.path, suffix);
            let Some(file) = open_as_file(&path)? else { continue };
            let meta = file.metadata().on("read the metadata of", &path)?;
            let named = RelPath::new(beside(self.found.path.as_path(), suffix)).ok().filter(|_| meta.len() > 0);
            sidecars.extend(named.map(|path| (SurveyEntry::new(path, PathKind::File, None, &meta), file)));
        }
        Ok(sidecars)
    }

    /// Whether the database was replaced or removed since it was opened. If so, the image shows the old file.
    pub fn was_replaced(&self) -> Result<bool> {
        // Through another mount, a server may have begun to write.
        if matches!(&self.state, SnapshotState::Live(source, _) if source.is_immutable && has_log(&self.path)) {
            return Ok(true);
        }
        Ok(presence::entry(&self.path)?.is_none_or(|meta| (meta.dev(), meta.ino()) != self.found.id()))
    }
}

/// Copies the database at disk speed, because writers wait meanwhile.
fn copy(source: Source, spool: &Spool, path: &Path, waited: &mut Option<Duration>) -> Result<SnapshotState> {
    let bytes = u64::from(source.page_size) * u64::from(source.page_count);
    let (mut file, connection) =
        spool.image(bytes).map_err(|error| error.context(format!("cannot copy the database {}", path.display())))?;
    spool.fill(&mut Pages::of(&source, path)?, &mut file, path)?;
    let Source { opened, header, page_size, page_count, complaint, connection: live, .. } = source;
    drop(live);
    *waited = Some(opened.elapsed());
    // We ignore an error here, because the check reports it.
    drop(super::source::prepare(&connection, complaint.is_some()));
    Ok(SnapshotState::Copied { file, connection, header, page_size, page_count, complaint })
}

fn open_unreadable(path: &Path, why: String) -> Result<SnapshotState, Refused> {
    let Some(file) = open_as_file(path).map_err(Refused::Failed)? else {
        let what = format!("{} was removed or replaced before it could be read", path.display());
        return Err(Refused::Gone(Error::new(Code::TryAgain, what)));
    };
    let bytes = file.metadata().on("read the metadata of", path).map_err(Refused::Failed)?.len();
    let header = header_of(&file).on("read", path).map_err(Refused::Failed)?;
    Ok(SnapshotState::Unreadable { file, bytes, header, why })
}

/// Opens a file that SQLite does not have open. Returns `None` if it does not exist or is not a regular file.
fn open_as_file(path: &Path) -> Result<Option<File>> {
    let open = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path);
    let file = match open {
        Err(cause) if cause.raw_os_error() == Some(nix::libc::ELOOP) => return Ok(None),
        other => presence::unless_absent(other).on("open", path)?,
    };
    let Some(file) = file else { return Ok(None) };
    Ok(file.metadata().on("read the metadata of", path)?.is_file().then_some(file))
}

fn header_of(mut file: &File) -> io::Result<Header> {
    let mut start = Vec::new();
    file.rewind()?;
    file.take(100).read_to_end(&mut start)?;
    Ok(Header::of(&start))
}
