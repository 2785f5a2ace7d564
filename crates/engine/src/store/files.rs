//! Plain files: read until they hold still.
//!
//! A file that a server writes to while it is read comes out half old, half new. It is read up to three times, and what
//! changed each time is handed over as it was read last, marked `torn`. Databases and their sidecars are never opened
//! here, under whatever name (see the invariant in [`super`]).

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Cursor, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use nix::{errno::Errno, fcntl::OFlag, libc, sys::stat};

use super::{Spool, Survey, SurveyEntry, beneath::Beneath, spool::fill};
use volume::error::{IoContext, Result};

/// Files up to this size are read to memory.
const IN_MEMORY: u64 = 1 << 20;
const TRIES: u32 = 3;
/// Within one tick of its clock, a file system gives two changes the same time. The slowest clock ticks every 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// The files of a survey, ready to be read.
#[derive(Debug)]
pub struct Files<'a> {
    root: PathBuf,
    beneath: Beneath,
    survey: &'a Survey,
    spool: &'a Spool,
}

/// One file, as it was read.
pub struct Captured {
    /// Bytes of it.
    pub size: u64,
    /// It changed each time it was read.
    pub torn: bool,
    /// Its content.
    pub content: Box<dyn Read + Send>,
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("size", &self.size).field("torn", &self.torn).finish_non_exhaustive()
    }
}

impl<'a> Files<'a> {
    /// The files that `survey` found below `root`.
    ///
    /// # Errors
    /// Where `root` cannot be opened.
    pub fn new(root: &Path, survey: &'a Survey, spool: &'a Spool) -> Result<Self> {
        let beneath = Beneath::open(root).on("open", root)?;
        Ok(Self { root: root.to_owned(), beneath, survey, spool })
    }

    /// Reads the regular file `found`; `None` where it is gone, or something else has taken its place.
    ///
    /// # Errors
    /// Where it cannot be read, or the spool is full.
    pub fn capture(&mut self, found: &SurveyEntry) -> Result<Option<Captured>> {
        let path = found.path.under(&self.root);
        let mut captured = None;
        for attempt in 1..=TRIES {
            let Some(mut file) = self.open(found)? else { return Ok(None) };
            wait_for_a_tick(&file).on("look at", &path)?;
            let before = file.metadata().on("look at", &path)?;
            let content = self.read(&mut file, before.len(), &path)?;
            let after = file.metadata().on("look at", &path)?;
            let torn = stamp(&before) != stamp(&after);
            captured = Some(Captured { torn, ..content });
            if !torn {
                break;
            }
            log::debug!("{} changed while it was read, attempt {attempt} of {TRIES}", path.display());
        }
        Ok(captured)
    }

    /// Looks before it opens: to open and close a database's file would be the harm already.
    fn open(&mut self, found: &SurveyEntry) -> Result<Option<File>> {
        let path = found.path.under(&self.root);
        let looked = match self.beneath.open_file(&found.path, OFlag::O_PATH) {
            Err(errno) if is_gone(errno) => return Ok(None),
            other => other.on("open", &path)?,
        };
        // Closing a descriptor made with O_PATH drops no locks.
        if !self.may_be_read(&stat::fstat(&looked).on("look at", &path)?) {
            return Ok(None);
        }
        let file = match self.beneath.open_file(&found.path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Err(errno) if is_gone(errno) => return Ok(None),
            other => File::from(other.on("open", &path)?),
        };
        if !self.may_be_read(&stat::fstat(&file).on("look at", &path)?) {
            // Something took its place between the two: should it be a database, this descriptor stays open for good.
            std::mem::forget(file);
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn may_be_read(&self, stat: &stat::FileStat) -> bool {
        stat.st_mode & libc::S_IFMT == libc::S_IFREG && !self.survey.untouchable.contains(&(stat.st_dev, stat.st_ino))
    }

    /// Reads `size` bytes and no more: a log may grow faster than it is read.
    fn read(&self, file: &mut File, size: u64, path: &Path) -> Result<Captured> {
        if size <= IN_MEMORY {
            let mut content = Vec::new();
            file.take(size).read_to_end(&mut content).on("read", path)?;
            return Ok(Captured { size: content.len() as u64, torn: false, content: Box::new(Cursor::new(content)) });
        }
        let mut spool = self.spool.file()?;
        let size = fill(&mut file.take(size), &mut spool, path)?;
        spool.seek(SeekFrom::Start(0)).on("rewind the temporary file of", path)?;
        Ok(Captured { size, torn: false, content: Box::new(spool) })
    }
}

/// What changes when the content does.
fn stamp(meta: &Metadata) -> (u64, i64, i64, i64, i64) {
    (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
}

/// Waits until a change from now on would show in the file's time.
fn wait_for_a_tick(file: &File) -> io::Result<()> {
    let changed = file.metadata()?.modified()?;
    match SystemTime::now().duration_since(changed) {
        Ok(age) if age >= TICK => {}
        Ok(age) => thread::sleep(TICK.saturating_sub(age)),
        // In the future: its clock is not ours, and nothing can be told from it.
        Err(_) => {}
    }
    Ok(())
}

fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO)
}
