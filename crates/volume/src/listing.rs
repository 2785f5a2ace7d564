//! The entries of a directory, without `opendir`, because musl's version maps and unmaps a page for each directory, and
//! PID 1 lists several directories in every start.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use rustix::{
    fs::{Dir, FileType, Mode, OFlags, open},
    io::Errno,
};

use crate::error::{Error, Result};

/// An entry of a directory.
#[derive(Debug)]
pub struct Entry {
    /// The file name.
    pub name: OsString,
    /// The type according to the directory; some file systems do not report it.
    pub file_type: FileType,
}

/// The entries of a directory in no order; `None` if it does not exist.
pub fn entries(folder: &Path) -> Result<Option<Vec<Entry>>> {
    let failed = |errno: Errno| Error::io("list", folder, &errno.into());
    let opened = match open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in Dir::new(opened).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            found.push(Entry { name: name.to_owned(), file_type: entry.file_type() });
        }
    }
    Ok(Some(found))
}
