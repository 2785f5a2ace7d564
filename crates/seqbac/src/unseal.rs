//! Decrypts the segments of a payload in sequence, from any reader, and finds the end of the payload.
//!
//! A stream does not mark the end of the payload, so we keep a window that is one byte longer than a segment and a
//! footer. While the window is full, a full segment is at its start. Otherwise the file ends in the window, and the
//! last segment is the length that decrypts as a last segment: followed by a footer, by nothing, or by part of a
//! footer.

use std::{io::Read, ops::Range};

use super::{
    Error, Result,
    footer::{self, Footer},
    segment::{Cipher, PREAMBLE, Preamble, SEGMENT, TAG, full, range},
};
use seqbac_header::SecretKey;

const WINDOW: usize = SEGMENT + footer::LENGTH + 1;

/// Number of misplaced footers that are tried. It is limited, because each try costs the decryption of a segment.
const FOOTERS_TRIED: usize = 4;

/// A source of the zstd stream, like `BufRead`.
pub(super) trait Source {
    /// The next bytes; empty at the end.
    fn chunk(&mut self) -> Result<&[u8]>;
    /// Marks `count` of these bytes as read.
    fn consume(&mut self, count: usize);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Footer,
    /// A damaged or cut footer of this length in bytes.
    DamagedFooter(u64),
    NoFooter,
}

pub(super) struct Unsealer<R> {
    source: R,
    cipher: Cipher,
    /// Offset of the payload in the file.
    start: u64,
    /// Number of the segment at the start of the window.
    number: u32,
    window: Vec<u8>,
    /// The plaintext in the window that was not yet consumed.
    plain: Range<usize>,
    /// Length of the current segment in the window; 0 if none was accepted.
    current: usize,
    /// Length and checksum of the accepted part of the payload.
    so_far: Footer,
    ending: Option<Ending>,
}

impl<R: Read> Unsealer<R> {
    /// `source` must be at the first byte of the payload. `header` holds the raw bytes of the header.
    pub fn new(mut source: R, header: &[u8], key: &SecretKey) -> Result<Self> {
        let start = header.len() as u64;
        let mut bytes = [0; PREAMBLE];
        let got = read_full(&mut source, &mut bytes)?;
        if got < PREAMBLE {
            return Err(Error::Truncated { last_good_segment: None, length: start + got as u64 });
        }
        let Some(preamble) = Preamble::decode(&bytes) else { return Err(corrupt(start, 0, start + SEGMENT as u64)) };
        Ok(Self::resume(source, start, Cipher::new(key, header, &preamble), &bytes))
    }

    /// `source` must be at the first segment.
    pub fn resume(source: R, start: u64, cipher: Cipher, preamble: &[u8; PREAMBLE]) -> Self {
        let so_far = Footer { payload_length: PREAMBLE as u64, payload_crc: crc32c::crc32c(preamble) };
        Self { source, cipher, start, number: 0, window: Vec::new(), plain: 0..0, current: 0, so_far, ending: None }
    }

    /// Once the end was reached: the offset in the file at which the payload ends, and the bytes after it.
    pub fn end(&self) -> Option<(u64, Ending)> {
        self.ending.map(|ending| (self.start + self.so_far.payload_length, ending))
    }

    /// Decrypts the next segment; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        if self.ending.is_some() {
            return Ok(false);
        }
        if self.current > 0 {
            self.window.drain(..self.current);
            self.current = 0;
            self.number = self.number.checked_add(1).ok_or_else(|| self.corrupt())?;
        }
        let more = self.fill()?;
        let found = if more { self.full_segment() } else { self.last_segments() };
        found.inspect_err(|_| self.drop_window()).map(|()| true)
    }

    /// After an error, no bytes may be returned.
    fn drop_window(&mut self) {
        self.window.clear();
        self.plain = 0..0;
        self.current = 0;
    }

    fn fill(&mut self) -> Result<bool> {
        let wanted = full(self.number) + footer::LENGTH + 1;
        self.window.reserve_exact(WINDOW.saturating_sub(self.window.len()));
        let missing = (wanted - self.window.len()) as u64;
        (&mut self.source).take(missing).read_to_end(&mut self.window).map_err(Error::from_io)?;
        Ok(self.window.len() == wanted)
    }

    /// Accepts the segment at the start of a full window, which cannot be the last one, because the file is too long.
    fn full_segment(&mut self) -> Result<()> {
        let length = full(self.number);
        if self.accept(length, false) {
            return Ok(());
        }
        if self.opens(length, true) {
            return Err(self.trailing(length));
        }
        Err(self.footer_in_the_middle().unwrap_or_else(|| self.corrupt()))
    }

    /// The file ends in the window, which holds the last segment and possibly a full one before it.
    fn last_segments(&mut self) -> Result<()> {
        let total = self.window.len();
        // Try a complete footer first, then none, then the lengths of a cut footer.
        let lengths = [footer::LENGTH, 0].into_iter().chain(1..footer::LENGTH);
        for rest in lengths {
            let Some(length) = total.checked_sub(rest).filter(|length| *length <= full(self.number)) else { continue };
            let before = self.so_far;
            if self.accept(length, true) {
                let ending = self.classify_rest(length);
                self.so_far = if ending.is_some() { self.so_far } else { before };
                self.ending = ending;
                return if ending.is_some() { Ok(()) } else { Err(self.trailing(length)) };
            }
        }
        if total >= full(self.number) && self.accept(full(self.number), false) {
            return Ok(());
        }
        Err(self.no_last_segment())
    }

    /// Classifies the bytes after the last segment. 24 bytes count as a footer, valid or damaged; fewer bytes must be
    /// the beginning of the correct footer. `None` means trailing data.
    fn classify_rest(&self, length: usize) -> Option<Ending> {
        let rest = &self.window[length..];
        let right = self.so_far.encode();
        match rest.len() {
            0 => Some(Ending::NoFooter),
            footer::LENGTH if rest == right => Some(Ending::Footer),
            footer::LENGTH => Some(Ending::DamagedFooter(rest.len() as u64)),
            _ if right.starts_with(rest) => Some(Ending::DamagedFooter(rest.len() as u64)),
            _ => None,
        }
    }

    fn no_last_segment(&mut self) -> Error {
        let total = self.window.len();
        if let Some(error) = self.footer_in_the_middle() {
            return error;
        }
        let behind = total.saturating_sub(footer::LENGTH);
        let footer = self.window.get(behind..).unwrap_or_default();
        let resembles = Footer::resembles(footer, self.so_far.payload_length + behind as u64);
        // A footer at the end means that the file was not cut, so the segment is damaged, unless it decrypts as a
        // segment that is not the last.
        let whole = resembles && behind >= TAG && !self.opens(behind, false);
        if whole { self.corrupt() } else { self.truncated(total) }
    }

    /// The error for a valid footer after a last segment, with more data behind it.
    fn footer_in_the_middle(&mut self) -> Option<Error> {
        let before = self.so_far.payload_length;
        let candidates: Vec<usize> = Footer::positions(&self.window, before).take(FOOTERS_TRIED).collect();
        let end = candidates.into_iter().find(|at| *at <= full(self.number) && self.opens(*at, true))?;
        Some(self.trailing(end))
    }

    /// Decrypts the segment of this length at the start of the window and makes it the current one.
    fn accept(&mut self, length: usize, last: bool) -> bool {
        // Compute the checksum first, because decryption is in place.
        let crc = crc32c::crc32c_append(self.so_far.payload_crc, &self.window[..length]);
        if !self.opens(length, last) {
            return false;
        }
        self.so_far = Footer { payload_length: self.so_far.payload_length + length as u64, payload_crc: crc };
        self.plain = 0..length - TAG;
        self.current = length;
        true
    }

    fn opens(&mut self, length: usize, last: bool) -> bool {
        self.cipher.open(self.number, last, &mut self.window[..length])
    }

    fn corrupt(&self) -> Error {
        corrupt(self.start, self.number, self.start + self.so_far.payload_length + self.window.len() as u64)
    }

    fn truncated(&self, window: usize) -> Error {
        Error::Truncated {
            last_good_segment: self.number.checked_sub(1),
            length: self.start + self.so_far.payload_length + window as u64,
        }
    }

    fn trailing(&self, length: usize) -> Error {
        Error::TrailingData { end: self.start + self.so_far.payload_length + length as u64 }
    }
}

/// The error for a damaged segment. Its byte range ends at the end of the file at the latest.
pub(super) fn corrupt(start: u64, number: u32, end_of_file: u64) -> Error {
    let sealed = range(number);
    let bytes = start + sealed.start..(start + sealed.end).min(end_of_file.max(start + sealed.start));
    Error::Corrupt { segment: Some(number), bytes, members: None, damage: None }
}

impl<R: Read> Source for Unsealer<R> {
    fn chunk(&mut self) -> Result<&[u8]> {
        // Continue until a segment is not empty.
        while self.plain.is_empty() && self.advance()? {}
        Ok(&self.window[self.plain.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.plain.start = self.plain.end.min(self.plain.start + count);
    }
}

/// Reads until the buffer is full or the source ends.
pub(super) fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match source.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::from_io(cause)),
        }
    }
    Ok(got)
}
