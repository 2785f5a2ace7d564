//! Temporary files without a name, so that the kernel removes them however the process ends.

use std::{
    env,
    fs::File,
    io::{Read, Write},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::sqlite::explain;
use crate::prelude::*;

/// The directory for temporary files. If it cannot hold them, the system's temporary folder is used.
#[derive(Debug, Clone)]
pub struct Spool {
    dir: PathBuf,
}

impl Spool {
    /// The spool folder of the volume.
    #[must_use]
    pub fn on(volume: &Volume) -> Self {
        Self { dir: volume.spool() }
    }

    /// Any directory.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Creates a file without a name.
    pub fn file(&self) -> Result<File> {
        tempfile::tempfile_in(&self.dir).or_else(|_| tempfile::tempfile()).on("create a temporary file in", &self.dir)
    }

    /// Creates a file without a name and a connection to it, for the image of a database that will be written to it.
    /// The file has a name until the connection is open, because SQLite opens files only by name.
    pub(super) fn image(&self) -> Result<(File, Connection)> {
        let (named, connection) = self.named_database(OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok((named.into_file(), connection))
    }

    /// The connection takes no locks (`unix-none`), so writing to the file directly is safe while the connection is
    /// idle.
    pub(super) fn named_database(&self, access: OpenFlags) -> Result<(NamedTempFile, Connection)> {
        let builder = tempfile::Builder::new();
        let named = builder.tempfile_in(&self.dir).or_else(|_| builder.tempfile_in(env::temp_dir()));
        let named = named.on("create a temporary file in", &self.dir)?;
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, so that SQLite never parses it as a URI.
        let path = fs::canonicalize(named.path()).on("resolve", named.path())?;
        let connection = Connection::open_with_flags_and_vfs(&path, flags, "unix-none")
            .map_err(|cause| explain("open the temporary file", &path, &cause))?;
        Ok((named, connection))
    }
}

/// Copies the content of `path` to a temporary file. The error names the side that failed.
pub(super) fn fill(from: &mut dyn Read, to: &mut File, path: &Path) -> Result<u64> {
    let temporary = |cause| Error::io("write", Path::new("a temporary file"), &cause).context(path.display());
    copy(from, |cause| Error::io("read", path, &cause), |bytes| to.write_all(bytes).map_err(temporary))
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
