//! How many bytes there are to read in a backup: the total that progress is shown against.

use std::{fs::File, path::Path};

use super::{Manifest, manifest::member_of};
use seqbac::Archive;
use seqbac_header::{RelPath, SecretKey};

/// The bytes of all members of this backup.
pub fn bytes_of_members(file: &Path, key: &SecretKey, manifest: &Manifest) -> u64 {
    bytes_of_chosen(file, key, manifest, |_| true)
}

/// The bytes of those members that are chosen. Without a readable index only the databases, which the manifest lists, are
/// counted: an incomplete total is better than reading a damaged backup twice.
pub fn bytes_of_chosen(file: &Path, key: &SecretKey, manifest: &Manifest, is_chosen: impl Fn(&RelPath) -> bool) -> u64 {
    let indexed = File::open(file).ok().and_then(|open| Archive::indexed_members(open, key));
    let Some(members) = indexed else {
        let databases = manifest.databases.iter().filter(|database| is_chosen(&member_of(&database.path)));
        return databases.map(|database| database.bytes).sum();
    };
    members.iter().filter(|member| is_chosen(&member.path)).map(|member| member.size).sum()
}
