//! Reads the tar of a backup as a byte stream: authenticates the header, decrypts segments and decompresses frames.

use std::io::{self, Read};

use super::{
    Header, Result,
    decompress::Decompressor,
    threads,
    unseal::{Ending, Unsealer},
};
use seqbac_header::SecretKey;

/// A backup's tar, read from start to end. All returned bytes are authentic; only [`TarStream::finish`] proves that
/// none are missing. It does not interpret the tar: [`super::Reader`] does.
pub struct TarStream<R> {
    header: Header,
    tar: Decompressor<Unsealer<R>>,
}

/// The result of reading a backup to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Harmless faults, such as a damaged footer.
    pub warnings: Vec<String>,
    /// Length of the backup in bytes, including header and footer.
    pub bytes: u64,
}

impl<R> std::fmt::Debug for TarStream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TarStream").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<R: Read> TarStream<R> {
    /// Reads and authenticates the header. `wanted` is the number of threads; 0 means one per processor, but at most
    /// four.
    pub fn open(mut source: R, key: &SecretKey, wanted: usize) -> Result<Self> {
        let header = Header::read(&mut source)?;
        header.authenticate(key)?;
        let unsealer = Unsealer::new(source, &header.raw, key)?;
        Ok(Self { header, tar: Decompressor::new(unsealer, threads(wanted)) })
    }

    /// The authenticated header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the rest and verifies the last segment, the footer and the seek table.
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
            Ending::DamagedFooter(length) => {
                (vec!["the footer is damaged, but the backup is complete".to_owned()], length)
            }
            Ending::NoFooter => (vec!["the footer is missing, but the backup is complete".to_owned()], 0),
        };
        Ok(End { warnings, bytes: end + footer })
    }
}

impl<R: Read> Read for TarStream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tar.read(buffer)
    }
}
