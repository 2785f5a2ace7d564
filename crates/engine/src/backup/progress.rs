//! Progress of a long operation, and its cancellation.

use std::io::{self, Read};

use volume::error::Result;

/// Receives the progress of an operation.
pub trait Progress {
    /// An operation begins. `what` describes it, and `bytes` is its total.
    fn begin(&mut self, what: &str, bytes: u64);

    /// `bytes` more are done. An error cancels the operation, for example because the process was asked to stop.
    fn advance(&mut self, bytes: u64) -> Result<()>;

    /// The operation is complete.
    fn end(&mut self);
}

/// Discards the progress.
#[derive(Debug)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str, _: u64) {}

    fn advance(&mut self, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) {}
}

/// A reader that reports its bytes as progress.
pub(crate) struct Counted<'a, R> {
    pub inner: R,
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
