//! Splits the tar into zstd frames of 1 MiB, compresses them in parallel, writes them in order, and appends the seek
//! table.

use std::io::{self, Write};

use zstd::{
    bulk::Compressor,
    zstd_safe::{CParameter, compress_bound},
};

use super::{
    Error, FRAME, Result,
    pool::{Done, Pool, Work},
    seal::Sealer,
    seek_table::{self, Frame},
};

pub(super) struct Frames<W> {
    out: Sealer<W>,
    pool: Pool,
    buffer: Vec<u8>,
    written: Vec<Frame>,
    level: i32,
}

impl<W: Write> Frames<W> {
    pub fn new(out: Sealer<W>, threads: usize, level: i32) -> Self {
        Self { out, pool: Pool::new(threads, level, compressor), buffer: Vec::new(), written: Vec::new(), level }
    }

    pub fn write(&mut self, mut data: &[u8]) -> Result<()> {
        while !data.is_empty() {
            self.buffer.reserve_exact(FRAME - self.buffer.len());
            let (now, later) = data.split_at(data.len().min(FRAME - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            data = later;
            if self.buffer.len() == FRAME {
                self.cut()?;
            }
        }
        Ok(())
    }

    fn cut(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        while self.pool.is_full() {
            self.write_next()?;
        }
        let (next, output) = (self.pool.buffer(), self.pool.buffer());
        let input = std::mem::replace(&mut self.buffer, next);
        Ok(self.pool.submit(input, output)?)
    }

    /// Writes `last` as one frame of any size, then the seek table, and finishes the payload.
    pub fn finish(mut self, last: &[u8]) -> Result<(W, u64)> {
        self.cut()?;
        while self.write_next()? {}
        let mut compressed = Vec::new();
        // Compressed here, because a single frame gains nothing from a thread.
        compressor(self.level)?(last, &mut compressed)?;
        self.write_frame(&compressed, last.len())?;
        let table = seek_table::encode(&self.written)?;
        self.out.write(&table)?;
        self.out.finish()
    }

    fn write_next(&mut self) -> Result<bool> {
        let Some(Done { input, output, result }) = self.pool.next()? else { return Ok(false) };
        result?;
        self.write_frame(&output, input.len())?;
        self.pool.recycle(input);
        self.pool.recycle(output);
        Ok(true)
    }

    fn write_frame(&mut self, compressed: &[u8], decompressed: usize) -> Result<()> {
        let size = |length: usize| {
            u32::try_from(length).map_err(|_| Error::Io(io::Error::other("a zstd frame of 4 GiB or more")))
        };
        self.written.push(Frame { compressed: size(compressed.len())?, decompressed: size(decompressed)? });
        self.out.write(compressed)
    }
}

/// Compresses a frame with declared size and checksum, and a window of at most 4 MiB, because readers refuse larger
/// ones.
fn compressor(level: i32) -> io::Result<Work> {
    let mut compressor = Compressor::new(level)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let mut window_set = false;
    // Files with large holes consist of such frames, and all of them are equal.
    let mut zeros: Vec<u8> = Vec::new();
    Ok(Box::new(move |input, output| {
        let is_zeros =
            input.len() == FRAME && input.chunks(64).all(|chunk| chunk.iter().fold(0, |all, byte| all | byte) == 0);
        if is_zeros && !zeros.is_empty() {
            output.clone_from(&zeros);
            return Ok(());
        }
        if input.len() > FRAME && !window_set {
            compressor.set_parameter(CParameter::WindowLog(22))?;
            window_set = true;
        }
        output.clear();
        output.reserve_exact(compress_bound(input.len()));
        compressor.compress_to_buffer(input, output)?;
        if is_zeros {
            zeros.clone_from(output);
        }
        Ok(())
    }))
}
