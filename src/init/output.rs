//! A script's output: without secret keys, into the container's log and into `<name>.log`.
//!
//! The file holds the output of the last attempt, limited to 1 MiB: the first and the last 512 KiB.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, lchown},
    path::Path,
};

use super::{held::Held, redact::Stream};
use crate::command::log_format::note;
use process::Listener;
use seqbac_header::RelPath;
use volume::error;

/// How many bytes of the beginning, and of the end, are kept.
const HALF: usize = 512 << 10;

#[derive(Debug)]
pub struct Output {
    stream: Stream,
    file: Option<LogFile>,
}

impl Output {
    /// Starts a script's log. If the file cannot be created, the container's log is the only one.
    #[must_use]
    pub fn open(folder: &Path, script: &RelPath, secrets: Vec<Vec<u8>>) -> Self {
        let path = script.with_suffix(".log").under(folder);
        let file = Held::of(&path)
            .and_then(|held| LogFile::create(folder, held.path()))
            .inspect_err(|cause| log::debug!("cannot create {}: {}", path.display(), error::reason(cause)))
            .ok();
        Self { stream: Stream::without(secrets), file }
    }

    /// Adds a line of moorline to the file.
    pub fn note(&mut self, line: &str) {
        let line = self.stream.pass(note(line).as_bytes());
        self.keep(&line);
    }

    /// Writes the end of the output into the file.
    pub fn close(mut self) {
        if let Some(file) = &mut self.file {
            file.close();
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            file.write(bytes);
        }
    }
}

impl Listener for Output {
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let shown = self.stream.pass(bytes);
        self.keep(&shown);
        shown
    }

    fn end(&mut self) -> Vec<u8> {
        let shown = self.stream.end();
        self.keep(&shown);
        shown
    }
}

/// The log file. The beginning is written at once; the end is kept in memory until the file is closed.
#[derive(Debug)]
struct LogFile {
    file: File,
    written: usize,
    end: VecDeque<u8>,
    omitted: usize,
}

impl LogFile {
    /// Removes an existing entry first, because writing through a link or a pipe would change something else.
    fn create(folder: &Path, path: &Path) -> std::io::Result<Self> {
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Some(owner) = fs::metadata(folder).ok().filter(|_| nix::unistd::geteuid().is_root()) {
            let _ = lchown(path, Some(owner.uid()), Some(owner.gid()));
        }
        Ok(Self { file, written: 0, end: VecDeque::new(), omitted: 0 })
    }

    /// Ignores errors, because a full disk must not fail the script. The container's log holds the output, too.
    fn write(&mut self, bytes: &[u8]) {
        let (now, later) = bytes.split_at(bytes.len().min(HALF - self.written));
        let _ = self.file.write_all(now);
        self.written += now.len();
        self.end.extend(later);
        let excess = self.end.len().saturating_sub(HALF);
        self.end.drain(..excess);
        self.omitted += excess;
    }

    fn close(&mut self) {
        if self.omitted > 0 {
            let _ = writeln!(self.file, "\n[{} bytes omitted here]", self.omitted);
        }
        let _ = self.file.write_all(self.end.make_contiguous());
        self.end.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_a_beginning_an_end_and_a_limit() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.log");
        let mut log = LogFile::create(dir.path(), &path).expect("creates");
        log.write(b"the beginning\n");
        for _ in 0..4000 {
            log.write(&[b'.'; 1000]);
        }
        log.write(b"the end\n");
        log.close();
        let text = fs::read(&path).expect("reads");
        assert!(text.starts_with(b"the beginning\n") && text.ends_with(b"the end\n"));
        assert!(text.len() < 2 * HALF + 100, "{}", text.len());
        assert!(String::from_utf8_lossy(&text).contains("bytes omitted here"));
    }
}
