//! What a backup reads from and writes to: content of an announced size, and a file that reaches the disk early.

use std::{
    fs::File,
    io::{Read, Write},
};

use crate::prelude::*;

/// Content of exactly the announced size: cut off if the file has grown, padded with zeros if it has shrunk.
pub(super) struct Padded<'a> {
    pub content: &'a mut dyn Read,
    pub left: u64,
}

impl Read for Padded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let mut count = self.content.read(&mut into[..most])?;
        if count == 0 {
            into[..most].fill(0);
            count = most;
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// A file that the kernel starts writing to disk while the next bytes are compressed.
#[derive(Debug)]
pub(super) struct WriteBack<'a> {
    pub file: File,
    /// The backup's name, for errors.
    pub path: &'a Path,
    pub written: u64,
    pub started: u64,
}

impl Write for &mut WriteBack<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match self.file.write(bytes) {
            Err(cause) if cause.kind() != io::ErrorKind::Interrupted => {
                let error = Error::io("write", self.path, &cause);
                let full = error.code() == Code::TryAgain;
                return Err(if full { error.hint("free space where the backup is written") } else { error }.into());
            }
            other => other?,
        };
        self.written += count as u64;
        if self.written - self.started >= 8 << 20 {
            process::writeback::start(&self.file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
