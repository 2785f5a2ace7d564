//! Plain files, read where they are: nothing is copied first.
//!
//! If a server writes to a file while we read it, our copy is part old, part new. Times do not prove that it did not: a
//! mapped file changes without a new time, and a log that only grows gets a new time although our copy is right. So the
//! content decides. If the times changed, or a server may be running, we read the file a second time, as far as the first
//! copy goes. If the two differ, the copy is `torn`. This module never opens a database or its sidecars, under any name,
//! because of the invariant in [`super`].

use std::{
    fmt,
    fs::{File, Metadata},
    io::{Read, Seek},
    os::unix::fs::{FileExt, MetadataExt},
    thread,
    time::SystemTime,
};

use nix::{errno::Errno, fcntl::OFlag, libc, sys::stat};

use super::{
    Survey, SurveyEntry,
    beneath::Beneath,
    holes::{self, Extent, HoleReader},
    survey::{Born, born},
};
use crate::prelude::*;

/// Files up to this size are read into memory, and read again until they hold still.
const IN_MEMORY: u64 = 1 << 20;
const TRIES: u32 = 4;
/// Two changes within one tick of the file system's clock get the same timestamp. The slowest clock ticks every 10 ms.
const TICK: Duration = Duration::from_millis(20);

/// Reads the files of a survey.
#[derive(Debug)]
pub struct Files<'a> {
    root: PathBuf,
    beneath: Beneath,
    survey: &'a Survey,
    /// Whether every file is read twice.
    twice: bool,
}

/// The content of one file, as a reader. It has exactly `size` bytes.
pub struct Captured {
    /// In bytes, when the file was opened. If the file shrinks, the rest is zeros.
    pub size: u64,
    /// Device and inode, and when the inode was created.
    id: ((u64, u64), Option<Born>),
    left: u64,
    content: Content,
}

enum Content {
    /// Read already.
    Memory { bytes: Vec<u8>, torn: bool },
    Live {
        file: File,
        path: PathBuf,
        before: Stamp,
        is_short: bool,
        twice: bool,
        /// If the file has holes.
        holes: Option<HoleReader>,
    },
}

/// Size and timestamps.
type Stamp = (u64, i64, i64, i64, i64);

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Read for Captured {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let at = self.size - self.left;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let into = &mut into[..most];
        let count = match &mut self.content {
            Content::Memory { bytes, .. } => {
                let at = bytes.len() - usize::try_from(self.left).unwrap_or(0);
                into.copy_from_slice(&bytes[at..at + most]);
                most
            }
            Content::Live { is_short: true, .. } => {
                into.fill(0);
                most
            }
            Content::Live { file, path, is_short, holes, .. } => {
                match read_at(file, holes.as_mut(), into, at, self.size) {
                    Ok(0) if most > 0 => {
                        *is_short = true;
                        into.fill(0);
                        most
                    }
                    Ok(count) => count,
                    Err(cause) if cause.kind() == io::ErrorKind::Interrupted => return Err(cause),
                    Err(cause) => return Err(Error::io("read", path, &cause).into()),
                }
            }
        };
        self.left -= count as u64;
        Ok(count)
    }
}

impl Captured {
    /// Whether it is the file that the survey found, and not another one that has replaced it.
    #[must_use]
    pub fn is(&self, found: &SurveyEntry) -> bool {
        self.id == (found.id(), found.born)
    }

    /// Whether the copy is torn. Call this after the last byte was read; `hash` is the hash of the copy.
    pub fn is_torn(self, hash: blake3::Hash) -> Result<bool> {
        let (file, path, before, twice, holes) = match self.content {
            Content::Memory { torn, .. } => return Ok(torn),
            Content::Live { is_short: true, .. } => return Ok(true),
            Content::Live { file, path, before, twice, holes, .. } => (file, path, before, twice, holes),
        };
        let after = file.metadata().on("read the metadata of", &path)?;
        if stamp(&after) == before && !twice {
            return Ok(false);
        }
        if after.len() < self.size {
            return Ok(true);
        }
        if let Some(holes) = &holes
            && holes.is_unchanged(&file, self.size).on("read", &path)?
        {
            return Ok(false);
        }
        let holes = holes.map(|_| HoleReader::default());
        let content = Content::Live { file, path: path.clone(), before, is_short: false, twice, holes };
        let mut again = Captured { left: self.size, content, ..self };
        let mut hasher = blake3::Hasher::new();
        io::copy(&mut again, &mut hasher).on("read", &path)?;
        Ok(hasher.finalize() != hash)
    }
}

impl<'a> Files<'a> {
    /// Opens `root`, the directory that `survey` describes. With `twice`, every file is read twice, because a server may
    /// be running.
    pub fn new(root: &Path, survey: &'a Survey, twice: bool) -> Result<Self> {
        let beneath = Beneath::open(root).on("open", root)?;
        Ok(Self { root: root.to_owned(), beneath, survey, twice })
    }

    /// Opens the regular file `found`. Returns `None` if it was removed or replaced by another kind of file.
    pub fn capture(&mut self, found: &SurveyEntry) -> Result<Option<Captured>> {
        let path = found.path.under(&self.root);
        let Some(file) = self.open(found)? else { return Ok(None) };
        wait_for_a_tick(&file).on("read the metadata of", &path)?;
        let meta = file.metadata().on("read the metadata of", &path)?;
        let (size, id, before) = (meta.len(), ((meta.dev(), meta.ino()), born(&file)), stamp(&meta));
        if size > IN_MEMORY {
            let has_holes = meta.blocks() * 512 < size;
            let holes = has_holes.then(HoleReader::default);
            let content = Content::Live { file, path, before, is_short: false, twice: self.twice, holes };
            return Ok(Some(Captured { size, id, left: size, content }));
        }
        let (bytes, torn) = self.read_until_still(file, before, &path)?;
        let size = bytes.len() as u64;
        Ok(Some(Captured { size, id, left: size, content: Content::Memory { bytes, torn } }))
    }

    /// The parts of a file that have blocks. `None` if there are more than `most`, or if the file is gone.
    pub fn extents(&mut self, found: &SurveyEntry, most: usize) -> Result<Option<Vec<Extent>>> {
        let Some(file) = self.open(found)? else { return Ok(None) };
        holes::extents(&file, found.size, most).on("find the holes of", &found.path.under(&self.root))
    }

    /// Reads a small file until nothing changed meanwhile. If it never holds still, its content decides: a file that only
    /// grows is not torn.
    fn read_until_still(&self, mut file: File, mut before: Stamp, path: &Path) -> Result<(Vec<u8>, bool)> {
        let mut readings: Vec<Vec<u8>> = Vec::new();
        for _ in 0..TRIES {
            file.rewind().on("rewind", path)?;
            let mut bytes = Vec::new();
            // No more than its size, because a log may grow faster than we read it.
            (&mut file).take(before.0.min(IN_MEMORY)).read_to_end(&mut bytes).on("read", path)?;
            let after = stamp(&file.metadata().on("read the metadata of", path)?);
            let is_still = after == before && (!self.twice || readings.last() == Some(&bytes));
            if is_still {
                return Ok((bytes, false));
            }
            before = after;
            readings.push(bytes);
        }
        let (last, earlier) = (readings.pop().unwrap_or_default(), readings.pop().unwrap_or_default());
        // An empty reading proves nothing: the file may be truncated before each write.
        let only_grows = !earlier.is_empty() && last.starts_with(&earlier);
        Ok(if only_grows { (earlier, false) } else { (last, true) })
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
}

fn read_at(file: &File, holes: Option<&mut HoleReader>, into: &mut [u8], at: u64, size: u64) -> io::Result<usize> {
    match holes {
        Some(holes) => holes.read_at(file, into, at, size),
        None => file.read_at(into, at),
    }
}

fn stamp(meta: &Metadata) -> Stamp {
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
