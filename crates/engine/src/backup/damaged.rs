//! Damaged backups of this instance among the files that cannot be listed as backups.
//!
//! Listing a backup reads its header and its first segment. If one of them is damaged, the file is skipped, but it is no
//! less a backup that was kept and is lost.

use std::{fs::File, io::Read, path::Path};

use volume::backups::header;

use super::catalog::{Listed, Skipped};
use seqbac_header::{Fingerprint, Id};
use volume::error::Code;

/// No header is longer.
const LONGEST_HEADER: u64 = 4096;

/// A damaged backup of this instance that cannot be listed.
#[derive(Debug, Clone, Copy)]
pub struct Damaged<'a> {
    /// The file, and what is wrong with it.
    pub skipped: &'a Skipped,
    /// The backup's id; unknown if its header is damaged.
    pub id: Option<Id>,
}

/// The damaged backups of this instance, sealed with this key, among the skipped files.
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

/// A file that was written by a newer moorline, cannot be read or was removed meanwhile is not damaged.
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

/// Whether a header that cannot be parsed has this instance's id in it. It is random: no other file has it there.
fn mentions(file: &Path, instance: Id) -> bool {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|open| open.take(LONGEST_HEADER).read_to_end(&mut head));
    read.is_ok() && head.windows(instance.0.len()).any(|window| window == instance.0)
}
