//! A temporary file that is encrypted with a key that only this process has, and that has no name. It is written once, from
//! start to end, and then read at any place.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use zeroize::Zeroizing;

use super::{Spool, spool::copy};
use crate::prelude::*;

/// Bytes of content in one encrypted chunk, which is read as a whole: small, because most files of a database are. Its number is
/// the nonce, because the key is used for one file.
const CHUNK: usize = 16 << 10;
const TAG: usize = 16;
/// The pace is looked at after this many bytes, or this much time.
const WINDOW_BYTES: u64 = 16 << 20;
const WINDOW: Duration = Duration::from_secs(10);

/// The file. Only whole chunks are on the disk until [`Self::finish`].
pub struct SealedFile {
    file: File,
    place: PathBuf,
    cipher: Aes256Gcm,
    /// Content that is not written yet.
    rest: Vec<u8>,
    chunks: u64,
    length: u64,
}

impl std::fmt::Debug for SealedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedFile").field("place", &self.place).field("length", &self.length).finish_non_exhaustive()
    }
}

impl SealedFile {
    pub fn create(spool: &Spool) -> Result<Self> {
        let named = spool.named(0)?;
        let place = named.path().parent().unwrap_or(Path::new("/")).to_owned();
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        let cipher = Aes256Gcm::new((&*key).into());
        Ok(Self { file: named.into_file(), place, cipher, rest: Vec::new(), chunks: 0, length: 0 })
    }

    /// Appends everything that can be read from `from`, and returns its length. Fails if the disk takes fewer than `pace` bytes
    /// per second, because the program that writes `from` waits meanwhile. The time that it takes itself does not count.
    pub fn append(&mut self, spool: &Spool, from: &mut dyn Read, name: &Path, pace: u64) -> Result<u64> {
        let (mut bytes, mut busy, mut unchecked) = (0, Duration::ZERO, 0);
        copy(
            from,
            |cause| Error::io("read", name, &cause),
            |piece| {
                let began = Instant::now();
                self.write(piece)?;
                busy += began.elapsed();
                bytes += piece.len() as u64;
                unchecked += piece.len() as u64;
                if bytes >= WINDOW_BYTES || busy >= WINDOW {
                    let found = (bytes as f64 / busy.as_secs_f64().max(f64::EPSILON)) as u64;
                    if found < pace {
                        let what = format!(
                            "{} takes {} kB per second, which is less than the {} kB of `pace`",
                            self.place.display(),
                            found / 1000,
                            pace / 1000
                        );
                        return Err(Error::new(Code::TryAgain, what).hint("name a faster folder in MOORLINE_SPOOL"));
                    }
                    (bytes, busy) = (0, Duration::ZERO);
                }
                if unchecked >= WINDOW_BYTES / 4 {
                    unchecked = 0;
                    spool.refuse_full(&self.place)?;
                }
                Ok(())
            },
        )
    }

    fn write(&mut self, mut piece: &[u8]) -> Result<()> {
        self.length += piece.len() as u64;
        while !piece.is_empty() {
            let count = piece.len().min(CHUNK - self.rest.len());
            self.rest.extend_from_slice(&piece[..count]);
            piece = &piece[count..];
            if self.rest.len() == CHUNK {
                self.write_chunk()?;
            }
        }
        Ok(())
    }

    fn write_chunk(&mut self) -> Result<()> {
        let sealed = self.cipher.encrypt(&nonce(self.chunks).into(), self.rest.as_slice());
        let sealed = sealed.map_err(|_| Error::new(Code::Bug, "cannot encrypt a temporary file"))?;
        let written = self.file.write_all_at(&sealed, self.chunks * (CHUNK + TAG) as u64);
        written.on("write a temporary file in", &self.place)?;
        self.chunks += 1;
        self.rest.clear();
        Ok(())
    }

    /// Writes what is left. Call it once, before the file is read.
    pub fn finish(&mut self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { self.write_chunk() }
    }

    /// In bytes of content.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// A reader of the content from `start` on.
    pub const fn reader(&self, start: u64) -> SealedReader<'_> {
        SealedReader { of: self, at: start, chunk: None }
    }

    fn chunk(&self, number: u64) -> io::Result<Vec<u8>> {
        let start = number * CHUNK as u64;
        let mut sealed = vec![0; usize::try_from(self.length - start).unwrap_or(CHUNK).min(CHUNK) + TAG];
        self.file.read_exact_at(&mut sealed, number * (CHUNK + TAG) as u64)?;
        let damaged = |_| io::Error::new(io::ErrorKind::InvalidData, "a temporary file was changed by another process");
        self.cipher.decrypt(&nonce(number).into(), sealed.as_slice()).map_err(damaged)
    }
}

fn nonce(chunk: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&chunk.to_be_bytes());
    nonce
}

/// Reads a [`SealedFile`].
#[derive(Debug)]
pub struct SealedReader<'a> {
    of: &'a SealedFile,
    at: u64,
    /// The number and the content of the chunk that was read last.
    chunk: Option<(u64, Vec<u8>)>,
}

impl Read for SealedReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.of.length {
            return Ok(0);
        }
        let number = self.at / CHUNK as u64;
        if self.chunk.as_ref().is_none_or(|(known, _)| *known != number) {
            self.chunk = Some((number, self.of.chunk(number)?));
        }
        let content = self.chunk.as_ref().map_or(&[][..], |(_, content)| &content[(self.at % CHUNK as u64) as usize..]);
        let count = content.len().min(into.len());
        into[..count].copy_from_slice(&content[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for SealedReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let found = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.of.length.checked_add_signed(by),
        };
        self.at = found.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
