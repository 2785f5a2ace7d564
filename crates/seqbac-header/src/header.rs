//! The header of a backup: plaintext, but authenticated. It identifies the backup and its key without the key.
//!
//! ```text
//!  0  8 magic      8  1 major  9 1 minor   10 2 flags      12 4 length of the header
//! 16  1 suite     17  1 compression        18 2 reserved   20 8 created (Unix ms)
//! 28 16 id        44 16 key fingerprint    60 … TLVs       … 32 HMAC-SHA256   … 4 CRC-32C
//! ```
//! All numbers are little-endian.

use std::io::Read;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::{Error, Result};
use crate::{Fingerprint, Id, SecretKey};

/// The first eight bytes of every backup. They reveal a copy that changed line endings or cleared the eighth bit.
pub const MAGIC: [u8; 8] = *b"\x89SBC\r\n\x1a\n";

const MAJOR: u8 = 1;
/// 1: `digest.json` may contain `doubts`. 2: members may have extended attributes.
const MINOR: u8 = 2;
const SUITE: u8 = 1;
const COMPRESSION: u8 = 1;
const FIXED: usize = 60;
const MAC: usize = 32;
const CRC: usize = 4;
const SHORTEST: usize = FIXED + MAC + CRC;
const LONGEST: usize = 4096;
/// CRC-32C (RFC 3720).
static CASTAGNOLI: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

const CRITICAL_FLAGS: u16 = 0x00ff;
const CRITICAL_TLV: u16 = 0x8000;
const WRITER: u16 = 1;
const INSTANCE: u16 = 2;

/// The plaintext fields of a new backup.
#[derive(Debug, Clone)]
pub struct HeaderFields {
    /// Start of the backup, stored in milliseconds.
    pub created: Timestamp,
    /// ID of the backup. It must be random, because it salts the MAC key and must not repeat under one secret key.
    pub id: Id,
    /// The instance that took the backup.
    pub instance: Option<Id>,
    /// Name and version of the writing program, clipped to 1 KiB.
    pub writer: String,
}

/// The header of a backup. Trust its fields only after [`Header::authenticate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Start of the backup, in milliseconds.
    pub created: Timestamp,
    /// ID of the backup.
    pub id: Id,
    /// Fingerprint of the secret key that sealed the backup.
    pub key_fingerprint: Fingerprint,
    /// Minor version of the format.
    pub minor: u8,
    /// Name and version of the writing program.
    pub writer: Option<String>,
    /// The instance that took the backup.
    pub instance: Option<Id>,
    /// All bytes of the header, including MAC and CRC. The payload's key is derived from them.
    pub raw: Vec<u8>,
}

impl Header {
    /// Builds and authenticates the header of a new backup.
    pub fn build(fields: HeaderFields, key: &SecretKey) -> Self {
        let created = fields.created.as_millisecond();
        let fingerprint = key.fingerprint();
        let writer = clipped(&fields.writer);
        let mut tlvs = Vec::new();
        put_tlv(&mut tlvs, WRITER, writer.as_bytes());
        if let Some(instance) = fields.instance {
            put_tlv(&mut tlvs, INSTANCE, &instance.0);
        }
        let length = u32::try_from(SHORTEST + tlvs.len()).expect("TLVs of at most 1 KiB");
        let mut raw = Vec::with_capacity(SHORTEST + tlvs.len());
        raw.extend(MAGIC);
        raw.extend([MAJOR, MINOR, 0, 0]);
        raw.extend(length.to_le_bytes());
        raw.extend([SUITE, COMPRESSION, 0, 0]);
        raw.extend(created.to_le_bytes());
        raw.extend(fields.id.0);
        raw.extend(fingerprint.0);
        raw.extend(tlvs);
        raw.extend(mac(key, fields.id, &raw).finalize().into_bytes());
        raw.extend(CASTAGNOLI.checksum(&raw).to_le_bytes());
        Self {
            created: Timestamp::from_millisecond(created).unwrap_or(Timestamp::UNIX_EPOCH),
            id: fields.id,
            key_fingerprint: fingerprint,
            minor: MINOR,
            writer: Some(writer.to_owned()),
            instance: fields.instance,
            raw,
        }
    }

    /// Reads a header and leaves `source` at the first byte of the payload. It needs no key. It checks magic, version,
    /// checksum, suite, flags and TLVs, in this order.
    ///
    /// # Errors
    /// `NotABackup`, `UnsupportedVersion`, `HeaderCorrupt`, `Truncated`, `Io`.
    pub fn read(source: &mut impl Read) -> Result<Self> {
        let mut raw = Vec::with_capacity(256);
        read_up_to(source, &mut raw, MAGIC.len())?;
        if !MAGIC.starts_with(&raw) {
            return Err(Error::NotABackup);
        }
        read_up_to(source, &mut raw, 16)?;
        if let Some(&major) = raw.get(8).filter(|major| **major != MAJOR) {
            return Err(Error::UnsupportedVersion { what: format!("version {major}, not {MAJOR}") });
        }
        let Some(length) = u32_at(&raw, 12) else { return Err(cut(&raw)) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(corrupt(format!("its length is {length} bytes")));
        }
        read_up_to(source, &mut raw, length)?;
        if raw.len() < length {
            return Err(cut(&raw));
        }
        Self::parse(raw)
    }

    /// The checks that need the whole header.
    fn parse(raw: Vec<u8>) -> Result<Self> {
        let (body, crc) = raw.split_at(raw.len() - CRC);
        if CASTAGNOLI.checksum(body).to_le_bytes() != crc {
            return Err(corrupt("its checksum is wrong"));
        }
        if (raw[16], raw[17]) != (SUITE, COMPRESSION) {
            return Err(Error::UnsupportedVersion { what: format!("suite {}, compression {}", raw[16], raw[17]) });
        }
        let flags = u16::from_le_bytes([raw[10], raw[11]]) & CRITICAL_FLAGS;
        if flags != 0 {
            return Err(Error::UnsupportedVersion { what: format!("critical flags {flags:#04x}") });
        }
        let created = i64::from_le_bytes(array(&raw[20..28]));
        let mut header = Self {
            created: Timestamp::from_millisecond(created).map_err(|_| corrupt("a time out of range"))?,
            id: Id(array(&raw[28..44])),
            key_fingerprint: Id(array(&raw[44..60])),
            minor: raw[9],
            writer: None,
            instance: None,
            raw: Vec::new(),
        };
        header.parse_tlvs(&raw[FIXED..raw.len() - MAC - CRC])?;
        header.raw = raw;
        Ok(header)
    }

    fn parse_tlvs(&mut self, mut rest: &[u8]) -> Result<()> {
        while !rest.is_empty() {
            let wrong = || corrupt("a field extends beyond its end");
            let (head, tail) = rest.split_at_checked(4).ok_or_else(wrong)?;
            let kind = u16::from_le_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let (value, tail) = tail.split_at_checked(length).ok_or_else(wrong)?;
            self.take_tlv(kind, value)?;
            rest = tail;
        }
        Ok(())
    }

    fn take_tlv(&mut self, kind: u16, value: &[u8]) -> Result<()> {
        match kind {
            WRITER if self.writer.is_some() => Err(corrupt("it contains the writer's version twice")),
            WRITER => {
                let text = str::from_utf8(value).map_err(|_| corrupt("the writer's version is not UTF-8"))?;
                self.writer = Some(text.to_owned());
                Ok(())
            }
            INSTANCE if self.instance.is_some() => Err(corrupt("it contains the instance id twice")),
            INSTANCE => {
                let id = value.try_into().map_err(|_| corrupt("the instance id is not 16 bytes long"))?;
                self.instance = Some(Id(id));
                Ok(())
            }
            kind if kind & CRITICAL_TLV != 0 => {
                Err(Error::UnsupportedVersion { what: format!("critical field {kind:#06x}") })
            }
            _ => Ok(()),
        }
    }

    /// Checks that this key sealed the backup and that the header is unchanged.
    ///
    /// # Errors
    /// `WrongKey` or `HeaderTampered`. If the fingerprints differ, the MAC is also checked with the key's own
    /// fingerprint in the header. If it matches, the error is `HeaderTampered`, because the header was edited to make
    /// the correct key look wrong.
    pub fn authenticate(&self, key: &SecretKey) -> Result<()> {
        let fingerprint = key.fingerprint();
        let (body, tag) = self.raw[..self.raw.len() - CRC].split_at(self.raw.len() - CRC - MAC);
        let fits = |body: &[u8]| mac(key, self.id, body).verify_slice(tag).is_ok();
        if self.key_fingerprint == fingerprint {
            return if fits(body) { Ok(()) } else { Err(Error::HeaderTampered) };
        }
        let mut with_ours = body.to_vec();
        with_ours[44..60].copy_from_slice(&fingerprint.0);
        if fits(&with_ours) {
            return Err(Error::HeaderTampered);
        }
        Err(Error::WrongKey { file: self.key_fingerprint, key: fingerprint })
    }

    /// Length in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.raw.len() as u64
    }
}

fn mac(key: &SecretKey, id: Id, body: &[u8]) -> Hmac<Sha256> {
    let mac_key = key.derive(&id.0, b"seqbac/v1/header-mac");
    let mut mac = Hmac::<Sha256>::new_from_slice(&*mac_key).expect("HMAC takes a key of any length");
    mac.update(body);
    mac
}

/// At most 1 KiB, so that the header stays below its limit.
fn clipped(writer: &str) -> &str {
    let end = (0..=writer.len().min(1024)).rev().find(|end| writer.is_char_boundary(*end));
    &writer[..end.unwrap_or(0)]
}

fn put_tlv(tlvs: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("at most 1 KiB");
    tlvs.extend(kind.to_le_bytes());
    tlvs.extend(length.to_le_bytes());
    tlvs.extend(value);
}

fn read_up_to(source: &mut impl Read, raw: &mut Vec<u8>, length: usize) -> Result<()> {
    let missing = length.saturating_sub(raw.len()) as u64;
    source.take(missing).read_to_end(raw).map_err(Error::from_io)?;
    Ok(())
}

fn u32_at(raw: &[u8], at: usize) -> Option<u32> {
    raw.get(at..at + 4).map(|bytes| u32::from_le_bytes(array(bytes)))
}

/// Copies a slice into an array. Panics if the lengths differ.
pub fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::HeaderCorrupt { what: what.into() }
}

fn cut(raw: &[u8]) -> Error {
    Error::Truncated { last_good_segment: None, length: raw.len() as u64 }
}
