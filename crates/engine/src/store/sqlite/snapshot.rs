//! One database at one moment.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use volume::presence;

use rusqlite::Connection;

use super::{
    check::{self, Verdict},
    facts::{DatabaseFacts, Header},
    filled,
    pages::{self, Pages},
    source::{Refused, Source},
};
use crate::store::{Spool, SurveyEntry, spool::fill};
use volume::error::{Code, Error, IoContext, Result};

/// One database at one moment, whatever its server does meanwhile.
#[derive(Debug)]
pub struct Snapshot {
    found: SurveyEntry,
    path: PathBuf,
    state: State,
    waited: Option<Duration>,
}

#[derive(Debug)]
enum State {
    /// In a transaction. The copy is there only where `sqlite_dbpage` is not.
    Live(Box<Source>, Option<File>),
    /// Copied; the transaction is over. The connection is to the copy.
    Copied {
        file: File,
        connection: Connection,
        header: Header,
        page_size: u32,
        page_count: u32,
        complaint: Option<String>,
    },
    /// Nothing that SQLite could open, copied as it is.
    Unreadable { file: File, bytes: u64, header: Header, why: String },
}

/// How long to wait for one database while others are held.
const STEP: Duration = Duration::from_millis(200);

/// Opens a transaction on each of the databases, all of them before the first is read, then copies those whose writers
/// wait for it. Locks that other processes hold are waited for as long as `patience`; meanwhile, none is held here: a
/// server that commits to two databases at once would wait for us, and we for it.
///
/// # Errors
/// Where one stays locked, is gone, or cannot be read; where the spool is full.
pub fn open_all(root: &Path, databases: &[SurveyEntry], spool: &Spool, patience: Duration) -> Result<Vec<Snapshot>> {
    let root = root.canonicalize().on("find", root)?;
    let begun = Instant::now();
    loop {
        let step = STEP.min(patience);
        let opened: std::result::Result<Vec<_>, _> =
            databases.iter().map(|found| Snapshot::open(&root, found, spool, step)).collect();
        match opened {
            Ok(opened) => return opened.into_iter().map(|snapshot| snapshot.release_writers(spool)).collect(),
            Err(Refused::Locked(_)) if begun.elapsed() < patience => thread::sleep(STEP / 4),
            Err(refused) => return Err(refused.into()),
        }
    }
}

impl Snapshot {
    fn open(root: &Path, found: &SurveyEntry, spool: &Spool, patience: Duration) -> std::result::Result<Self, Refused> {
        let path = found.path.under(root);
        let state = match Source::begin(&path, patience) {
            Ok(source) => State::Live(Box::new(source), None),
            // No connection of SQLite's is open on it now, so that it may be read as a file.
            Err(Refused::Unreadable(why)) => copy_as_it_is(&path, spool, why).map_err(Refused::Failed)?,
            Err(refused) => return Err(refused),
        };
        Ok(Self { found: found.clone(), path, state, waited: None })
    }

    fn release_writers(mut self, spool: &Spool) -> Result<Self> {
        let source = match self.state {
            State::Live(source, None) if !source.is_wal || !pages::available() => source,
            _ => return Ok(self),
        };
        self.state = match pages::available() {
            true => copy(*source, spool, &self.path, &mut self.waited)?,
            false => {
                let mut source = source;
                let file = pages::back_up(&source, spool, &self.path)?;
                source.header = header_of(&file).on("read", &self.path)?;
                State::Live(source, Some(file))
            }
        };
        Ok(self)
    }

    /// Copies it, so that this process has it open no longer. The image is the one of the moment it was opened.
    ///
    /// # Errors
    /// Where it cannot be read, or the spool is full.
    pub fn let_go(mut self, spool: &Spool) -> Result<Self> {
        self.state = match self.state {
            State::Live(source, None) if pages::available() => copy(*source, spool, &self.path, &mut None)?,
            other => other,
        };
        Ok(self)
    }

    /// Which database it is.
    #[must_use]
    pub const fn found(&self) -> &SurveyEntry {
        &self.found
    }

    /// Bytes of the image.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.state {
            State::Live(source, _) => u64::from(source.page_size) * u64::from(source.page_count),
            State::Copied { page_size, page_count, .. } => u64::from(*page_size) * u64::from(*page_count),
            State::Unreadable { bytes, .. } => *bytes,
        }
    }

    /// How long writers were kept waiting, if they were: never in WAL mode.
    #[must_use]
    pub const fn waited(&self) -> Option<Duration> {
        self.waited
    }

    /// What the manifest says about it; with `check`, what is wrong with it, too.
    ///
    /// # Errors
    /// None that are known: what SQLite objects to is a finding.
    pub fn facts(&mut self, check: bool) -> Result<DatabaseFacts> {
        let (mut facts, verdict) = match &self.state {
            State::Live(source, _) => (
                source.header.facts(&self.found, source.page_size, source.page_count),
                verdict(check, &source.connection, source.complaint.as_ref()),
            ),
            State::Copied { connection, header, page_size, page_count, complaint, .. } => {
                (header.facts(&self.found, *page_size, *page_count), verdict(check, connection, complaint.as_ref()))
            }
            State::Unreadable { bytes, header, why, .. } => {
                let pages = bytes.checked_div(u64::from(header.page_size())).unwrap_or(0);
                let facts = header.facts(&self.found, header.page_size(), u32::try_from(pages).unwrap_or(u32::MAX));
                let verdict = Verdict { findings: vec![why.clone()], warnings: Vec::new() };
                (DatabaseFacts { bytes: *bytes, ..facts }, verdict)
            }
        };
        facts.filled_tables = match &self.state {
            State::Live(source, _) => filled::tables(&source.connection),
            State::Copied { connection, .. } => filled::tables(connection),
            State::Unreadable { .. } => None,
        };
        facts.checked = check;
        facts.findings = verdict.findings;
        facts.warnings = verdict.warnings;
        Ok(facts)
    }

    /// The image, from its first byte.
    ///
    /// # Errors
    /// Where SQLite cannot begin to read it.
    pub fn read(&mut self) -> Result<Image<'_>> {
        let file = match &mut self.state {
            State::Live(source, None) => return Pages::of(source, &self.path).map(Image::Pages),
            State::Live(_, Some(file)) | State::Copied { file, .. } | State::Unreadable { file, .. } => file,
        };
        file.seek(SeekFrom::Start(0)).on("rewind the copy of", &self.path)?;
        Ok(Image::Copy(file))
    }

    /// Whether another file has taken the database's place since it was opened, or none: the image is of the old one.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub fn was_replaced(&self) -> Result<bool> {
        Ok(presence::entry(&self.path)?.is_none_or(|meta| (meta.dev(), meta.ino()) != self.found.id()))
    }
}

/// The image of a database, to be read once through.
pub enum Image<'a> {
    /// From the transaction.
    Pages(Pages<'a>),
    /// From a copy.
    Copy(&'a mut File),
}

impl fmt::Debug for Image<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pages(_) => "Pages",
            Self::Copy(_) => "Copy",
        })
    }
}

impl Read for Image<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pages(pages) => pages.read(into),
            Self::Copy(file) => file.read(into),
        }
    }
}

fn verdict(check: bool, connection: &Connection, complaint: Option<&String>) -> Verdict {
    let mut verdict = if check { check::quick_check(connection) } else { Verdict::default() };
    if let Some(complaint) = complaint.filter(|complaint| !verdict.findings.contains(complaint)) {
        verdict.findings.insert(0, complaint.clone());
    }
    verdict
}

/// At disk speed: writers wait.
fn copy(source: Source, spool: &Spool, path: &Path, waited: &mut Option<Duration>) -> Result<State> {
    let (mut file, connection) = spool.image()?;
    fill(&mut Pages::of(&source, path)?, &mut file, path)?;
    let Source { opened, header, page_size, page_count, complaint, connection: live, .. } = source;
    drop(live);
    *waited = Some(opened.elapsed());
    // What the copy has against itself, the check will say.
    drop(super::source::prepare(&connection, complaint.is_some()));
    Ok(State::Copied { file, connection, header, page_size, page_count, complaint })
}

fn copy_as_it_is(path: &Path, spool: &Spool, why: String) -> Result<State> {
    let open = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK).open(path);
    let mut from = open.on("open", path)?;
    if !from.metadata().on("look at", path)?.is_file() {
        return Err(Error::new(Code::TryAgain, format!("{} was replaced while it was to be read", path.display())));
    }
    let mut file = spool.file()?;
    let bytes = fill(&mut from, &mut file, path)?;
    let header = header_of(&file).on("read", path)?;
    Ok(State::Unreadable { file, bytes, header, why })
}

fn header_of(file: &File) -> io::Result<Header> {
    let mut start = [0; 100];
    let mut bytes = 0;
    while bytes < start.len() {
        match file.read_at(&mut start[bytes..], bytes as u64)? {
            0 => break,
            read => bytes += read,
        }
    }
    Ok(Header::of(&start[..bytes]))
}
