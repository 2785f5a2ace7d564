//! Checks a backup without its key ([`scrub`]), and adds cause and affected members to an error ([`diagnose`]).

use std::io::{Read, Seek};

use super::{
    Archive, Damage, Error, Header, Result,
    footer::{self, Footer},
};
use seqbac_header::SecretKey;

const BUFFER: usize = 256 << 10;

/// The result of [`scrub`].
#[derive(Debug, Clone)]
pub struct Scrubbed {
    /// The header, not authenticated.
    pub header: Header,
    /// Length of the file in bytes.
    pub bytes: u64,
}

/// Checks the checksums of header and payload without the key. It detects bit rot and truncation, but not tampering,
/// because an attacker can recompute a checksum.
///
/// - `NotABackup`, `UnsupportedVersion`, `HeaderCorrupt`, `Io`
/// - `Truncated` if the footer is missing
/// - `Corrupt` if the footer does not match the payload
/// - `TrailingData` if the payload is longer than the footer says
pub fn scrub(mut file: impl Read) -> Result<Scrubbed> {
    let header = Header::read(&mut file)?;
    let start = header.length();
    let (body, crc, tail) = checksum(&mut file)?;
    let bytes = start + body + tail.len() as u64;
    let corrupt = || Error::Corrupt { segment: None, bytes: start..start + body, members: None, damage: None };
    match Footer::decode(&tail) {
        Some(footer) if footer == (Footer { payload_length: body, payload_crc: crc }) => Ok(Scrubbed { header, bytes }),
        Some(footer) if footer.payload_length < body => Err(Error::TrailingData { end: start + footer.payload_length }),
        Some(footer) if footer.payload_length == body => Err(corrupt()),
        None if Footer::resembles(&tail, body) => Err(corrupt()),
        _ => Err(Error::Truncated { last_good_segment: None, length: bytes }),
    }
}

/// Returns length and checksum of everything except the last 24 bytes, and these bytes.
fn checksum(file: &mut impl Read) -> Result<(u64, u32, Vec<u8>)> {
    let (mut length, mut crc, mut held) = (0, 0, Vec::with_capacity(BUFFER + footer::LENGTH));
    loop {
        let got = file.by_ref().take(BUFFER as u64).read_to_end(&mut held).map_err(Error::from_io)?;
        if got == 0 {
            return Ok((length, crc, held));
        }
        let body = held.len().saturating_sub(footer::LENGTH);
        crc = crc32c::crc32c_append(crc, &held[..body]);
        length += body as u64;
        held.drain(..body);
    }
}

/// Adds the cause (rot or tampering) and the affected members to an `Error::Corrupt`, as far as they can be determined.
/// Any other error is returned unchanged.
pub fn diagnose(file: &mut (impl Read + Seek), key: &SecretKey, error: Error) -> Error {
    let Error::Corrupt { segment, bytes, members, damage } = error else { return error };
    let damage = damage.or_else(|| cause(file));
    let known = members.is_some();
    let found = segment.filter(|_| !known).and_then(|number| {
        let archive = Archive::open_indexed(&mut *file, key).ok().flatten()?;
        archive.members_in(number)
    });
    Error::Corrupt { segment, bytes, members: members.or(found), damage }
}

fn cause(file: &mut (impl Read + Seek)) -> Option<Damage> {
    file.rewind().ok()?;
    match scrub(file) {
        Ok(_) => Some(Damage::Tampering),
        // The footer is valid, but the payload's checksum differs.
        Err(Error::Corrupt { .. }) => Some(Damage::Rot),
        Err(_) => None,
    }
}
