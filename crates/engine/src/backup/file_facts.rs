//! What the manifest says about plain files beside their members: names of one file, and holes.

use std::collections::HashMap;

use crate::{
    prelude::*,
    store::{Extent, Files, Survey},
};

/// Extents of one file, and of all, in the manifest. Of other files it has only their names: then every block of zeros may
/// become a hole.
const MOST_OF_ONE: usize = 4096;
const MOST: usize = 1_000_000;

/// A file with holes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SparseFile {
    /// Relative to the storage root.
    pub path: RelPath,
    /// Disk usage in bytes, less than its length.
    pub allocated: u64,
    /// The parts with data: offset and length of each. Absent if they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extents: Option<Vec<Extent>>,
}

/// A further name of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardLink {
    /// Relative to the storage root.
    pub path: RelPath,
    /// The first name of the same file, also in the backup.
    pub link_to: RelPath,
}

/// The files that use less disk space than their length.
pub(super) fn sparse(root: &Path, survey: &Survey) -> Result<Vec<SparseFile>> {
    let mut files = Files::new(root, survey, false)?;
    let (mut sparse, mut left) = (Vec::new(), MOST);
    for found in survey.files.iter().filter(|found| found.kind == PathKind::File && found.allocated < found.size) {
        // A file system that does not know its holes, or that compresses, reports data only.
        let extents = files.extents(found, MOST_OF_ONE.min(left))?.filter(|extents| *extents != [(0, found.size)]);
        left -= extents.as_ref().map_or(0, Vec::len);
        sparse.push(SparseFile { path: found.path.clone(), allocated: found.allocated, extents });
    }
    Ok(sparse)
}

/// The further names of files with several names in the backup. Databases have only one.
pub(super) fn hard_links(survey: &Survey) -> Vec<HardLink> {
    let mut first: HashMap<_, &RelPath> = HashMap::new();
    let mut links = Vec::new();
    for found in survey.files.iter().filter(|found| found.kind != PathKind::Directory && found.links > 1) {
        match first.get(&found.id()) {
            Some(first) => links.push(HardLink { path: found.path.clone(), link_to: (*first).clone() }),
            None => drop(first.insert(found.id(), &found.path)),
        }
    }
    links
}
