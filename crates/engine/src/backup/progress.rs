//! Progress of a long operation: its total, what is done, and its cancellation.

use std::{fs::File, io::Read};

use super::{Manifest, manifest::member_of};

use crate::prelude::*;
use seqbac::Archive;

/// Receives the progress of an operation.
pub trait Progress {
    /// An operation begins. `what` describes it, and `bytes` is its total.
    fn begin(&mut self, what: &str, bytes: u64);

    /// Fails if the operation was cancelled. Nothing is reported.
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

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

pub(crate) struct Counted<'a, R> {
    pub inner: R,
    pub progress: &'a mut dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.advance(count as u64)?;
        Ok(count)
    }
}

pub(crate) fn bytes_of_members(file: &Path, key: &SecretKey, manifest: &Manifest) -> u64 {
    bytes_of_selected(file, key, manifest, |_| true)
}

/// The bytes of the selected members. If the index is not readable, only the databases count, because the manifest
/// lists them: an incomplete total is better than reading a damaged backup twice.
pub(super) fn bytes_of_selected(
    file: &Path,
    key: &SecretKey,
    manifest: &Manifest,
    is_selected: impl Fn(&RelPath) -> bool,
) -> u64 {
    let indexed = File::open(file).ok().and_then(|open| Archive::indexed_members(open, key));
    let Some(members) = indexed else {
        let databases = manifest.databases.iter().filter(|database| is_selected(&member_of(&database.path)));
        return databases.map(|database| database.bytes).sum();
    };
    members.iter().filter(|member| is_selected(&member.path)).map(|member| member.size).sum()
}
