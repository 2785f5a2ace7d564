//! Splits a stream into segments and encrypts them, like Tink's `new_encrypting_stream`.
//!
//! A full segment is written only when more data arrives or the stream ends, because its nonce says whether it is the
//! last.

use std::io::Write;

use super::{
    Error, Result,
    footer::Footer,
    segment::{Cipher, PREAMBLE, Preamble, SEGMENT, TAG, full},
};

pub(super) struct Sealer<W> {
    out: W,
    cipher: Cipher,
    buffer: Vec<u8>,
    number: u32,
    footer: Footer,
}

impl<W: Write> Sealer<W> {
    pub fn new(out: W, cipher: Cipher, preamble: &Preamble) -> Result<Self> {
        let footer = Footer { payload_length: 0, payload_crc: 0 };
        let mut this = Self { out, cipher, buffer: Vec::with_capacity(SEGMENT), number: 0, footer };
        this.write_out(&preamble.encode())?;
        debug_assert_eq!(this.footer.payload_length, PREAMBLE as u64);
        Ok(this)
    }

    pub fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            let room = full(self.number) - TAG - self.buffer.len();
            if room == 0 {
                self.seal(false)?;
                self.number = self.number.checked_add(1).ok_or_else(too_long)?;
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            data = later;
        }
        Ok(())
    }

    /// Writes the last segment and the footer. Returns the writer and the length of the payload.
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.seal(true)?;
        self.out.write_all(&self.footer.encode())?;
        self.out.flush()?;
        Ok((self.out, self.footer.payload_length))
    }

    fn seal(&mut self, last: bool) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.cipher.seal(self.number, last, &mut buffer);
        let written = self.write_out(&buffer);
        buffer.clear();
        self.buffer = buffer;
        written
    }

    fn write_out(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes)?;
        self.footer.payload_crc = crc32c::crc32c_append(self.footer.payload_crc, bytes);
        self.footer.payload_length += bytes.len() as u64;
        Ok(())
    }
}

fn too_long() -> Error {
    Error::Io(std::io::Error::other("a backup has at most 2^32 segments of 1 MiB"))
}
