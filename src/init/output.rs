//! What a script says: without its secrets, into the container's log and into `<name>.log`.
//!
//! The file holds the last attempt, at most a mebibyte of it: its beginning and its end.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, chown},
    path::Path,
};

use super::redact::Stream;
use process::Listener;
use seqbac_header::RelPath;
use volume::error;

/// How much of the beginning, and of the end, is kept.
const HALF: usize = 512 << 10;

/// Hears a script.
#[derive(Debug)]
pub struct Output {
    stream: Stream,
    file: Option<LogFile>,
}

impl Output {
    /// Begins a script's log, where `Init/` takes one.
    #[must_use]
    pub fn open(folder: &Path, script: &RelPath, secrets: Vec<Vec<u8>>) -> Self {
        let path = script.with_suffix(".log").under(folder);
        let file = LogFile::create(folder, &path)
            .inspect_err(|cause| log::debug!("there is no {}: {}", path.display(), error::reason(cause)))
            .ok();
        Self { stream: Stream::without(secrets), file }
    }

    /// Adds a line of our own to the file.
    pub fn note(&mut self, line: &str) {
        let line = self.stream.pass(format!("moorline: {line}\n").as_bytes());
        self.keep(&line);
    }

    /// Writes what is left into the file.
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
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
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

/// Beginning in the file, end in memory until it is closed.
#[derive(Debug)]
struct LogFile {
    file: File,
    written: usize,
    end: VecDeque<u8>,
    left_out: usize,
}

impl LogFile {
    /// Whatever has the name is removed first: through a link, or a pipe, something else would be written to.
    fn create(folder: &Path, path: &Path) -> std::io::Result<Self> {
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        if let Some(owner) = fs::metadata(folder).ok().filter(|_| nix::unistd::geteuid().is_root()) {
            let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
        }
        Ok(Self { file, written: 0, end: VecDeque::new(), left_out: 0 })
    }

    /// A log that cannot be written (a full disk) must not fail the script; the container's log has it too.
    fn write(&mut self, bytes: &[u8]) {
        let (now, later) = bytes.split_at(bytes.len().min(HALF - self.written));
        let _ = self.file.write_all(now);
        self.written += now.len();
        self.end.extend(later);
        let excess = self.end.len().saturating_sub(HALF);
        self.end.drain(..excess);
        self.left_out += excess;
    }

    fn close(&mut self) {
        if self.left_out > 0 {
            let _ = writeln!(self.file, "\n[{} bytes are left out here]", self.left_out);
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
        assert!(String::from_utf8_lossy(&text).contains("bytes are left out here"));
    }
}
