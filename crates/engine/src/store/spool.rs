//! Temporary files without a name, so that the kernel removes them however the process ends.
//!
//! A spool never fills a disk: a margin of free space stays for the other users of the disk, above all for the server. If
//! the first folder has no room, the next one is used.

use std::{
    env,
    fs::File,
    io::{Read, Write},
};

use nix::sys::statvfs::{Statvfs, fstatvfs, statvfs};
use rusqlite::{Connection, OpenFlags};
use tempfile::{NamedTempFile, TempPath};

use super::sqlite::explain;
use crate::prelude::*;

/// The smallest margin in bytes.
const SMALLEST_MARGIN: u64 = 64 << 20;
/// One in this many bytes of a file system stays free.
const MARGIN: u64 = 100;
/// Free space is checked again after this many bytes.
const CHECKED_EVERY: u64 = 4 << 20;

/// The folders for temporary files, the best one first.
#[derive(Debug, Clone)]
pub struct Spool {
    places: Vec<PathBuf>,
    keeps_margin: bool,
}

/// A new temporary file, with a name until a connection to it is open.
pub(super) struct Spooled {
    pub(super) named: NamedTempFile,
    pub(super) connection: Connection,
}

impl Spool {
    /// Folders that other programs write to as well. If none of them has room, no file is created.
    #[must_use]
    pub const fn of(places: Vec<PathBuf>) -> Self {
        Self { places, keeps_margin: true }
    }

    /// One folder for small files, without a margin. If it cannot hold them, the system's temporary folder is used.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { places: vec![dir.to_owned(), env::temp_dir()], keeps_margin: false }
    }

    /// The folders, the best one first.
    pub(super) fn places(&self) -> &[PathBuf] {
        &self.places
    }

    /// Whether nothing more may be written at `path`, because the rest of the free space stays for others.
    #[must_use]
    pub fn is_full(&self, path: &Path) -> bool {
        self.room_in(path).is_some_and(|room| room < CHECKED_EVERY)
    }

    /// Fails if nothing more may be written at `path`.
    pub fn refuse_full(&self, path: &Path) -> Result<()> {
        if !self.keeps_margin {
            return Ok(());
        }
        refuse_full(&statvfs(path).map_err(io::Error::from).on("read the free space of", path)?, path)
    }

    /// Creates a file without a name for `bytes` of an image, and a connection to it. The file has a name until the
    /// connection is open, because SQLite opens files only by name.
    pub(super) fn image(&self, bytes: u64) -> Result<(File, Connection)> {
        let Spooled { named, connection } = self.named_database(OpenFlags::SQLITE_OPEN_READ_ONLY, bytes)?;
        Ok((named.into_file(), connection))
    }

    /// The connection takes no locks (`unix-none`), so writing to the file directly is safe while the connection is
    /// idle.
    pub(super) fn named_database(&self, access: OpenFlags, bytes: u64) -> Result<Spooled> {
        let named = self.named(bytes)?;
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, so that SQLite never parses it as a URI.
        let path = fs::canonicalize(named.path()).on("resolve", named.path())?;
        let connection = Connection::open_with_flags_and_vfs(&path, flags, "unix-none")
            .map_err(|cause| explain("open the temporary file", &path, &cause))?;
        Ok(Spooled { named, connection })
    }

    pub(super) fn named(&self, bytes: u64) -> Result<NamedTempFile> {
        let mut refused = Vec::new();
        let mut is_full = false;
        for place in &self.places {
            let created = match self.room_in(place) {
                Some(room) if room < bytes => {
                    is_full = true;
                    refused.push(format!("{} has room for {} MiB", place.display(), room >> 20));
                    continue;
                }
                _ => tempfile::Builder::new().tempfile_in(place),
            };
            match created {
                Ok(named) => return Ok(named),
                Err(cause) => {
                    let error = Error::io("create a temporary file in", place, &cause);
                    is_full |= error.code() == Code::TryAgain;
                    refused.push(error.message().to_owned());
                }
            }
        }
        let code = if is_full { Code::TryAgain } else { Code::Unexpected };
        let what = format!("a temporary file of {} MiB has no place: {}", bytes.div_ceil(1 << 20), refused.join("; "));
        Err(Error::new(code, what).hint(
            "name a folder with room in MOORLINE_SPOOL, or switch the database to WAL mode (PRAGMA journal_mode = WAL), which \
             needs no temporary file",
        ))
    }

    /// Bytes that a temporary file may take. `None` if every file may be written.
    fn room_in(&self, place: &Path) -> Option<u64> {
        statvfs(place).ok().filter(|_| self.keeps_margin).map(|stat| room(&stat))
    }

    /// Copies a stream of `bytes`, or of an unknown size if that is 0, to a temporary file with a name. `path` is for errors.
    pub fn copy_of(&self, from: &mut dyn Read, bytes: u64, path: &Path) -> Result<TempPath> {
        let named = self.named(bytes);
        let mut named = named.map_err(|error| error.hint("name a folder with room in MOORLINE_SPOOL"))?;
        self.fill(from, named.as_file_mut(), path)?;
        Ok(named.into_temp_path())
    }

    /// Copies the content of `path` to a temporary file. The error names the side that failed.
    pub(super) fn fill(&self, from: &mut dyn Read, to: &mut File, path: &Path) -> Result<u64> {
        let temporary = || PathBuf::from("a temporary file");
        let place = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(to)));
        let place = place
            .ok()
            .and_then(|path| path.parent().map(Path::to_owned))
            .map_or_else(temporary, |folder| folder.join("(a temporary file)"));
        let mut unchecked = CHECKED_EVERY;
        copy(
            from,
            |cause| Error::io("read", path, &cause),
            |bytes| {
                unchecked += bytes.len() as u64;
                if self.keeps_margin && unchecked >= CHECKED_EVERY {
                    unchecked = 0;
                    let stat = fstatvfs(&*to).map_err(io::Error::from).on("read the free space of", &place)?;
                    refuse_full(&stat, &place)?;
                }
                to.write_all(bytes).map_err(|cause| {
                    let error = Error::io("write", &place, &cause).context(path.display());
                    if error.code() == Code::TryAgain { error.hint(FULL) } else { error }
                })
            },
        )
    }
}

const FULL: &str = "free space there, or name another folder in MOORLINE_SPOOL";

fn refuse_full(stat: &Statvfs, path: &Path) -> Result<()> {
    if room(stat) >= CHECKED_EVERY {
        return Ok(());
    }
    let what = format!("cannot write {}: the rest of the free space is not ours", path.display());
    Err(Error::new(Code::TryAgain, what).hint(FULL))
}

/// Free space in bytes, without the margin.
fn room(stat: &Statvfs) -> u64 {
    let [free, total] = [stat.blocks_available(), stat.blocks()].map(|blocks| blocks * stat.fragment_size());
    free.saturating_sub(SMALLEST_MARGIN.max(total / MARGIN))
}

/// Passes everything that can be read from `from` to `write`, and returns the number of bytes.
pub(super) fn copy(
    from: &mut dyn Read,
    unreadable: impl Fn(io::Error) -> Error,
    mut write: impl FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => {
                write(&buffer[..read])?;
                copied += read as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(unreadable(cause)),
        }
    }
}
