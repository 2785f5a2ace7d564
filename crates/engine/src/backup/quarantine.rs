//! The quarantine record as a member of a backup, so that apps can be released wherever the backup is restored.
//!
//! We read the record before the state and again after it, and refuse the backup if the two differ. This is sufficient,
//! because switching apps off requires the lock that a backup holds, and writes the record first. Switching them on
//! also happens at a start, which does not wait for a backup, but writes the record last. So every app that is off in
//! the captured state is in the record.

use std::io::{Read, Write};

use super::manifest::quarantine_member;
use crate::{prelude::*, quarantine::QuarantineRecord};
use seqbac::{Entry, Kind, Writer};

const LARGEST: u64 = 1 << 30;

/// Reads the record without its pending releases, because they are not part of the state.
pub(super) fn captured(volume: &Volume) -> Result<Option<QuarantineRecord>> {
    Ok(QuarantineRecord::load(volume)?.map(QuarantineRecord::without_requests))
}

/// Writes the member.
pub(super) fn write<W: Write>(
    record: &QuarantineRecord,
    writer: &mut Writer<W>,
    created: jiff::Timestamp,
) -> Result<()> {
    let content = record.to_bytes()?;
    let entry = Entry {
        path: quarantine_member(),
        kind: Kind::File,
        size: content.len() as u64,
        mode: 0o600,
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        mtime_secs: created.as_second(),
        mtime_nanos: 0,
        xattrs: Default::default(),
        torn: false,
    };
    writer.member(&entry, &mut content.as_slice())?;
    Ok(())
}

/// Fails if apps were switched off or on since the record was read.
pub(super) fn refuse_if_changed(record: Option<&QuarantineRecord>, volume: &Volume) -> Result<()> {
    if captured(volume)?.as_ref() == record {
        return Ok(());
    }
    Err(Error::new(Code::TryAgain, "apps were switched off or on while the backup was taken")
        .hint("take the backup again"))
}

/// Reads the record from its member in the backup `file`. If it cannot be parsed, the error is `AppsUnknown`.
pub(crate) fn read_quarantine_record(file: &Path, entry: &Entry, content: &mut dyn Read) -> Result<QuarantineRecord> {
    let mut bytes = Vec::new();
    let read = content.take(LARGEST).read_to_end(&mut bytes).map_err(seqbac::Error::from_io)?;
    if read as u64 != entry.size {
        let what = format!("{} has {read} bytes in the backup, but its entry says {}", entry.path, entry.size);
        return Err(Error::new(Code::ContentMismatch, what));
    }
    QuarantineRecord::from_bytes(&bytes, entry.path.as_path()).map_err(|error| error.context(file.display()))
}
