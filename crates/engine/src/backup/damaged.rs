//! Damaged backups of this instance among the files that cannot be listed as backups.
//!
//! Listing a backup reads its header and its first segment. If one of them is damaged, the list skips the file,
//! although a backup was lost.

use std::{fs::File, io::Read, path::Path};

use volume::backups::header;

use super::catalog::{Listed, Skipped};
use seqbac_header::{Fingerprint, Id};
use volume::error::Code;

/// The maximum length of a header in bytes.
const LONGEST_HEADER: u64 = 4096;

/// A damaged backup of this instance.
#[derive(Debug, Clone, Copy)]
pub struct Damaged<'a> {
    /// The file and its error.
    pub skipped: &'a Skipped,
    /// The backup's id. Unknown if its header is damaged.
    pub id: Option<Id>,
}

/// Finds the damaged backups of this instance that are encrypted with this key among the skipped files.
pub fn damaged(listed: &Listed, instance: Id, key: Fingerprint) -> impl Iterator<Item = Damaged<'_>> {
    let is_damage = |skipped: &&Skipped| is_damage(skipped.error.code());
    listed.skipped.iter().filter(is_damage).filter_map(move |skipped| {
        let id = match header(&skipped.file) {
            Ok(header) if header.instance == Some(instance) && header.key_fingerprint == key => Some(header.id),
            Ok(_) => return None,
            Err(_) if mentions(&skipped.file, instance) => None,
            Err(_) => return None,
        };
        Some(Damaged { skipped, id })
    })
}

/// A backup is not damaged if a newer moorline wrote it, if it cannot be read, or if it was removed meanwhile.
const fn is_damage(code: Code) -> bool {
    matches!(
        code,
        Code::NotABackup
            | Code::HeaderCorrupt
            | Code::HeaderTampered
            | Code::Corrupt
            | Code::Truncated
            | Code::Incomplete
    )
}

/// Whether a header that cannot be parsed contains this instance's id. The id is random, so no other file contains it.
fn mentions(file: &Path, instance: Id) -> bool {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|open| open.take(LONGEST_HEADER).read_to_end(&mut head));
    read.is_ok() && head.windows(instance.0.len()).any(|window| window == instance.0)
}
