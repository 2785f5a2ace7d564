//! Temporary files that have no name, so that nothing is left of them however the process ends.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use crate::{
    error::{Error, IoContext, Result},
    volume::Volume,
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
        tempfile::tempfile_in(&self.dir)
            .or_else(|_| tempfile::tempfile())
            .on("create a temporary file in", &self.dir)
    }

    /// An open file without a name, and a connection of SQLite to it, for an image that is yet to be written.
    ///
    /// SQLite opens by name only, so the file has one for as long as that takes. The connection takes no locks
    /// (`unix-none`): writing to the file beside it is safe as long as it is not being asked anything.
    pub(super) fn image(&self) -> Result<(File, Connection)> {
        let builder = tempfile::Builder::new();
        let named = builder.tempfile_in(&self.dir).or_else(|_| builder.tempfile_in(env::temp_dir()));
        let named = named.on("create a temporary file in", &self.dir)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        // Absolute, so that it is never taken for a URI.
        let path = fs::canonicalize(named.path()).on("find", named.path())?;
        let connection = Connection::open_with_flags_and_vfs(&path, flags, "unix-none")
            .map_err(|cause| Error::new(crate::error::Code::Unexpected, format!("cannot open {}: {cause}", path.display())))?;
        let file = named.into_file();
        Ok((file, connection))
    }
}
