//! The bytes of the tar in a backup, in sequence: header checked, segments opened, frames decompressed.

use std::io::{self, Read};

use super::{
    Header, Result,
    decompress::Decompressor,
    threads,
    unseal::{Ending, Unsealer},
};
use seqbac_header::SecretKey;

/// A backup's tar, read from start to end. What it gives out is genuine; that it is all, only [`TarStream::finish`]
/// says. What is in the tar is not looked at: [`super::Reader`] does that.
pub struct TarStream<R> {
    header: Header,
    tar: Decompressor<Unsealer<R>>,
}

/// What was found at the end of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What is not as it should be, but harmless.
    pub warnings: Vec<String>,
    /// Length of the backup, header and footer included.
    pub bytes: u64,
}

impl<R> std::fmt::Debug for TarStream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarStream").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: Read> TarStream<R> {
    /// Reads and authenticates the header. `threads` 0: as many as there are processors, up to four.
    ///
    /// # Errors
    /// All that [`Header::read`] and [`Header::authenticate`] have, and `Truncated`.
    pub fn open(mut source: R, key: &SecretKey, wanted: usize) -> Result<Self> {
        let header = Header::read(&mut source)?;
        header.authenticate(key)?;
        let unsealer = Unsealer::new(source, &header.raw, key)?;
        Ok(Self { header, tar: Decompressor::new(unsealer, threads(wanted)) })
    }

    /// The header, authenticated.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads what is left, and checks the end: the last segment, what is behind it, and the seek table.
    ///
    /// # Errors
    /// Any.
    pub fn finish(mut self) -> Result<End> {
        self.check_end()
    }

    pub(super) fn check_end(&mut self) -> Result<End> {
        loop {
            let count = self.tar.fill()?.len();
            if count == 0 {
                break;
            }
            self.tar.consume(count);
        }
        self.tar.check_seek_table()?;
        let Some((end, ending)) = self.tar.source().end() else {
            return Err(super::Error::Io(io::Error::other("the end of the backup was not reached")));
        };
        let (warnings, footer) = match ending {
            Ending::Footer => (Vec::new(), super::footer::LENGTH as u64),
            Ending::DamagedFooter(length) => (vec!["the footer is damaged; the backup is whole".to_owned()], length),
            Ending::NoFooter => (vec!["the footer is missing; the backup is whole".to_owned()], 0),
        };
        Ok(End { warnings, bytes: end + footer })
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer)
    }
}
