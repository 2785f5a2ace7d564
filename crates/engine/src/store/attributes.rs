//! The extended attributes of the paths in a backup, with access lists (ACLs) and file capabilities among them.

use std::{ffi::OsString, os::fd::AsRawFd};

use nix::errno::Errno;
use volume::{
    error::reason,
    xattrs::{self, Xattrs},
};

use super::{beneath::Beneath, losses::Losses};
use crate::prelude::*;

/// The attributes of one path in the archive, in bytes with their names. Readers refuse headers of more than 1 MiB.
const LARGEST: usize = 960 << 10;

/// Reads attributes beneath a root, and never follows a link. It opens no file, because that could drop the locks of a
/// database.
#[derive(Debug)]
pub struct AttributeReader {
    root: PathBuf,
    beneath: Beneath,
    losses: Losses,
}

impl AttributeReader {
    /// Opens `root`.
    pub fn new(root: &Path) -> Result<Self> {
        let beneath = Beneath::open(root).on("open", root)?;
        Ok(Self { root: root.to_owned(), beneath, losses: Losses::default() })
    }

    /// Adds its attributes to the entry of a path, and gives it a mode for volumes without access lists.
    pub fn complete(&mut self, entry: seqbac::Entry, path: &RelPath) -> Result<seqbac::Entry> {
        let attributes = self.read(path).on("read the extended attributes of", &path.under(&self.root))?;
        Ok(seqbac::Entry { mode: xattrs::narrowed(entry.mode, &attributes), xattrs: attributes, ..entry })
    }

    /// What the paths have, but the backup has not.
    pub fn losses(&self) -> Vec<String> {
        self.losses.notes("in this backup")
    }

    fn read(&mut self, path: &RelPath) -> io::Result<Xattrs> {
        let mut read = Xattrs::new();
        let (full, names) = match self.names(path) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(read),
            Err(cause) if volume::is_refused(&cause) => {
                self.losses.add("the extended attributes", path, &reason(&cause));
                return Ok(read);
            }
            Err(cause) => return Err(cause),
        };
        let mut size = 0;
        for name in names {
            if !xattrs::is_kept(&name) {
                // Labels of the machine are no loss.
                if !name.as_encoded_bytes().starts_with(b"security.") {
                    self.losses.add_attribute(&name, path, "moorline does not keep this kind");
                }
                continue;
            }
            match xattrs::value(&full, &name) {
                Ok(Some(value)) => {
                    size += name.len() + value.len() + 64;
                    if size > LARGEST {
                        self.losses.add("some extended attributes", path, "together they are larger than 960 KiB");
                        break;
                    }
                    read.insert(name, value);
                }
                Ok(None) => {}
                Err(cause) if presence::is_absent(&cause) => return Ok(read),
                Err(cause) if volume::is_refused(&cause) => self.losses.add_attribute(&name, path, &reason(&cause)),
                Err(cause) => return Err(cause),
            }
        }
        Ok(read)
    }

    /// The names, and a path with which to read the values. `None` if nothing exists there any more.
    fn names(&mut self, path: &RelPath) -> io::Result<Option<(PathBuf, Vec<OsString>)>> {
        let (parent, name) = match self.beneath.parent(path) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => return Ok(None),
            other => other?,
        };
        let beneath = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
        // The second one where `/proc` is not mounted.
        for full in [beneath, path.under(&self.root)] {
            if let Some(mut names) = presence::unless_absent(xattrs::names(&full))? {
                // Access lists and capabilities come first.
                names.sort();
                return Ok(Some((full, names)));
            }
        }
        Ok(None)
    }
}
