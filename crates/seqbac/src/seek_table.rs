//! The seek table of the zstd seekable format: the last frame of the stream, which is skippable and lists the sizes of
//! all frames before it.
//!
//! ```text
//! 0x184D2A5E, length u32, per frame { compressed u32, decompressed u32, [checksum u32] },
//! frames u32, descriptor u8 (bit 7: checksums), 0x8F92EAB1
//! ```

use seqbac_header::header::array;

use super::{Error, Result};

pub(super) const SKIPPABLE: u32 = 0x184D_2A5E;
const MAGIC: u32 = 0x8F92_EAB1;
pub(super) const FOOTER: usize = 9;
pub(super) const HEAD: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    pub compressed: u32,
    pub decompressed: u32,
}

/// Encodes the table, including the header of its skippable frame.
pub(super) fn encode(frames: &[Frame]) -> Result<Vec<u8>> {
    let too_many = || Error::Io(std::io::Error::other("a seek table has at most 2^28 frames"));
    let length = u32::try_from(frames.len() * 8 + FOOTER).map_err(|_| too_many())?;
    let count = u32::try_from(frames.len()).map_err(|_| too_many())?;
    let mut bytes = Vec::with_capacity(HEAD + frames.len() * 8 + FOOTER);
    bytes.extend(SKIPPABLE.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    for frame in frames {
        bytes.extend(frame.compressed.to_le_bytes());
        bytes.extend(frame.decompressed.to_le_bytes());
    }
    bytes.extend(count.to_le_bytes());
    bytes.push(0);
    bytes.extend(MAGIC.to_le_bytes());
    Ok(bytes)
}

/// Length of the whole skippable frame, computed from its last 9 bytes. `None` if they do not end a seek table.
pub(super) fn length(footer: &[u8; FOOTER]) -> Option<u64> {
    let count = u64::from(u32::from_le_bytes(array(&footer[..4])));
    let magic = u32::from_le_bytes(array(&footer[5..]));
    // Bits 2 to 6 are reserved.
    let known = magic == MAGIC && footer[4] & 0x7c == 0;
    known.then(|| (HEAD + FOOTER) as u64 + count * entry(footer[4]))
}

fn entry(descriptor: u8) -> u64 {
    if descriptor & 0x80 == 0 { 8 } else { 12 }
}

/// Decodes the content of the skippable frame, which follows its 8-byte header.
pub(super) fn decode(content: &[u8]) -> Result<Vec<Frame>> {
    let wrong = || Error::mismatch("the seek table is malformed");
    let (entries, footer) = content.split_last_chunk::<FOOTER>().ok_or_else(wrong)?;
    if length(footer) != Some((HEAD + content.len()) as u64) {
        return Err(wrong());
    }
    let size = if footer[4] & 0x80 == 0 { 8 } else { 12 };
    let frame = |entry: &[u8]| Frame {
        compressed: u32::from_le_bytes(array(&entry[..4])),
        decompressed: u32::from_le_bytes(array(&entry[4..8])),
    };
    Ok(entries.chunks_exact(size).map(frame).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_a_round_trip() {
        let frames: Vec<Frame> = (1..4).map(|n| Frame { compressed: n, decompressed: n * 10 }).collect();
        let bytes = encode(&frames).expect("encodes");
        assert_eq!(decode(&bytes[HEAD..]).expect("decodes"), frames);
        let footer = bytes.last_chunk().expect("nine bytes");
        assert_eq!(length(footer), Some(bytes.len() as u64));
        assert!(decode(&bytes[HEAD + 1..]).is_err());
        assert!(decode(&[]).is_err());
    }
}
