//! Writes a backup in one pass to any writer, also a pipe.

use std::io::{self, Read, Write};

use super::{
    DIGEST, DigestEntry, Doubt, Entry, Error, Header, HeaderFields, Kind, LARGEST_JSON, MANIFEST, Result,
    compress::Frames,
    digest, footer,
    member::Names,
    seal::Sealer,
    segment::{Cipher, Preamble},
    tar_header, threads,
};
use seqbac_header::{RelPath, SecretKey};

const BUFFER: usize = 128 << 10;

/// How to compress a backup. `threads` does not change any byte of the result.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Number of compression threads; 0 means one per processor, but at most four.
    pub threads: usize,
    /// Compression level of zstd.
    pub level: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 0, level: 3 }
    }
}

/// The size of a finished backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Length of the backup in bytes.
    pub bytes: u64,
    /// Number of members, without manifest and digest.
    pub members: u64,
    /// Length of the tar in bytes.
    pub tar_bytes: u64,
}

/// Writes a backup. Call [`Writer::manifest`], then [`Writer::member`] for each member, then [`Writer::finish`].
///
/// If the writer is dropped or fails, the file has no last segment, so that reading it fails with `Truncated`.
pub struct Writer<W: Write> {
    frames: Frames<W>,
    header: Header,
    names: Names,
    members: Vec<DigestEntry>,
    doubts: Vec<Doubt>,
    /// Offset in the tar.
    at: u64,
    buffer: Vec<u8>,
    failed: bool,
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("header", &self.header).field("at", &self.at).finish_non_exhaustive()
    }
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    pub fn new(out: W, key: &SecretKey, fields: HeaderFields, options: Options) -> Result<Self> {
        Self::with_preamble(out, key, fields, options, &Preamble::random()?)
    }

    /// Only for tests, because two backups must never share salt and nonce prefix.
    fn with_preamble(
        mut out: W,
        key: &SecretKey,
        fields: HeaderFields,
        options: Options,
        preamble: &Preamble,
    ) -> Result<Self> {
        let header = Header::build(fields, key);
        out.write_all(&header.raw)?;
        let cipher = Cipher::new(key, &header.raw, preamble);
        let sealer = Sealer::new(out, cipher, preamble)?;
        Ok(Self {
            frames: Frames::new(sealer, threads(options.threads), options.level),
            header,
            names: Names::default(),
            members: Vec::new(),
            doubts: Vec::new(),
            at: 0,
            buffer: vec![0; BUFFER],
            failed: false,
        })
    }

    /// The header of the backup.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Writes `manifest.json`, which must be the first member.
    pub fn manifest(&mut self, json: &[u8]) -> Result<()> {
        if !self.members.is_empty() || json.len() as u64 > LARGEST_JSON {
            return Err(misuse("the manifest must be the first member, must be unique and at most 256 MiB long"));
        }
        let entry = self.own(MANIFEST, json.len())?;
        self.guarded(|this| this.write_member(&entry, &mut &*json))
    }

    /// Writes one member. `content` is read to its end and must be exactly `entry.size` bytes long. It is ignored for
    /// directories and links.
    ///
    /// After any error, the backup cannot be finished. Besides I/O errors:
    /// - `content` is longer or shorter than `entry.size`
    /// - the name is reserved, a duplicate, or below a member that is not a directory
    pub fn member(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let path = entry.path.as_bytes();
        if self.members.is_empty() || path == MANIFEST.as_bytes() || path == DIGEST.as_bytes() {
            return Err(misuse(
                "the manifest must be the first member, and the names of manifest and digest are reserved",
            ));
        }
        self.guarded(|this| this.write_member(entry, content))
    }

    /// The members so far, without the manifest.
    #[must_use]
    pub fn members(&self) -> &[DigestEntry] {
        self.members.get(1..).unwrap_or_default()
    }

    /// What [`Writer::doubt`] recorded.
    #[must_use]
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// The hash of the last member's content.
    #[must_use]
    pub fn last_hash(&self) -> Option<blake3::Hash> {
        self.members.last().map(|member| member.blake3)
    }

    /// Marks the last member: it changed while it was captured. The mark is part of the digest, so it can be set after
    /// the content was written.
    pub fn mark_last_torn(&mut self) {
        if let Some(last) = self.members.last_mut() {
            last.torn = true;
        }
    }

    /// Records why the backup may be inconsistent, although it is complete.
    pub fn doubt(&mut self, path: &RelPath, what: &str) {
        self.doubts.push(Doubt { path: path.clone(), what: what.to_owned() });
    }

    /// Writes the digest, the seek table, the last segment and the footer, and returns the writer. The caller must
    /// fsync.
    pub fn finish(self) -> Result<(W, Summary)> {
        if self.failed || self.members.is_empty() {
            return Err(misuse("the backup has no manifest, or a member of it could not be written"));
        }
        let json = digest::encode(&self.members, self.doubts.clone())?;
        if json.len() as u64 > LARGEST_JSON {
            return Err(misuse("the digest of the backup would exceed 256 MiB"));
        }
        let own = self.own(DIGEST, json.len())?;
        let mut last = tar_header::encode(&own).ok_or_else(|| misuse("the digest has attributes"))?;
        last.extend_from_slice(&json);
        last.resize(last.len() + tar_header::padding(json.len() as u64), 0);
        last.extend_from_slice(&tar_header::END);
        let tar_bytes = self.at + last.len() as u64;
        let (out, payload) = self.frames.finish(&last)?;
        let bytes = self.header.length() + payload + footer::LENGTH as u64;
        Ok((out, Summary { bytes, members: self.members.len() as u64 - 1, tar_bytes }))
    }

    fn own(&self, name: &str, length: usize) -> Result<Entry> {
        let path = RelPath::new(name).map_err(|_| misuse("the name of manifest or digest is invalid"))?;
        Ok(Entry {
            path,
            kind: Kind::File,
            size: length as u64,
            mode: 0o600,
            uid: 0,
            gid: 0,
            mtime_secs: self.header.created.as_second().max(0),
            mtime_nanos: 0,
            xattrs: Default::default(),
            torn: false,
        })
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.failed {
            return Err(misuse("a member of the backup could not be written"));
        }
        work(self).inspect_err(|_| self.failed = true)
    }

    fn write_member(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if entry.kind != Kind::File && entry.size != 0 {
            return Err(misuse("only a file can have content"));
        }
        let header = tar_header::encode(entry).ok_or_else(|| misuse("the extended attributes exceed 1 MiB"))?;
        self.names.add(&entry.path, &entry.kind).map_err(|error| Error::Io(io::Error::other(error.to_string())))?;
        let offset = self.at;
        self.write(&header)?;
        let blake3 = if entry.kind == Kind::File { self.write_content(entry, content)? } else { blake3::hash(&[]) };
        self.write(&[0; tar_header::BLOCK][..tar_header::padding(entry.size)])?;
        let path = entry.path.clone();
        self.members.push(DigestEntry { path, size: entry.size, blake3, offset, torn: entry.torn });
        Ok(())
    }

    fn write_content(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        let mut left = entry.size;
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            let count = match content.read(&mut buffer) {
                Ok(count) => count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(Error::Io(cause)),
            };
            left = left.checked_sub(count as u64).ok_or_else(|| wrong_size(entry, "longer"))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            self.write(&buffer[..count])?;
        }
        self.buffer = buffer;
        if left == 0 { Ok(hasher.finalize()) } else { Err(wrong_size(entry, "shorter")) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.frames.write(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

fn wrong_size(entry: &Entry, how: &str) -> Error {
    let text = format!("{} is {how} than its announced size of {} bytes", entry.path, entry.size);
    Error::Io(io::Error::new(io::ErrorKind::InvalidData, text))
}

fn misuse(what: &str) -> Error {
    Error::Io(io::Error::new(io::ErrorKind::InvalidInput, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;
    use seqbac_header::Id;

    fn key() -> SecretKey {
        SecretKey::parse("8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=", "a test").expect("a key")
    }

    fn entry(name: &str, size: u64) -> Entry {
        let path = RelPath::new(name).expect("a path");
        let kind = Kind::File;
        let xattrs = Default::default();
        Entry { path, kind, size, mode: 0o640, uid: 1, gid: 2, mtime_secs: 3, mtime_nanos: 4, xattrs, torn: false }
    }

    fn begin(threads: usize) -> Writer<Vec<u8>> {
        let created = jiff::Timestamp::from_millisecond(1_700_000_000_123).expect("a time");
        let fields = HeaderFields { created, id: Id([7; 16]), instance: Some(Id([8; 16])), writer: "test".to_owned() };
        let preamble = Preamble { salt: [1; 32], prefix: [2; 7] };
        let options = Options { threads, level: 3 };
        Writer::with_preamble(Vec::new(), &key(), fields, options, &preamble).expect("begins")
    }

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    fn write(threads: usize) -> Vec<u8> {
        let mut writer = begin(threads);
        writer.manifest(b"{}").expect("writes");
        let noise = noise(3 << 20);
        writer.member(&entry("noise", noise.len() as u64), &mut noise.as_slice()).expect("writes");
        let text = b"some text, ".repeat(500_000);
        writer.member(&entry("text", text.len() as u64), &mut text.as_slice()).expect("writes");
        writer.finish().expect("finishes").0
    }

    #[test]
    fn the_number_of_threads_does_not_change_the_file() {
        let one = write(1);
        assert!(Reader::open(one.as_slice(), &key(), 3).and_then(Reader::finish).is_ok());
        for threads in [2, 3, 8] {
            assert!(write(threads) == one, "{threads} threads");
        }
    }

    #[test]
    fn content_of_another_length_fails_the_backup() {
        for content in [&b"four"[..], b"sixsix"] {
            let mut writer = begin(1);
            writer.manifest(b"{}").expect("writes");
            let error = writer.member(&entry("five", 5), &mut &*content).expect_err("refuses");
            assert!(error.to_string().contains("five is"), "{error}");
            assert!(writer.member(&entry("next", 0), &mut io::empty()).is_err());
            assert!(writer.finish().is_err());
        }
    }

    #[test]
    fn an_io_error_of_the_source_is_returned_unchanged() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(nix::libc::EIO))
            }
        }
        let mut writer = begin(1);
        writer.manifest(b"{}").expect("writes");
        let error = writer.member(&entry("bad", 5), &mut Broken).expect_err("fails");
        assert!(matches!(error, Error::Io(cause) if cause.raw_os_error() == Some(nix::libc::EIO)));
    }

    #[test]
    fn a_writer_that_is_dropped_leaves_a_truncated_backup() {
        let mut out = Vec::new();
        {
            let created = jiff::Timestamp::UNIX_EPOCH;
            let fields = HeaderFields { created, id: Id([7; 16]), instance: None, writer: String::new() };
            let mut writer = Writer::new(&mut out, &key(), fields, Options { threads: 1, level: 3 }).expect("begins");
            writer.manifest(b"{}").expect("writes");
            let noise = noise(4 << 20);
            writer.member(&entry("noise", noise.len() as u64), &mut noise.as_slice()).expect("writes");
        }
        assert!(out.len() > 2 << 20, "segments were written");
        let error = Reader::open(out.as_slice(), &key(), 1).and_then(Reader::finish).expect_err("fails");
        assert!(matches!(error, Error::Truncated { last_good_segment: Some(_), .. }), "{error}");
    }

    #[test]
    fn reserved_names_and_duplicate_names_are_refused() {
        let mut writer = begin(1);
        assert!(writer.member(&entry("early", 0), &mut io::empty()).is_err(), "before the manifest");
        writer.manifest(b"{}").expect("writes");
        assert!(writer.manifest(b"{}").is_err());
        assert!(writer.member(&entry("digest.json", 0), &mut io::empty()).is_err());
        assert!(writer.member(&entry("manifest.json", 0), &mut io::empty()).is_err());
        writer.member(&entry("a", 0), &mut io::empty()).expect("writes");
        assert!(writer.member(&entry("a", 0), &mut io::empty()).is_err());
    }
}
