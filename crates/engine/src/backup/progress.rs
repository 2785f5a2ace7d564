//! How far a long piece of work is, and whether it is still wanted.

use std::io::{self, Read};

use volume::error::Result;

/// Told how far the work is. The command line shows it; a server would stream it.
pub trait Progress {
    /// A piece of work begins: what it is, and how many bytes it has.
    fn begin(&mut self, what: &str, bytes: u64);

    /// So many bytes more are done.
    ///
    /// # Errors
    /// Where the work is to be given up: somebody asked the process to stop.
    fn advance(&mut self, bytes: u64) -> Result<()>;

    /// The piece of work is done.
    fn end(&mut self);
}

/// Nobody is watching.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str, _: u64) {}

    fn advance(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) {}
}

/// A reader whose bytes are counted as progress.
pub struct Counted<'a, R> {
    /// What is read.
    pub inner: R,
    /// Who is told.
    pub progress: &'a mut dyn Progress,
}

impl<R> std::fmt::Debug for Counted<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Counted").finish_non_exhaustive()
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64)?;
        Ok(count)
    }
}
