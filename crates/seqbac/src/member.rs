//! Members of a backup, and the rules for their names.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    path::PathBuf,
};

use super::{Error, Result};
use seqbac_header::RelPath;

/// The file type of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link with its target. The target can be anywhere, because nothing is ever written through a link.
    Symlink(PathBuf),
}

/// The metadata of a member, as in its tar header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the storage root.
    pub path: RelPath,
    /// The file type.
    pub kind: Kind,
    /// Length of the content in bytes; 0 unless the member is a file.
    pub size: u64,
    /// 12 bits: permissions, set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Modification time in seconds since 1970.
    pub mtime_secs: i64,
    /// Nanoseconds of the modification time.
    pub mtime_nanos: u32,
    /// Extended attributes by name, among them access lists and file capabilities.
    pub xattrs: BTreeMap<OsString, Vec<u8>>,
    /// The member changed while it was captured. The mark is stored in `digest.json`, so it is always `false` when a
    /// member is read in sequence, because the digest comes last.
    pub torn: bool,
}

/// The names of the members so far. Names must be unique, and no name may lead through a member that is not a
/// directory, because an extraction could then be redirected through a symbolic link.
///
/// A name is stored as 16 bytes of its BLAKE3 hash, so that a million names need little memory.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<[u8; 16], Name>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Not a member itself, but a parent directory of one.
    Implied,
    Directory,
    Leaf,
}

impl Names {
    /// Adds the next member's name. The error for a name that breaks the rules is `ContentMismatch`.
    pub fn add(&mut self, path: &RelPath, kind: &Kind) -> Result<()> {
        let mut above = path.parent();
        while let Some(directory) = above {
            match self.0.insert(key(&directory), Name::Implied) {
                None | Some(Name::Implied) => {}
                Some(Name::Directory) => drop(self.0.insert(key(&directory), Name::Directory)),
                Some(Name::Leaf) => {
                    return Err(Error::mismatch(format!(
                        "the member {path} is below {directory}, which is not a directory"
                    )));
                }
            }
            above = directory.parent();
        }
        let name = if *kind == Kind::Directory { Name::Directory } else { Name::Leaf };
        match (self.0.insert(key(path), name), name) {
            (None, _) | (Some(Name::Implied), Name::Directory) => Ok(()),
            (Some(Name::Implied), _) => {
                Err(Error::mismatch(format!("the member {path} is not a directory, but has members below it")))
            }
            _ => Err(Error::mismatch(format!("two members have the name {path}"))),
        }
    }
}

fn key(path: &RelPath) -> [u8; 16] {
    seqbac_header::header::array(&blake3::hash(path.as_bytes()).as_bytes()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[(&str, Kind)]) -> bool {
        let mut known = Names::default();
        names.iter().all(|(name, kind)| known.add(&RelPath::new(name).expect("a path"), kind).is_ok())
    }

    #[test]
    fn duplicate_names_and_names_below_a_link_are_refused() {
        let link = || Kind::Symlink("/etc".into());
        assert!(all(&[("a", Kind::Directory), ("a/b", Kind::File), ("c/d", Kind::File), ("c", Kind::Directory)]));
        assert!(all(&[("a", link()), ("b", Kind::File)]));
        assert!(!all(&[("a", Kind::File), ("a", Kind::File)]));
        assert!(!all(&[("a", Kind::Directory), ("a/b", Kind::File), ("a", Kind::Directory)]));
        assert!(!all(&[("a", link()), ("a/b", Kind::File)]));
        assert!(!all(&[("a", link()), ("a/b/c", Kind::File)]));
        assert!(!all(&[("a", Kind::File), ("a/b", Kind::File)]));
        assert!(!all(&[("a/b", Kind::File), ("a", link())]));
    }
}
