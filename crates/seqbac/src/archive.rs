//! Reads single members of a seekable backup, without reading the rest.
//!
//! ```text
//! last segment → seek table → frame with digest.json → the segments that hold a member
//! ```
//! If the seek table or the offsets in the digest are missing or invalid, the backup is read from the start instead,
//! because only a sequential read finds the precise error.
//!
//! Invariant: bytes from [`Archive::member`] are authentic, and complete once the reader has ended without an error.
//! The rest of the backup may still be damaged.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use super::{
    DIGEST, DigestEntry, Doubt, Entry, Error, Header, Kind, LARGEST_JSON, MANIFEST, Reader, Result,
    decompress::Decompressor,
    digest, footer, seek_table,
    segment::{self, Cipher, PREAMBLE, Preamble, SEGMENT, TAG},
    slice::Slice,
    tar_header::{self, Next},
    threads,
    unseal::{Unsealer, corrupt, read_full},
};
use seqbac_header::{RelPath, SecretKey};

/// A backup opened for reading single members.
pub struct Archive<R> {
    source: R,
    header: Header,
    preamble: [u8; PREAMBLE],
    cipher: Cipher,
    index: Option<Index>,
    /// In the order of the tar; the manifest is the first.
    members: Vec<DigestEntry>,
    doubts: Vec<Doubt>,
    /// Indices into `members`, sorted by name.
    by_name: Vec<usize>,
}

struct Index {
    /// Length of the payload in bytes.
    payload: u64,
    /// The start of each frame, and the end of the last one.
    frames: Vec<FrameStart>,
}

#[derive(Clone, Copy)]
struct FrameStart {
    /// Offset in the zstd stream.
    stream: u64,
    /// Offset in the tar.
    tar: u64,
}

/// The content of one member. The digest is verified before the last byte is returned, so a member that was read to its
/// end is complete and authentic.
pub struct ArchivedMember<'a> {
    entry: Entry,
    body: Box<dyn Read + 'a>,
    hasher: blake3::Hasher,
    left: u64,
    expected: blake3::Hash,
}

impl<R> std::fmt::Debug for Archive<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("header", &self.header).field("members", &self.members).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ArchivedMember<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ArchivedMember").field(&self.entry).finish()
    }
}

impl ArchivedMember<'_> {
    /// The metadata from the tar.
    #[must_use]
    pub const fn entry(&self) -> &Entry {
        &self.entry
    }

    fn check_end(&self) -> Result<()> {
        let good = self.left > 0 || self.hasher.finalize() == self.expected;
        let wrong = || Error::mismatch(format!("{} does not match digest.json", self.entry.path));
        if good { Ok(()) } else { Err(wrong()) }
    }
}

impl Read for ArchivedMember<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            self.check_end()?;
            return Ok(0);
        }
        let count = self.body.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(Error::mismatch(format!("the tar ends in {}", self.entry.path)).into());
        }
        self.hasher.update(&buffer[..count]);
        self.left -= count as u64;
        self.check_end()?;
        Ok(count)
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Authenticates the header and the last segment, and reads the digest. If the index is unusable, reads and
    /// verifies the whole backup.
    pub fn open(source: R, key: &SecretKey) -> Result<Self> {
        let mut this = Self::start(source, key)?;
        if !matches!(this.find_index(), Ok(true)) {
            this.index = None;
            this.read_all(key)?;
        }
        this.sort()?;
        Ok(this)
    }

    /// Like `open`, but returns `None` instead of reading the whole backup.
    pub(super) fn open_indexed(source: R, key: &SecretKey) -> Result<Option<Self>> {
        let mut this = Self::start(source, key)?;
        Ok(this.find_index()?.then_some(this))
    }

    /// The members in the index at the end of the file, without manifest and digest. `None` if the index is missing or
    /// damaged. Unlike `open`, this never reads the whole backup.
    pub fn indexed_members(source: R, key: &SecretKey) -> Option<Vec<DigestEntry>> {
        let archive = Self::open_indexed(source, key).ok().flatten()?;
        Some(archive.members().to_vec())
    }

    /// Like `open`, but never reads the whole backup: `None` if the index is missing or damaged. Fails with `Truncated` if the
    /// file does not end with a valid last segment, because then it is not complete.
    pub fn open_at_once(source: R, key: &SecretKey) -> Result<Option<Self>> {
        let mut this = Self::start(source, key)?;
        if this.find_end()?.is_none() {
            return Err(Error::Truncated { last_good_segment: None, length: this.source.seek(SeekFrom::End(0))? });
        }
        Ok(matches!(this.find_index(), Ok(true)).then_some(this))
    }

    fn start(mut source: R, key: &SecretKey) -> Result<Self> {
        source.rewind()?;
        let header = Header::read(&mut source)?;
        header.authenticate(key)?;
        let mut preamble = [0; PREAMBLE];
        let got = read_full(&mut source, &mut preamble)?;
        if got < PREAMBLE {
            return Err(Error::Truncated { last_good_segment: None, length: header.length() + got as u64 });
        }
        let decoded = Preamble::decode(&preamble);
        let decoded = decoded.ok_or_else(|| corrupt(header.length(), 0, header.length() + SEGMENT as u64))?;
        let cipher = Cipher::new(key, &header.raw, &decoded);
        Ok(Self {
            source,
            header,
            preamble,
            cipher,
            index: None,
            members: Vec::new(),
            doubts: Vec::new(),
            by_name: Vec::new(),
        })
    }

    /// The authenticated header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The members in the order of the tar, without manifest and digest.
    pub fn members(&self) -> &[DigestEntry] {
        self.members.get(1..).unwrap_or_default()
    }

    /// Why the content may be inconsistent, as its writer recorded it.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }

    /// The bytes of `manifest.json`.
    pub fn manifest(&mut self) -> Result<Vec<u8>> {
        let mut json = Vec::new();
        self.read_member(0)?.read_to_end(&mut json).map_err(Error::from_io)?;
        Ok(json)
    }

    /// Opens one member. The error for an unknown name is `Io` with `NotFound`.
    pub fn member(&mut self, path: &RelPath) -> Result<ArchivedMember<'_>> {
        let found = self.by_name.binary_search_by(|number| self.members[*number].path.cmp(path));
        let missing = |_| io::Error::new(io::ErrorKind::NotFound, format!("the backup has no member {path}"));
        let number = self.by_name[found.map_err(missing)?];
        self.read_member(number)
    }

    /// The members that overlap a segment; `None` without an index.
    pub(super) fn members_in(&self, number: u32) -> Option<Vec<RelPath>> {
        let index = self.index.as_ref()?;
        let plain = segment::plain_range(number);
        let hit = index.tar_of(&plain);
        let ends = self.members.iter().skip(1).map(|next| next.offset).chain([index.digest().tar]);
        let overlapping =
            self.members.iter().zip(ends).filter(|(member, end)| member.offset < hit.end && *end > hit.start);
        Some(overlapping.map(|(member, _)| member.path.clone()).collect())
    }

    /// Reads the index, from the end of the file to the digest. `false` if the backup has none.
    fn find_index(&mut self) -> Result<bool> {
        let Some(payload) = self.find_end()? else { return Ok(false) };
        let Some(frames) = self.read_seek_table(payload)? else { return Ok(false) };
        let index = Index { payload, frames };
        let Some(json) = self.read_digest(&index)? else { return Ok(false) };
        let Some(digest::Indexed { members, doubts }) = digest::indexed(&json)? else { return Ok(false) };
        let manifest_first = members.first().is_some_and(|first| first.path.as_bytes() == MANIFEST.as_bytes());
        let inside = members.last().is_some_and(|last| last.offset < index.digest().tar);
        self.members = members;
        self.doubts = doubts;
        self.index = Some(index);
        Ok(manifest_first && inside)
    }

    /// Length of the payload, if a valid last segment ends at the end of the file or at the footer.
    fn find_end(&mut self) -> Result<Option<u64>> {
        let most = self.source.seek(SeekFrom::End(0))?.saturating_sub(self.header.length());
        for behind in [footer::LENGTH as u64, 0] {
            let Some(payload) = most.checked_sub(behind).filter(|length| *length >= (PREAMBLE + TAG) as u64) else {
                continue;
            };
            if self.slice(payload, 0..0).ends_well() {
                return Ok(Some(payload));
            }
        }
        Ok(None)
    }

    fn slice(&mut self, payload: u64, range: Range<u64>) -> Slice<'_, R> {
        Slice::new(&mut self.source, &self.cipher, self.header.length(), payload, range)
    }

    fn read_seek_table(&mut self, payload: u64) -> Result<Option<Vec<FrameStart>>> {
        let segments = (payload - 1) / SEGMENT as u64 + 1;
        let stream = payload - PREAMBLE as u64 - segments * TAG as u64;
        let Some(from) = stream.checked_sub(seek_table::FOOTER as u64) else { return Ok(None) };
        let footer = self.slice(payload, from..stream).read_all()?;
        let length = footer.first_chunk().and_then(seek_table::length);
        let Some(table_at) = length.and_then(|length| stream.checked_sub(length)) else { return Ok(None) };
        let table = self.slice(payload, table_at..stream).read_all()?;
        let (head, content) = table.split_at(seek_table::HEAD);
        if head[..4] != seek_table::SKIPPABLE.to_le_bytes() || head[4..] != (content.len() as u32).to_le_bytes() {
            return Ok(None);
        }
        let mut at = FrameStart { stream: 0, tar: 0 };
        let mut frames = vec![at];
        for frame in seek_table::decode(content)? {
            at.stream += u64::from(frame.compressed);
            at.tar += u64::from(frame.decompressed);
            frames.push(at);
        }
        Ok((at.stream == table_at && frames.len() > 1).then_some(frames))
    }

    fn read_digest(&mut self, index: &Index) -> Result<Option<Vec<u8>>> {
        let (start, end) = (index.digest(), index.end());
        let slice = self.slice(index.payload, start.stream..end.stream);
        let mut tar = Decompressor::new(slice, 1);
        let Next::Member(entry) = tar_header::next(&mut tar)? else { return Ok(None) };
        if entry.path.as_bytes() != DIGEST.as_bytes() || entry.kind != Kind::File || entry.size > LARGEST_JSON {
            return Ok(None);
        }
        let mut json = Vec::new();
        let count = tar.take(entry.size).read_to_end(&mut json).map_err(Error::from_io)?;
        Ok((count as u64 == entry.size).then_some(json))
    }

    fn read_all(&mut self, key: &SecretKey) -> Result<()> {
        self.source.rewind()?;
        let reader = Reader::open(&mut self.source, key, 0)?;
        (self.members, self.doubts) = reader.finish_with_manifest()?;
        Ok(())
    }

    fn sort(&mut self) -> Result<()> {
        self.by_name = (1..self.members.len()).collect();
        let members = &self.members;
        self.by_name.sort_by(|a, b| members[*a].path.cmp(&members[*b].path));
        let double = self.by_name.windows(2).find(|pair| members[pair[0]].path == members[pair[1]].path);
        match double {
            None => Ok(()),
            Some(pair) => Err(Error::mismatch(format!("two members have the name {}", members[pair[0]].path))),
        }
    }

    fn read_member(&mut self, number: usize) -> Result<ArchivedMember<'_>> {
        let member = self.members[number].clone();
        let (mut body, skip) = match &self.index {
            Some(index) => {
                let end = self.members.get(number + 1).map_or(index.digest().tar, |next| next.offset);
                let (range, skip) = index.stream_of(member.offset..end);
                let payload = index.payload;
                let slice = self.slice(payload, range);
                (Box::new(Decompressor::new(slice, threads(0))) as Box<dyn Read>, skip)
            }
            None => {
                self.source.seek(SeekFrom::Start(self.header.length() + PREAMBLE as u64))?;
                let cipher = self.cipher.clone();
                let unsealer = Unsealer::resume(&mut self.source, self.header.length(), cipher, &self.preamble);
                (Box::new(Decompressor::new(unsealer, threads(0))) as Box<dyn Read>, member.offset)
            }
        };
        io::copy(&mut (&mut body).take(skip), &mut io::sink()).map_err(Error::from_io)?;
        let elsewhere = || Error::mismatch(format!("{} is not at its offset in digest.json", member.path));
        let Next::Member(entry) = tar_header::next(&mut body)? else { return Err(elsewhere()) };
        if entry.path != member.path || entry.size != member.size {
            return Err(elsewhere());
        }
        let hasher = blake3::Hasher::new();
        let entry = Entry { torn: member.torn, ..entry };
        Ok(ArchivedMember { entry, body, hasher, left: member.size, expected: member.blake3 })
    }
}

impl Index {
    fn end(&self) -> FrameStart {
        self.frames[self.frames.len() - 1]
    }

    /// The frame with the digest is always the last one.
    fn digest(&self) -> FrameStart {
        self.frames[self.frames.len() - 2]
    }

    /// The range of the frames that hold this part of the tar, and the offset of the part in the first frame.
    fn stream_of(&self, tar: Range<u64>) -> (Range<u64>, u64) {
        let first = self.frames.partition_point(|frame| frame.tar <= tar.start).saturating_sub(1);
        let last = self.frames.partition_point(|frame| frame.tar < tar.end).min(self.frames.len() - 1);
        (self.frames[first].stream..self.frames[last].stream, tar.start - self.frames[first].tar)
    }

    /// The part of the tar in the frames that overlap this part of the stream.
    fn tar_of(&self, stream: &Range<u64>) -> Range<u64> {
        let first = self.frames.partition_point(|frame| frame.stream <= stream.start).saturating_sub(1);
        let last = self.frames.partition_point(|frame| frame.stream < stream.end).min(self.frames.len() - 1);
        self.frames[first].tar..self.frames[last].tar
    }
}
