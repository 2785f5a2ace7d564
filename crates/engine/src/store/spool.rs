//! Temporary files that have no name, so that nothing is left of them however the process ends.

use std::{
    env,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::sqlite::explain;
use volume::{
    Volume,
    error::{Error, IoContext, Result},
};

/// Where temporary files are made: a directory, or where that takes none, the system's temporary folder.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// On the volume, in its own folder for them.
    #[must_use]
    pub fn on(volume: &Volume) -> Self {
        Self { dir: volume.spool() }
    }

    /// In this directory.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// An open file without a name.
    ///
    /// # Errors
    /// Where neither folder takes one.
    pub fn file(&self) -> Result<File> {
        tempfile::tempfile_in(&self.dir).or_else(|_| tempfile::tempfile()).on("create a temporary file in", &self.dir)
    }

    /// An open file without a name, and a connection to it, for the image of a database that is yet to be written.
    ///
    /// SQLite opens by name only, so the file has one for as long as that takes.
    pub(super) fn image(&self) -> Result<(File, Connection)> {
        let (named, connection) = self.named_database(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok((named.into_file(), connection))
    }

    /// The connection takes no locks (`unix-none`): to write to the file beside it is safe while it is asked nothing.
    pub(super) fn named_database(&self, access: OpenFlags) -> Result<(NamedTempFile, Connection)> {
        let builder = tempfile::Builder::new();
        let named = builder.tempfile_in(&self.dir).or_else(|_| builder.tempfile_in(env::temp_dir()));
        let named = named.on("create a temporary file in", &self.dir)?;
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, so that it is never taken for a URI.
        let path = fs::canonicalize(named.path()).on("find", named.path())?;
        let connection = Connection::open_with_flags_and_vfs(&path, flags, "unix-none")
            .map_err(|cause| explain("open the temporary file", &path, &cause))?;
        Ok((named, connection))
    }
}

/// Copies what was read of `path` to a temporary file, and says which side failed.
pub(super) fn fill(from: &mut dyn Read, to: &mut File, path: &Path) -> Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            other => other.on("read", path)?,
        };
        if read == 0 {
            return Ok(copied);
        }
        to.write_all(&buffer[..read])
            .map_err(|cause| Error::io("write", Path::new("a temporary file"), &cause).context(path.display()))?;
        copied += read as u64;
    }
}
