//! The content of one staged file: written with its holes, or compared with another name of the same file.

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::fs::FileExt,
};

use nix::{
    errno::Errno,
    fcntl::{self, FallocateFlags},
};

use super::{holes::Extent, spool::copy};
use crate::prelude::*;

/// After this many bytes, we ask the kernel to start writing them to disk.
const WRITEBACK: u64 = 8 << 20;
/// Space for files of at least this size is reserved first, so that a full disk is an error before anything is written.
const PREALLOCATE: u64 = 1 << 20;
/// Zeros become a hole if they fill a block of this size.
const BLOCK: usize = 4096;

/// Where zeros become holes. Anything else is data, wherever it is: the file may have changed after its holes were listed.
#[derive(Debug, Clone, Copy)]
pub enum Holes<'a> {
    Nowhere,
    Anywhere,
    /// Not in these parts, which are sorted and do not overlap.
    Outside(&'a [Extent]),
}

impl Holes<'_> {
    fn may_be(self, at: u64, length: u64) -> bool {
        match self {
            Self::Nowhere => false,
            Self::Anywhere => true,
            Self::Outside(extents) => {
                let next = extents.partition_point(|(start, length)| start.saturating_add(*length) <= at);
                extents.get(next).is_none_or(|(start, _)| *start >= at + length)
            }
        }
    }
}

/// How far content is that of a file.
pub struct EqualStart {
    /// In bytes.
    pub length: u64,
    /// What was read of the content after that.
    pub different: Vec<u8>,
    /// Whether the content and the file are equal.
    pub is_all: bool,
}

/// Reads content as long as it is that of `file`. `path` is for errors.
pub fn equal_start(content: &mut dyn Read, file: &File, path: &Path) -> Result<EqualStart> {
    let (mut length, mut theirs, mut ours) = (0, vec![0; 256 << 10], vec![0; 256 << 10]);
    loop {
        let count = match content.read(&mut theirs) {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            other => other.map_err(|cause| unpacked(cause, path))?,
        };
        let is_end = file.metadata().on("read the metadata of", path)?.len() == length;
        if count == 0 {
            return Ok(EqualStart { length, different: Vec::new(), is_all: is_end });
        }
        let is_equal = match file.read_exact_at(&mut ours[..count], length) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => false,
            other => other.on("read", path).map(|()| ours[..count] == theirs[..count])?,
        };
        if !is_equal {
            return Ok(EqualStart { length, different: theirs[..count].to_vec(), is_all: false });
        }
        length += count as u64;
    }
}

/// Writes the content of a new file, which should have `size` bytes. Returns how many it has.
pub fn write(file: &mut File, content: &mut dyn Read, (path, size): (&Path, u64), holes: Holes<'_>) -> Result<u64> {
    let is_sparse = !matches!(holes, Holes::Nowhere);
    if !is_sparse {
        reserve(file, size).on("write", path)?;
    }
    let (mut written, mut flushed) = (0, 0);
    let filled = copy(
        content,
        |cause| unpacked(cause, path),
        |bytes| {
            let stored = if is_sparse { write_data(file, bytes, written, holes) } else { file.write_all(bytes) };
            stored.on("write", path)?;
            written += bytes.len() as u64;
            if written - flushed >= WRITEBACK {
                process::writeback::start(file, flushed, written - flushed);
                flushed = written;
            }
            Ok(())
        },
    )?;
    if is_sparse {
        // The file may end with a hole.
        file.set_len(filled).on("write", path)?;
    }
    Ok(filled)
}

/// Writes `bytes` at `offset`, but leaves out zeros that fill a block where holes may be.
fn write_data(file: &File, bytes: &[u8], offset: u64, holes: Holes<'_>) -> io::Result<()> {
    let (mut start, mut end) = (0, 0);
    while end < bytes.len() {
        let at = offset + end as u64;
        let to_boundary = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let block = &bytes[end..bytes.len().min(end + to_boundary)];
        if holes.may_be(at, block.len() as u64) && block.iter().all(|byte| *byte == 0) {
            file.write_all_at(&bytes[start..end], offset + start as u64)?;
            start = end + block.len();
        }
        end += block.len();
    }
    file.write_all_at(&bytes[start..], offset + start as u64)
}

/// Keeps the error code of a damaged backup, because each kind of damage has its own exit code.
fn unpacked(cause: io::Error, path: &Path) -> Error {
    match seqbac::Error::from_io(cause) {
        seqbac::Error::Io(cause) => Error::io("unpack", path, &cause),
        damage => damage.into(),
    }
}

fn reserve(file: &File, size: u64) -> nix::Result<()> {
    let Ok(length) = i64::try_from(size) else { return Err(Errno::EFBIG) };
    if size < PREALLOCATE {
        return Ok(());
    }
    match fcntl::fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, length) {
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Errno::ENOSPC),
        // The file system does not support it.
        _ => Ok(()),
    }
}
