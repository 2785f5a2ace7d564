//! Decompresses zstd frames into the tar, in order and in parallel.
//!
//! A frame that declares at most [`LARGEST_PARALLEL`] bytes is read completely and decompressed by the pool. Any other
//! frame is decompressed as a stream by the caller's thread. A declared size is compared with this limit before it is
//! allocated, because the file is untrusted. An error of the layer below is returned only after all data before it.

use std::io::{self, Read};

use zstd::{
    bulk,
    stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer},
};

use super::{
    Error, Result,
    frame::{self, Head, LONGEST_HEAD},
    pool::{Pool, Work},
    seek_table::{self, Frame},
    unseal::Source,
};

const LARGEST_PARALLEL: usize = 2 << 20;
/// Maximum size of a compressed frame for the pool. Incompressible data in small blocks is larger than its content, but
/// not by more than an eighth.
const LARGEST_GATHERED: usize = LARGEST_PARALLEL + (LARGEST_PARALLEL >> 3);
const STREAM_BUFFER: usize = 256 << 10;
const WINDOW_LOG: u32 = 22;

pub(super) struct Decompressor<S> {
    source: S,
    pool: Pool,
    /// Bytes of the next frame that were read ahead.
    head: Vec<u8>,
    plain: Vec<u8>,
    at: usize,
    streaming: Option<Streaming>,
    /// Sizes of the frames so far, unless one was too large for a seek table.
    frames: Option<Vec<Frame>>,
    table: Option<Vec<Frame>>,
    ended: bool,
    failed: Option<Error>,
    /// An error was returned, so every further read fails.
    dead: bool,
}

struct Streaming {
    decoder: Decoder<'static>,
    compressed: u64,
    decompressed: u64,
}

impl<S: Source> Decompressor<S> {
    pub fn new(source: S, threads: usize) -> Self {
        Self {
            source,
            pool: Pool::new(threads, 0, decompressor),
            head: Vec::new(),
            plain: Vec::new(),
            at: 0,
            streaming: None,
            frames: Some(Vec::new()),
            table: None,
            ended: false,
            failed: None,
            dead: false,
        }
    }

    pub const fn source(&self) -> &S {
        &self.source
    }

    /// Call it at the end. Returns whether the stream had a seek table; a table that contradicts the frames is an
    /// error.
    pub fn check_seek_table(&self) -> Result<bool> {
        match (&self.table, &self.frames) {
            (None, _) => Ok(false),
            (Some(table), Some(frames)) if table == frames => Ok(true),
            _ => Err(Error::mismatch("the seek table does not agree with the zstd frames")),
        }
    }

    /// The next plaintext; empty at the end.
    pub fn fill(&mut self) -> Result<&[u8]> {
        if self.dead {
            return Err(Error::Io(io::Error::other("a read after an error")));
        }
        self.advance().inspect_err(|_| self.dead = true)?;
        Ok(&self.plain[self.at..])
    }

    fn advance(&mut self) -> Result<()> {
        while self.at == self.plain.len() {
            self.take_in();
            if self.streaming.is_some() && self.next_pending()? {
                continue;
            }
            if self.streaming.is_some() {
                self.stream_on()?;
            } else if !self.next_pending()? {
                return match self.failed.take() {
                    Some(error) => Err(error),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }

    pub fn consume(&mut self, count: usize) {
        self.at = self.plain.len().min(self.at + count);
    }

    /// Submits frames until the pool is full.
    fn take_in(&mut self) {
        while !self.ended && self.streaming.is_none() && !self.pool.is_full() {
            if let Err(error) = self.next_frame() {
                self.failed = Some(error);
                self.ended = true;
            }
        }
    }

    /// Makes the oldest frame of the pool the current plaintext.
    fn next_pending(&mut self) -> Result<bool> {
        let Some(done) = self.pool.next()? else { return Ok(false) };
        let old = std::mem::replace(&mut self.plain, done.output);
        self.at = 0;
        self.pool.recycle(old);
        self.pool.recycle(done.input);
        done.result.map_err(|cause| self.broken(&cause))?;
        Ok(true)
    }

    fn broken(&mut self, cause: &io::Error) -> Error {
        self.ended = true;
        self.plain.clear();
        self.at = 0;
        Error::mismatch(format!("zstd: {cause}"))
    }

    fn next_frame(&mut self) -> Result<()> {
        self.peek(LONGEST_HEAD)?;
        if self.head.is_empty() {
            self.ended = true;
            return Ok(());
        }
        if self.table.is_some() {
            return Err(Error::mismatch("a zstd frame behind the seek table"));
        }
        match Head::parse(&self.head)? {
            Head::Skippable { length, seek_table } => self.skippable(length, seek_table),
            Head::Data { content: Some(content), length, checksum } if content <= LARGEST_PARALLEL as u64 => {
                self.gather(content, length, checksum)
            }
            Head::Data { .. } => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
                self.streaming = Some(Streaming { decoder, compressed: 0, decompressed: 0 });
                Ok(())
            }
        }
    }

    /// Reads ahead until `head` holds `count` bytes or the source ends.
    fn peek(&mut self, count: usize) -> Result<()> {
        let missing = count.saturating_sub(self.head.len());
        take(&mut self.source, missing, &mut self.head)
    }

    /// Moves exactly `count` bytes of the frame, beginning with those in `head`.
    fn take_exact(&mut self, count: usize, into: &mut Vec<u8>) -> Result<()> {
        let wanted = into.len() + count;
        let known = count.min(self.head.len());
        into.extend(self.head.drain(..known));
        take(&mut self.source, count - known, into)?;
        if into.len() < wanted {
            return Err(Error::mismatch("the zstd stream ends inside a frame"));
        }
        Ok(())
    }

    /// Reads the blocks of a frame of known size and submits it to the pool.
    fn gather(&mut self, content: u64, head: usize, checksum: bool) -> Result<()> {
        let mut input = self.pool.buffer();
        // The largest size that zstd produces from this content. Growing by doubling would need twice the memory.
        input.reserve_exact(zstd::zstd_safe::compress_bound(usize::try_from(content).unwrap_or(LARGEST_PARALLEL)));
        self.take_exact(head, &mut input)?;
        loop {
            let at = input.len();
            self.take_exact(3, &mut input)?;
            let (size, last) = frame::block([input[at], input[at + 1], input[at + 2]])?;
            if input.len() + size > LARGEST_GATHERED {
                return Err(Error::mismatch("a zstd frame is much larger than its declared content"));
            }
            self.take_exact(size, &mut input)?;
            if last {
                break;
            }
        }
        self.take_exact(if checksum { 4 } else { 0 }, &mut input)?;
        self.record(input.len() as u64, content);
        let mut output = self.pool.buffer();
        output.reserve_exact(usize::try_from(content).unwrap_or(LARGEST_PARALLEL));
        Ok(self.pool.submit(input, output)?)
    }

    fn record(&mut self, compressed: u64, decompressed: u64) {
        match (&mut self.frames, u32::try_from(compressed), u32::try_from(decompressed)) {
            (Some(frames), Ok(compressed), Ok(decompressed)) => frames.push(Frame { compressed, decompressed }),
            // Too large for the 32-bit fields of a seek table, so no table can match any more.
            (frames, ..) => *frames = None,
        }
    }

    fn skippable(&mut self, length: u32, seek_table: bool) -> Result<()> {
        let mut content = Vec::new();
        self.take_exact(seek_table::HEAD, &mut content)?;
        content.clear();
        if !seek_table {
            return self.skip(length);
        }
        let most = self.frames.as_ref().map_or(0, Vec::len) * 12 + seek_table::FOOTER;
        if length as usize > most {
            return Err(Error::mismatch("the seek table has more frames than the backup"));
        }
        self.take_exact(length as usize, &mut content)?;
        self.table = Some(seek_table::decode(&content)?);
        Ok(())
    }

    fn skip(&mut self, length: u32) -> Result<()> {
        let mut left = length as usize;
        let mut scratch = Vec::new();
        while left > 0 {
            scratch.clear();
            let now = left.min(STREAM_BUFFER);
            self.take_exact(now, &mut scratch)?;
            left -= now;
        }
        Ok(())
    }

    /// Decompresses the next piece of a frame that is too large for the pool.
    fn stream_on(&mut self) -> Result<()> {
        self.plain.clear();
        self.at = 0;
        self.plain.reserve_exact(STREAM_BUFFER);
        let stepped = self.stream_step();
        if let Err(error) = stepped {
            self.streaming = None;
            self.ended = true;
            self.plain.clear();
            return Err(error);
        }
        Ok(())
    }

    fn stream_step(&mut self) -> Result<()> {
        let Some(streaming) = &mut self.streaming else { return Ok(()) };
        let from_head = !self.head.is_empty();
        let chunk = if from_head { self.head.as_slice() } else { self.source.chunk()? };
        if chunk.is_empty() {
            return Err(Error::mismatch("the zstd stream ends inside a frame"));
        }
        let mut input = InBuffer::around(chunk);
        let mut output = OutBuffer::around(&mut self.plain);
        let hint = streaming
            .decoder
            .run(&mut input, &mut output)
            .map_err(|cause| Error::mismatch(format!("zstd: {cause}")))?;
        let (read, written) = (input.pos(), output.pos());
        streaming.compressed += read as u64;
        streaming.decompressed += written as u64;
        if from_head {
            self.head.drain(..read);
        } else {
            self.source.consume(read);
        }
        if hint == 0 {
            let (compressed, decompressed) = (streaming.compressed, streaming.decompressed);
            self.streaming = None;
            self.record(compressed, decompressed);
        }
        Ok(())
    }
}

impl<S: Source> Read for Decompressor<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut plain = self.fill()?;
        let count = plain.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// Moves `count` bytes, or fewer at the end of the source.
fn take(source: &mut impl Source, mut count: usize, into: &mut Vec<u8>) -> Result<()> {
    while count > 0 {
        let chunk = source.chunk()?;
        if chunk.is_empty() {
            break;
        }
        let now = count.min(chunk.len());
        into.extend_from_slice(&chunk[..now]);
        source.consume(now);
        count -= now;
    }
    Ok(())
}

/// Decompresses one frame. The capacity of the output buffer is the declared size and bounds the result.
fn decompressor(_: i32) -> io::Result<Work> {
    let mut decompressor = bulk::Decompressor::new()?;
    Ok(Box::new(move |input, output| {
        output.clear();
        decompressor.decompress_to_buffer(input, output).map(drop)
    }))
}
