//! Makes backups that no writer makes: a second implementation of the format, written from `docs/seqbac.md`, that
//! shares no code with the first and checks nothing.
//!
//! So that vectors of several segments stay small, the content of the member `noise` is chosen such that its
//! ciphertext is zeros: it is AES-GCM's own keystream, and a vector that is compressed has next to nothing in it.

mod contents;

use std::ops::Range;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

pub use self::contents::{Content, Member, file, link, noise, raw_frame, with_attribute};
use self::contents::{frames, seek_table, tar, ustar};

pub const SEGMENT: usize = 1 << 20;
const TAG: usize = 16;
const PREAMBLE: usize = 40;

pub fn hkdf(key: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), key).expand(info, &mut out).expect("32 bytes");
    out
}

/// What a header says.
#[derive(Clone)]
pub struct Head {
    pub key: [u8; 32],
    pub major: u8,
    pub minor: u8,
    pub flags: u16,
    pub suite: u8,
    pub id: [u8; 16],
    pub tlvs: Vec<(u16, Vec<u8>)>,
}

impl Head {
    pub fn new(key: [u8; 32]) -> Self {
        Self { key, major: 1, minor: 0, flags: 0, suite: 1, id: [0x11; 16], tlvs: vec![(1, b"forge".to_vec())] }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut header = b"\x89SBC\r\n\x1a\n".to_vec();
        let length = 60 + self.tlvs.iter().map(|(_, value)| 4 + value.len()).sum::<usize>() + 36;
        header.extend([self.major, self.minor]);
        header.extend(self.flags.to_le_bytes());
        header.extend((length as u32).to_le_bytes());
        header.extend([self.suite, 1, 0, 0]);
        header.extend(1_700_000_000_123_i64.to_le_bytes());
        header.extend(self.id);
        header.extend(&hkdf(&self.key, &[], b"seqbac/v1/key-id")[..16]);
        for (kind, value) in &self.tlvs {
            header.extend(kind.to_le_bytes());
            header.extend((value.len() as u16).to_le_bytes());
            header.extend(value);
        }
        let mac_key = hkdf(&self.key, &self.id, b"seqbac/v1/header-mac");
        let mut mac = Hmac::<Sha256>::new_from_slice(&mac_key).expect("any length");
        mac.update(&header);
        header.extend(mac.finalize().into_bytes());
        header.extend(crc32c::crc32c(&header).to_le_bytes());
        header
    }
}

/// Puts the right checksum at the end of a header that was edited.
pub fn mend_header(header: &mut [u8]) {
    let at = header.len() - 4;
    let crc = crc32c::crc32c(&header[..at]);
    header[at..].copy_from_slice(&crc.to_le_bytes());
}

/// What the digest is like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    Good,
    /// The tar ends without one.
    Missing,
    /// A hash in it is wrong.
    Wrong,
    /// The last member is not in it.
    Short,
    /// It says that it is not complete.
    Unfinished,
}

/// How the last segment is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    Short,
    Full,
    /// A full segment that is not the last, and an empty one that is.
    Empty,
}

/// A whole backup.
#[derive(Clone)]
pub struct Backup {
    pub head: Head,
    pub salt: [u8; 32],
    pub members: Vec<Member>,
    pub digest: Digest,
    pub last: Last,
    pub seek_table: bool,
    /// Instead of the tar: this zstd stream.
    pub stream: Option<Vec<u8>>,
    /// A segment that is sealed as the last although it is not, or the other way round.
    pub wrong_last: Option<u32>,
}

impl Backup {
    pub fn new(key: [u8; 32], members: Vec<Member>) -> Self {
        let mut all = vec![file("manifest.json", r#"{"profile":"vector"}"#)];
        all.extend(members);
        Self {
            head: Head::new(key),
            salt: [0x22; 32],
            members: all,
            digest: Digest::Good,
            last: Last::Short,
            seek_table: true,
            stream: None,
            wrong_last: None,
        }
    }

    /// One that has so many segments.
    pub fn of_segments(key: [u8; 32], segments: usize) -> Self {
        Self::new(key, vec![file("a", "content\n"), noise((segments - 1) * SEGMENT)])
    }

    pub fn build(&self) -> Parts {
        self.build_with_stream().0
    }

    /// Also gives the zstd stream.
    pub fn build_with_stream(&self) -> (Parts, Vec<u8>) {
        let header = self.head.encode();
        let sealer = Sealer::new(self, &header);
        let (stream, tar, ends) = match &self.stream {
            Some(stream) => (stream.clone(), Vec::new(), Vec::new()),
            None => self.zstd(&sealer),
        };
        let payload = sealer.seal(&stream, self.last == Last::Empty);
        (Parts { header, payload, tar, ends }, stream)
    }

    /// The zstd stream, the tar in it, and where each frame ends in both.
    fn zstd(&self, sealer: &Sealer) -> (Vec<u8>, Vec<u8>, Vec<(usize, usize)>) {
        let (mut tar, offsets, free) = tar(&self.members);
        let digest_length = self.digest_frame(&tar, &offsets).len();
        let mut frames = frames(&tar);
        let mut length = frames.iter().map(Vec::len).sum::<usize>() + digest_length;
        let table = self.seek_table && self.last == Last::Short;
        length += if table { 8 + 8 * (frames.len() + 1) + 9 } else { 0 };
        let padding = match self.last {
            Last::Short => 0,
            _ => {
                let segments = capacity_at_least(length + 8);
                capacity(segments) - length
            }
        };
        let keystream = sealer.choose(&mut tar, &mut frames, &free, length + padding, self.last == Last::Empty);
        let mut sizes: Vec<_> =
            frames.iter().zip(tar.chunks(SEGMENT)).map(|(frame, tar)| (frame.len(), tar.len())).collect();
        let digest = self.digest_frame(&tar, &offsets);
        assert_eq!(digest.len(), digest_length);
        sizes.push((digest.len(), digest.len() - 12));
        let mut stream = frames.concat();
        drop(frames);
        stream.extend(&digest);
        tar.extend(&digest[12..]);
        let ends = sizes.iter().scan((0, 0), |at, (frame, plain)| {
            *at = (at.0 + frame, at.1 + plain);
            Some(*at)
        });
        let ends = ends.collect();
        if table {
            stream.extend(seek_table(&sizes));
        }
        if padding > 0 {
            stream.extend(0x184D_2A50_u32.to_le_bytes());
            stream.extend((padding as u32 - 8).to_le_bytes());
            stream.extend_from_slice(&keystream[stream.len()..]);
        }
        (stream, tar, ends)
    }

    /// One frame with the digest and the end of the tar. Its length does not depend on the hashes.
    fn digest_frame(&self, tar: &[u8], offsets: &[(usize, Range<usize>)]) -> Vec<u8> {
        let listed = self.members.len() - usize::from(self.digest == Digest::Short);
        let members: Vec<_> = self.members[..listed]
            .iter()
            .zip(offsets)
            .map(|(member, (offset, content))| {
                let hash = blake3::hash(&tar[content.clone()]).to_hex().to_string();
                let hash = if self.digest == Digest::Wrong { "0".repeat(64) } else { hash };
                serde_json::json!({"path": member.name, "size": content.len(), "blake3": hash, "offset": offset})
            })
            .collect();
        let complete = self.digest != Digest::Unfinished;
        let json = serde_json::json!({"complete": complete, "members": members}).to_string();
        let mut end = Vec::new();
        if self.digest != Digest::Missing {
            end.extend(ustar(&file("digest.json", &json), json.len()));
            end.extend(json.as_bytes());
            end.resize(end.len().next_multiple_of(512), 0);
        }
        end.resize(end.len() + 1024, 0);
        assert!(end.len() < 128 << 10, "one block");
        raw_frame(&end)
    }
}

/// A backup in parts, to be taken apart and put together wrongly.
pub struct Parts {
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    pub tar: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

impl Parts {
    /// The part of the tar in frames that lie whole in the first so many segments.
    pub fn released(&self, segments: usize) -> &[u8] {
        let limit = if segments == 0 { 0 } else { capacity(segments) };
        let frame = self.ends.iter().rev().find(|(stream, _)| *stream <= limit);
        &self.tar[..frame.map_or(0, |(_, tar)| *tar)]
    }

    /// The whole file, with the right footer for this payload.
    pub fn file(&self) -> Vec<u8> {
        [self.without_footer(), footer(&self.payload)].concat()
    }

    pub fn without_footer(&self) -> Vec<u8> {
        [self.header.as_slice(), &self.payload].concat()
    }

    /// Where a segment is in the payload.
    pub fn segment(&self, number: usize) -> Range<usize> {
        let start = if number == 0 { PREAMBLE } else { number * SEGMENT };
        start..((number + 1) * SEGMENT).min(self.payload.len())
    }

    pub fn bytes_of(&self, number: usize) -> Vec<u8> {
        self.payload[self.segment(number)].to_vec()
    }
}

pub fn footer(payload: &[u8]) -> Vec<u8> {
    let mut footer = b"SBCEND\r\n".to_vec();
    footer.extend((payload.len() as u64).to_le_bytes());
    footer.extend(crc32c::crc32c(payload).to_le_bytes());
    footer.extend(crc32c::crc32c(&footer).to_le_bytes());
    footer
}

/// How much plaintext so many full segments hold.
fn capacity(segments: usize) -> usize {
    segments * (SEGMENT - TAG) - PREAMBLE
}

fn capacity_at_least(length: usize) -> usize {
    (length + PREAMBLE).div_ceil(SEGMENT - TAG)
}

struct Sealer {
    cipher: Aes256Gcm,
    salt: [u8; 32],
    wrong_last: Option<u32>,
}

impl Sealer {
    fn new(backup: &Backup, header: &[u8]) -> Self {
        let key = hkdf(&backup.head.key, &backup.salt, header);
        let cipher = Aes256Gcm::new_from_slice(&key).expect("32 bytes");
        Self { cipher, salt: backup.salt, wrong_last: backup.wrong_last }
    }

    fn segment(&self, number: usize, last: bool, plain: &mut Vec<u8>) {
        let last = last != (self.wrong_last == Some(number as u32));
        let mut nonce = [0x33; 12];
        nonce[7..11].copy_from_slice(&(number as u32).to_be_bytes());
        nonce[11] = u8::from(last);
        let tag = self.cipher.encrypt_inout_detached(&nonce.into(), &[], plain.as_mut_slice().into()).expect("short");
        plain.extend_from_slice(&tag);
    }

    /// Where the plaintext of each segment is, and whether it is the last.
    fn cuts(length: usize, empty_last: bool) -> Vec<(Range<usize>, bool)> {
        let mut cuts = Vec::new();
        let mut at = 0;
        while at < length || cuts.is_empty() {
            let end = capacity(cuts.len() + 1).min(length);
            cuts.push((at..end, end == length && !empty_last));
            at = end;
        }
        if empty_last {
            cuts.push((length..length, true));
        }
        cuts
    }

    fn seal(&self, stream: &[u8], empty_last: bool) -> Vec<u8> {
        let mut payload = vec![40];
        payload.extend(self.salt);
        payload.extend([0x33; 7]);
        for (number, (place, last)) in Self::cuts(stream.len(), empty_last).into_iter().enumerate() {
            let mut segment = stream[place].to_vec();
            self.segment(number, last, &mut segment);
            payload.extend(segment);
        }
        payload
    }

    /// Sets the free part of the tar, and of the frames that it is in, to the keystream; gives the keystream.
    fn choose(
        &self,
        tar: &mut [u8],
        frames: &mut [Vec<u8>],
        free: &Range<usize>,
        length: usize,
        empty_last: bool,
    ) -> Vec<u8> {
        let mut keystream = Vec::with_capacity(length);
        for (number, (place, last)) in Self::cuts(length, empty_last).into_iter().enumerate() {
            let mut zeros = vec![0; place.len()];
            self.segment(number, last, &mut zeros);
            keystream.extend_from_slice(&zeros[..place.len()]);
        }
        let mut frame_at = 0;
        for (number, frame) in frames.iter_mut().enumerate() {
            let tar_at = number * SEGMENT;
            let frame_length = frame.len();
            let mut content: Vec<(usize, Range<usize>)> = Vec::new();
            let size = tar.len().min(tar_at + SEGMENT) - tar_at;
            for (block, start) in (0..size).step_by(128 << 10).enumerate() {
                content.push((9 + 3 * (block + 1) + start, start..size.min(start + (128 << 10))));
            }
            for (in_frame, in_tar) in content {
                let from = (tar_at + in_tar.start).max(free.start);
                let to = (tar_at + in_tar.end).min(free.end);
                if from < to {
                    let place = in_frame + from - tar_at - in_tar.start..in_frame + to - tar_at - in_tar.start;
                    let chosen = &keystream[frame_at + place.start..frame_at + place.end];
                    frame[place].copy_from_slice(chosen);
                    tar[from..to].copy_from_slice(chosen);
                }
            }
            frame_at += frame_length;
        }
        keystream
    }
}
