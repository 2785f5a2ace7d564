//! Reads a part of the zstd stream of a seekable backup, one segment at a time.

use std::{
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use super::{
    Error, Result,
    segment::{self, Cipher, TAG},
    unseal::{Source, corrupt, read_full},
};

pub(super) struct Slice<'a, R> {
    source: &'a mut R,
    cipher: &'a Cipher,
    /// Offset of the payload in the file.
    start: u64,
    /// Length of the payload in bytes.
    payload: u64,
    /// Number of the last segment.
    last: u32,
    /// The part of the stream that was not yet loaded.
    range: Range<u64>,
    buffer: Vec<u8>,
    plain: Range<usize>,
}

impl<'a, R: Read + Seek> Slice<'a, R> {
    pub fn new(source: &'a mut R, cipher: &'a Cipher, start: u64, payload: u64, range: Range<u64>) -> Self {
        let last = u32::try_from((payload - 1) / segment::SEGMENT as u64).unwrap_or(u32::MAX);
        Self { source, cipher, start, payload, last, range, buffer: Vec::new(), plain: 0..0 }
    }

    /// Whether the payload ends with a valid last segment.
    pub fn ends_well(&mut self) -> bool {
        self.load(self.last).is_ok()
    }

    /// Decrypts one segment into the buffer. Returns the range of its plaintext in the stream.
    fn load(&mut self, number: u32) -> Result<Range<u64>> {
        let mut sealed = segment::range(number);
        sealed.end = sealed.end.min(self.payload);
        let length = usize::try_from(sealed.end.saturating_sub(sealed.start)).unwrap_or(0);
        self.buffer.resize(length, 0);
        self.source.seek(SeekFrom::Start(self.start + sealed.start))?;
        let whole = read_full(self.source, &mut self.buffer)? == length;
        if !whole || !self.cipher.open(number, number == self.last, &mut self.buffer) {
            self.buffer.clear();
            return Err(corrupt(self.start, number, self.start + self.payload));
        }
        let from = segment::plain_range(number).start;
        Ok(from..from + (length - TAG) as u64)
    }

    pub fn read_all(mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(chunk);
            let count = chunk.len();
            self.consume(count);
        }
    }
}

impl<R: Read + Seek> Source for Slice<'_, R> {
    fn chunk(&mut self) -> Result<&[u8]> {
        if self.plain.is_empty() && !self.range.is_empty() {
            let number = u32::try_from(segment::of_plain(self.range.start)).unwrap_or(u32::MAX);
            let loaded = self.load(number)?;
            let end = loaded.end.min(self.range.end);
            if end <= self.range.start {
                return Err(Error::mismatch("the seek table points beyond the end"));
            }
            let local = |offset: u64| usize::try_from(offset - loaded.start).unwrap_or(0);
            self.plain = local(self.range.start)..local(end);
            self.range.start = end;
        }
        Ok(&self.buffer[self.plain.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.plain.start = self.plain.end.min(self.plain.start + count);
    }
}
