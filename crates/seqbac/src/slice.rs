//! A part of the zstd stream of a backup that can seek, its segments opened one at a time.

use std::{
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

use super::{
    Error, Result,
    segment::{self, Cipher, TAG},
    unseal::{Source, corrupt, read_full},
};

/// See the module.
pub(super) struct Slice<'a, R> {
    source: &'a mut R,
    cipher: &'a Cipher,
    /// Where the payload starts in the file, and how long it is.
    start: u64,
    payload: u64,
    /// Number of the last segment.
    last: u32,
    /// What was not yet given out.
    range: Range<u64>,
    buffer: Vec<u8>,
    plain: Range<usize>,
}

impl<'a, R: Read + Seek> Slice<'a, R> {
    pub fn new(source: &'a mut R, cipher: &'a Cipher, start: u64, payload: u64, range: Range<u64>) -> Self {
        let last = u32::try_from((payload - 1) / segment::SEGMENT as u64).unwrap_or(u32::MAX);
        Self { source, cipher, start, payload, last, range, buffer: Vec::new(), plain: 0..0 }
    }

    /// Whether the payload ends with a last segment.
    pub fn ends_well(&mut self) -> bool {
        self.load(self.last).is_ok()
    }

    /// Opens one segment into the buffer; returns where its plaintext is in the stream.
    fn load(&mut self, number: u32) -> Result<Range<u64>> {
        let mut place = segment::place(number);
        place.end = place.end.min(self.payload);
        let length = usize::try_from(place.end.saturating_sub(place.start)).unwrap_or(0);
        self.buffer.resize(length, 0);
        self.source.seek(SeekFrom::Start(self.start + place.start))?;
        let whole = read_full(self.source, &mut self.buffer)? == length;
        if !whole || !self.cipher.open(number, number == self.last, &mut self.buffer) {
            self.buffer.clear();
            return Err(corrupt(self.start, number, self.start + self.payload));
        }
        let from = segment::plain_place(number).start;
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
            let there = self.load(number)?;
            let end = there.end.min(self.range.end);
            if end <= self.range.start {
                return Err(Error::mismatch("the seek table points behind the end"));
            }
            let local = |offset: u64| usize::try_from(offset - there.start).unwrap_or(0);
            self.plain = local(self.range.start)..local(end);
            self.range.start = end;
        }
        Ok(&self.buffer[self.plain.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.plain.start = self.plain.end.min(self.plain.start + count);
    }
}
