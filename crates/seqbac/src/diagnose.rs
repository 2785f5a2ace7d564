//! What can be said about a backup without its key, and what more can be said about an error with it.

use std::io::{Read, Seek};

use super::{
    Archive, Damage, Error, Header, Result,
    footer::{self, Footer},
};
use seqbac_header::SecretKey;

const BUFFER: usize = 256 << 10;

/// What was found about a file without its key.
#[derive(Debug, Clone)]
pub struct Scrubbed {
    /// Its header. Without the key it is not authenticated.
    pub header: Header,
    /// Length of the file.
    pub bytes: u64,
}

/// Checks the checksums of header and payload, which needs no key. It finds rot and truncation; it proves nothing
/// against somebody who can correct a checksum.
///
/// # Errors
/// `NotABackup`, `UnsupportedVersion`, `HeaderCorrupt`, `Truncated` where there is no footer, `Corrupt` where footer or
/// payload do not fit each other, `TrailingData` where the payload is longer than the footer says, `Io`.
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

/// Length and checksum of all but the last 24 bytes, and those.
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

/// Adds to a `Corrupt` whether it is rot or tampering, and which members are hit. Any other error, and what cannot be
/// found out, stays as it is.
pub fn diagnose(file: &mut (impl Read + Seek), key: &SecretKey, error: Error) -> Error {
    let Error::Corrupt { segment, bytes, members, damage } = error else { return error };
    let damage = damage.or_else(|| how(file));
    let known = members.is_some();
    let found = segment.filter(|_| !known).and_then(|number| {
        let archive = Archive::open_indexed(&mut *file, key).ok().flatten()?;
        archive.members_in(number)
    });
    Error::Corrupt { segment, bytes, members: members.or(found), damage }
}

fn how(file: &mut (impl Read + Seek)) -> Option<Damage> {
    file.rewind().ok()?;
    match scrub(file) {
        Ok(_) => Some(Damage::Tampering),
        // The footer is whole, and the payload is not what it says.
        Err(Error::Corrupt { .. }) => Some(Damage::Rot),
        Err(_) => None,
    }
}
