//! Reads a backup from start to end, member by member, and verifies all of it.

use std::io::{self, Read};

use super::{
    DIGEST, DigestEntry, Doubt, End, Entry, Error, Header, Kind, LARGEST_JSON, MANIFEST, Result, TarStream, digest,
    member::Names,
    tar_header::{self, BLOCK, Next, padding},
    unseal::read_full,
};
use seqbac_header::SecretKey;

/// Reads a backup in sequence. Members are authentic as they are read; only [`Reader::finish`] proves that none is
/// missing.
pub struct Reader<R> {
    body: Body<R>,
    manifest: Vec<u8>,
    names: Names,
    seen: Vec<DigestEntry>,
    doubts: Vec<Doubt>,
    /// The digest was read, and matches.
    complete: bool,
}

/// The result of reading a backup to its end: it is complete and authentic.
#[derive(Debug, Clone)]
pub struct Verified {
    /// The members in the order of the tar, without manifest and digest.
    pub members: Vec<DigestEntry>,
    /// Why the content may be inconsistent, as its writer recorded it.
    pub doubts: Vec<Doubt>,
    /// Harmless faults, such as a damaged footer.
    pub warnings: Vec<String>,
    /// Length of the backup in bytes.
    pub bytes: u64,
}

/// One member; reading it returns the content. [`Reader::next_member`] reads and hashes the rest.
pub struct Member<'a> {
    entry: Entry,
    body: &'a mut dyn Read,
}

struct Body<R> {
    tar: Counted<R>,
    current: Option<Current>,
}

struct Counted<R> {
    tar: TarStream<R>,
    /// Offset in the tar.
    at: u64,
}

struct Current {
    hasher: blake3::Hasher,
    left: u64,
    digest: DigestEntry,
}

impl Member<'_> {
    /// The metadata from the tar.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl std::fmt::Debug for Member<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Member").field(&self.entry).finish()
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("tar", &self.body.tar.tar).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.tar.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read> Reader<R> {
    /// Authenticates the header and reads the manifest. `threads` = 0 means one per processor, but at most four.
    pub fn open(source: R, key: &SecretKey, threads: usize) -> Result<Self> {
        let tar = Counted { tar: TarStream::open(source, key, threads)?, at: 0 };
        let mut this = Self {
            body: Body { tar, current: None },
            manifest: Vec::new(),
            names: Names::default(),
            seen: Vec::new(),
            doubts: Vec::new(),
            complete: false,
        };
        this.manifest = this.read_manifest()?;
        Ok(this)
    }

    /// The authenticated header.
    pub const fn header(&self) -> &Header {
        self.body.tar.tar.header()
    }

    /// The bytes of `manifest.json`.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The next member. Returns `None` after the last one, once `digest.json` matches all members.
    pub fn next_member(&mut self) -> Result<Option<Member<'_>>> {
        self.skip_content()?;
        if self.complete {
            return Ok(None);
        }
        let entry = self.next_entry()?.ok_or(Error::Incomplete)?;
        if entry.path.as_bytes() != DIGEST.as_bytes() {
            return Ok(Some(Member { entry, body: &mut self.body }));
        }
        let json = self.read_json(&entry)?.ok_or(Error::Incomplete)?;
        self.seen.pop();
        self.doubts = digest::check(&json, &mut self.seen)?;
        self.complete = true;
        Ok(None)
    }

    /// Reads the rest of the file and verifies the digests of all members, that `digest.json` lists exactly these
    /// members, the end of the tar, the seek table, the last segment, and the footer.
    pub fn finish(mut self) -> Result<Verified> {
        let end = self.read_to_the_end()?;
        // Drop the manifest, which is the first.
        let members = self.seen.split_off(1);
        Ok(Verified { members, doubts: self.doubts, warnings: end.warnings, bytes: end.bytes })
    }

    /// Like [`Reader::finish`], but returns all members, beginning with the manifest.
    pub(super) fn finish_with_manifest(mut self) -> Result<(Vec<DigestEntry>, Vec<Doubt>)> {
        self.read_to_the_end()?;
        Ok((self.seen, self.doubts))
    }

    fn read_to_the_end(&mut self) -> Result<End> {
        while self.next_member()?.is_some() {}
        if !matches!(tar_header::next(&mut self.body.tar)?, Next::End) {
            return Err(Error::mismatch("the tar does not end after digest.json"));
        }
        let mut rest = [0; BLOCK];
        while let count @ 1.. = read_full(&mut self.body.tar, &mut rest)? {
            if rest[..count].iter().any(|byte| *byte != 0) {
                return Err(Error::mismatch("there is data after the end of the tar"));
            }
        }
        self.body.tar.tar.check_end()
    }

    fn read_manifest(&mut self) -> Result<Vec<u8>> {
        let missing = || Error::mismatch("the first member is not manifest.json");
        let entry = self.next_entry()?.filter(|entry| entry.path.as_bytes() == MANIFEST.as_bytes());
        self.read_json(&entry.ok_or_else(missing)?)?.ok_or_else(missing)
    }

    /// Reads the header of the next member; `None` at the end of the tar.
    fn next_entry(&mut self) -> Result<Option<Entry>> {
        let offset = self.body.tar.at;
        let Next::Member(entry) = tar_header::next(&mut self.body.tar)? else { return Ok(None) };
        self.names.add(&entry.path, &entry.kind)?;
        let digest =
            DigestEntry { path: entry.path.clone(), size: entry.size, blake3: blake3::hash(&[]), offset, torn: false };
        self.body.current = Some(Current { hasher: blake3::Hasher::new(), left: entry.size, digest });
        Ok(Some(entry))
    }

    /// Reads the manifest or the digest; `None` if the tar ends in it.
    fn read_json(&mut self, entry: &Entry) -> Result<Option<Vec<u8>>> {
        if entry.kind != Kind::File || entry.size > LARGEST_JSON {
            return Err(Error::mismatch(format!("{} is not a file of at most 256 MiB", entry.path)));
        }
        let mut json = Vec::new();
        let read = self.body.read_to_end(&mut json).map_err(Error::from_io).and_then(|_| self.skip_content());
        match read {
            Ok(()) => Ok(Some(json)),
            Err(Error::Incomplete) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads the rest of the current member and its padding, and records its digest.
    fn skip_content(&mut self) -> Result<()> {
        io::copy(&mut self.body, &mut io::sink()).map_err(Error::from_io)?;
        let Some(Current { hasher, mut digest, .. }) = self.body.current.take() else { return Ok(()) };
        let mut zeros = [0; BLOCK];
        let zeros = &mut zeros[..padding(digest.size)];
        if read_full(&mut self.body.tar, zeros)? < zeros.len() {
            return Err(Error::Incomplete);
        }
        digest.blake3 = hasher.finalize();
        self.seen.push(digest);
        Ok(())
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(current) = &mut self.current else { return Ok(0) };
        let most = usize::try_from(current.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.tar.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(Error::Incomplete.into());
        }
        current.hasher.update(&buffer[..count]);
        current.left -= count as u64;
        Ok(count)
    }
}
