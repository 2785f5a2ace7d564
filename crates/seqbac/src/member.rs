//! What a backup holds: members, their names, and the rules that the names obey.

use std::{collections::HashMap, path::PathBuf};

use super::{Error, Result};
use seqbac_header::RelPath;

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file with content.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it points. That may be anywhere; nothing is ever written through it.
    Symlink(PathBuf),
}

/// One member, as the tar describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name: where it belongs, relative to the storage root.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// Length of its content; 0 unless it is a file.
    pub size: u64,
    /// Permissions, with set-user-id, set-group-id and sticky: 12 bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime_secs: i64,
    /// The nanoseconds of it.
    pub mtime_nanos: u32,
    /// It changed while it was captured. Written into `digest.json`; a member that is read in sequence comes before
    /// that, so it is always `false` there.
    pub torn: bool,
}

/// The names so far. No name comes twice, and none leads through a member that is not a directory: a link least of all.
///
/// A name is kept as 16 bytes of its BLAKE3, so that a million of them are no burden.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<[u8; 16], Name>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// A member has a name below it, but it is none itself.
    Implied,
    Directory,
    Leaf,
}

impl Names {
    /// Takes the next member's name.
    ///
    /// # Errors
    /// `ContentMismatch` for a name that breaks the rules.
    pub fn add(&mut self, path: &RelPath, kind: &Kind) -> Result<()> {
        let mut above = path.parent();
        while let Some(directory) = above {
            match self.0.insert(key(&directory), Name::Implied) {
                None | Some(Name::Implied) => {}
                Some(Name::Directory) => drop(self.0.insert(key(&directory), Name::Directory)),
                Some(Name::Leaf) => {
                    return Err(Error::mismatch(format!("the member {path} leads through {directory}, no directory")));
                }
            }
            above = directory.parent();
        }
        let name = if *kind == Kind::Directory { Name::Directory } else { Name::Leaf };
        match (self.0.insert(key(path), name), name) {
            (None, _) | (Some(Name::Implied), Name::Directory) => Ok(()),
            (Some(Name::Implied), _) => {
                Err(Error::mismatch(format!("the member {path} is no directory, but others are below it")))
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
    fn no_name_comes_twice_or_leads_through_a_link() {
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
