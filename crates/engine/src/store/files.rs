//! Plain files: read again until they stop changing.
//!
//! If a server writes to a file while we read it, our copy is part old, part new. So we read it up to three times. If
//! it changed every time, we keep the last copy and mark it `torn`. This module never opens a database or its sidecars,
//! under any name, because of the invariant in [`super`].

use std::{
    fmt,
    fs::{File, Metadata},
    io::{Cursor, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    thread,
    time::SystemTime,
};

use nix::{errno::Errno, fcntl::OFlag, libc, sys::stat};

use super::{Spool, Survey, SurveyEntry, beneath::Beneath, spool::fill};
use crate::prelude::*;

/// Files up to this size are read into memory.
const IN_MEMORY: u64 = 1 << 20;
const TRIES: u32 = 3;
/// Two changes within one tick of the file system's clock get the same timestamp. The slowest clock ticks every 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// Reads the files of a survey.
#[derive(Debug)]
pub struct Files<'a> {
    root: PathBuf,
    beneath: Beneath,
    survey: &'a Survey,
    spool: &'a Spool,
}

/// The content of one file.
pub struct Captured {
    /// In bytes.
    pub size: u64,
    /// Whether the file changed during every attempt to read it.
    pub torn: bool,
    /// From the first byte.
    pub content: Box<dyn Read + Send>,
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("size", &self.size).field("torn", &self.torn).finish_non_exhaustive()
    }
}

impl<'a> Files<'a> {
    /// Opens `root`, the directory that `survey` describes.
    pub fn new(root: &Path, survey: &'a Survey, spool: &'a Spool) -> Result<Self> {
        let beneath = Beneath::open(root).on("open", root)?;
        Ok(Self { root: root.to_owned(), beneath, survey, spool })
    }

    /// Reads the regular file `found`. Returns `None` if it was removed or replaced by another kind of file.
    pub fn capture(&mut self, found: &SurveyEntry) -> Result<Option<Captured>> {
        let path = found.path.under(&self.root);
        let mut captured = None;
        for attempt in 1..=TRIES {
            let Some(mut file) = self.open(found)? else { return Ok(None) };
            wait_for_a_tick(&file).on("read the metadata of", &path)?;
            let before = file.metadata().on("read the metadata of", &path)?;
            let content = self.read(&mut file, before.len(), &path)?;
            let after = file.metadata().on("read the metadata of", &path)?;
            let torn = stamp(&before) != stamp(&after);
            captured = Some(Captured { torn, ..content });
            if !torn {
                break;
            }
            log::debug!("{} changed while it was read, attempt {attempt} of {TRIES}", path.display());
        }
        Ok(captured)
    }

    /// Checks the file through an `O_PATH` descriptor before it opens it, because opening and closing a database's file
    /// would already drop SQLite's locks.
    fn open(&mut self, found: &SurveyEntry) -> Result<Option<File>> {
        let path = found.path.under(&self.root);
        let unopened = match self.beneath.open_file(&found.path, OFlag::O_PATH) {
            Err(errno) if is_gone(errno) => return Ok(None),
            other => other.on("open", &path)?,
        };
        // Closing an O_PATH descriptor drops no locks.
        if !self.may_be_read(&stat::fstat(&unopened).on("read the metadata of", &path)?) {
            return Ok(None);
        }
        let file = match self.beneath.open_file(&found.path, OFlag::O_RDONLY | OFlag::O_NONBLOCK) {
            Err(errno) if is_gone(errno) => return Ok(None),
            other => File::from(other.on("open", &path)?),
        };
        if !self.may_be_read(&stat::fstat(&file).on("read the metadata of", &path)?) {
            // The file was replaced between the two calls. The new file may be a database, so this descriptor is never
            // closed.
            std::mem::forget(file);
            return Ok(None);
        }
        Ok(Some(file))
    }

    fn may_be_read(&self, stat: &stat::FileStat) -> bool {
        stat.st_mode & libc::S_IFMT == libc::S_IFREG && !self.survey.untouchable.contains(&(stat.st_dev, stat.st_ino))
    }

    /// Reads at most `size` bytes, because a log may grow faster than we read it.
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

/// Size and timestamps, which change whenever the content changes.
fn stamp(meta: &Metadata) -> (u64, i64, i64, i64, i64) {
    (meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec())
}

/// Waits until any later change gets a different timestamp.
fn wait_for_a_tick(file: &File) -> io::Result<()> {
    let changed = file.metadata()?.modified()?;
    match SystemTime::now().duration_since(changed) {
        Ok(age) if age >= TICK => {}
        Ok(age) => thread::sleep(TICK.saturating_sub(age)),
        // The time is in the future: the file system does not use our clock, so waiting would prove nothing.
        Err(_) => {}
    }
    Ok(())
}

fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENXIO)
}
