//! The number of bytes to read in a backup, as the total for its progress.

use std::{fs::File, path::Path};

use super::{Manifest, manifest::member_of};
use seqbac::Archive;
use seqbac_header::{RelPath, SecretKey};

/// The bytes of all members of this backup.
pub(crate) fn bytes_of_members(file: &Path, key: &SecretKey, manifest: &Manifest) -> u64 {
    bytes_of_selected(file, key, manifest, |_| true)
}

/// The bytes of the selected members. If the index is not readable, only the databases count, because the manifest
/// lists them: an incomplete total is better than reading a damaged backup twice.
pub(super) fn bytes_of_selected(
    file: &Path,
    key: &SecretKey,
    manifest: &Manifest,
    is_selected: impl Fn(&RelPath) -> bool,
) -> u64 {
    let indexed = File::open(file).ok().and_then(|open| Archive::indexed_members(open, key));
    let Some(members) = indexed else {
        let databases = manifest.databases.iter().filter(|database| is_selected(&member_of(&database.path)));
        return databases.map(|database| database.bytes).sum();
    };
    members.iter().filter(|member| is_selected(&member.path)).map(|member| member.size).sum()
}
