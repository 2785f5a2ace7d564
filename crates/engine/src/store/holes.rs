//! Holes: parts of a file that have no blocks on disk, and that read as zeros. They cost nothing to read here.

use std::{fs::File, os::unix::fs::FileExt};

use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};

use crate::prelude::*;

/// Offset and length in bytes of a part of a file that has blocks.
pub type Extent = (u64, u64);

/// Reads a file with holes, and remembers where its data was.
#[derive(Debug, Default)]
pub struct HoleReader {
    /// The end of the part that is being read.
    until: u64,
    is_hole: bool,
    extents: Vec<Extent>,
    /// Of the data, without the holes.
    hasher: Box<blake3::Hasher>,
}

impl HoleReader {
    /// Reads at `at`, which is where the last reading ended. The file has `size` bytes; 0 is its end.
    pub fn read_at(&mut self, file: &File, into: &mut [u8], at: u64, size: u64) -> io::Result<usize> {
        self.advance(file, at, size)?;
        let most = usize::try_from(self.until - at).unwrap_or(usize::MAX).min(into.len());
        if self.is_hole {
            into[..most].fill(0);
            return Ok(most);
        }
        let count = file.read_at(&mut into[..most], at)?;
        self.hasher.update(&into[..count]);
        Ok(count)
    }

    /// Whether a file still has the content that was read: the same data in the same places. `false` may also mean that only
    /// its holes are others.
    pub fn is_unchanged(&self, file: &File, size: u64) -> io::Result<bool> {
        let mut again = Self::default();
        let (mut at, mut buffer) = (0, vec![0; 256 << 10]);
        while at < size {
            again.advance(file, at, size)?;
            at = match again.is_hole {
                true => again.until,
                false => match again.read_at(file, &mut buffer, at, size)? {
                    0 => return Ok(false),
                    count => at + count as u64,
                },
            };
        }
        Ok(again.extents == self.extents && again.hasher.finalize() == self.hasher.finalize())
    }

    /// Finds the part that `at` is in.
    fn advance(&mut self, file: &File, at: u64, size: u64) -> io::Result<()> {
        if at < self.until {
            return Ok(());
        }
        (self.is_hole, self.until) = part(file, at, size)?;
        if !self.is_hole {
            self.extents.push((at, self.until - at));
        }
        Ok(())
    }
}

/// The parts of a file that have blocks; `None` if there are more than `most`.
pub fn extents(file: &File, size: u64, most: usize) -> io::Result<Option<Vec<Extent>>> {
    let (mut at, mut found) = (0, Vec::new());
    while at < size {
        let (is_hole, until) = part(file, at, size)?;
        if !is_hole {
            if found.len() == most {
                return Ok(None);
            }
            found.push((at, until - at));
        }
        at = until;
    }
    Ok(Some(found))
}

/// Whether a hole begins at `at`, and where it or the data ends. Where the file system does not know its holes, all is data.
fn part(file: &File, at: u64, size: u64) -> io::Result<(bool, u64)> {
    let offset = i64::try_from(at).map_err(|_| Errno::EFBIG)?;
    let seek = |whence| lseek(file, offset, whence).map(|found| u64::try_from(found).unwrap_or(0));
    let (is_hole, until) = match seek(Whence::SeekData) {
        Ok(data) if data > at => (true, data),
        Ok(_) => (false, seek(Whence::SeekHole).unwrap_or(size)),
        // No data follows.
        Err(Errno::ENXIO) => (true, size),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => (false, size),
        Err(errno) => return Err(errno.into()),
    };
    // A file that changes meanwhile must not keep us here.
    Ok((is_hole, if until > at { until.min(size) } else { size }))
}
