//! The memory of quarantine as a member of a backup: what had been on is known wherever the state is restored.
//!
//! It is read before the state is, and again after. Apps are switched off only under the lock that a backup holds, and
//! the memory is written first; they are switched on by a start, too, which waits for no backup, and the memory is
//! written last. So whatever is captured as off is remembered, unless the two readings differ; then there is no backup.

use std::{
    io::{Read, Write},
    path::Path,
};

use super::manifest::quarantine_member;
use crate::quarantine::QuarantineRecord;
use seqbac::{Entry, Kind, Writer};
use seqbac_header::RelPath;
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// No memory is longer.
const LARGEST: u64 = 1 << 30;

/// What a volume remembered when a backup of it began.
#[derive(Debug)]
pub(super) struct Remembered(Option<QuarantineRecord>);

impl Remembered {
    /// Of the volume now. What somebody wants released here is of no concern to who restores it elsewhere.
    pub fn of(volume: &Volume) -> Result<Self> {
        Ok(Self(QuarantineRecord::load(volume)?.map(QuarantineRecord::without_requests)))
    }

    /// Whether there is quarantine.
    pub const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Files that quarantine took away and keeps under other names.
    pub fn files(&self) -> Vec<RelPath> {
        self.0.as_ref().map(QuarantineRecord::files).unwrap_or_default()
    }

    /// Writes the member, where there is anything to write.
    pub fn write<W: Write>(&self, writer: &mut Writer<W>, created: jiff::Timestamp) -> Result<()> {
        let Some(memory) = &self.0 else { return Ok(()) };
        let content = memory.to_bytes()?;
        let entry = Entry {
            path: quarantine_member(),
            kind: Kind::File,
            size: content.len() as u64,
            mode: 0o600,
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            mtime_secs: created.as_second(),
            mtime_nanos: 0,
            torn: false,
        };
        writer.member(&entry, &mut content.as_slice())?;
        Ok(())
    }

    /// Refuses a backup of apps that were switched off or on meanwhile.
    pub fn refuse_if_changed(&self, volume: &Volume) -> Result<()> {
        if Self::of(volume)?.0 == self.0 {
            return Ok(());
        }
        Err(Error::new(Code::TryAgain, "apps were switched off or on while the backup was made")
            .hint("take the backup again"))
    }
}

/// Reads the member of a backup of this file name.
///
/// # Errors
/// The format's errors; `AppsUnknown` where it makes no sense.
pub fn read_memory(file: &Path, entry: &Entry, content: &mut dyn Read) -> Result<QuarantineRecord> {
    let mut bytes = Vec::new();
    let read = content.take(LARGEST).read_to_end(&mut bytes).map_err(seqbac::Error::from_io)?;
    if read as u64 != entry.size {
        return Err(Error::new(
            Code::ContentMismatch,
            format!("{} has {read} bytes and not {}", entry.path, entry.size),
        ));
    }
    QuarantineRecord::from_bytes(&bytes, entry.path.as_path()).map_err(|error| error.context(file.display()))
}
