//! Parses the headers of zstd frames and blocks (RFC 8878 §3.1): kind, declared size and length.

use seqbac_header::header::array;

use super::{Error, Result, seek_table};

const MAGIC: u32 = 0xFD2F_B528;
/// In bytes. Larger windows are refused, because they would need more memory.
const LARGEST_WINDOW: u64 = 1 << 22;
pub(super) const LONGEST_HEAD: usize = 18;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// `content` is the declared size of the content, `length` is the length of the header.
    Data { content: Option<u64>, length: usize, checksum: bool },
    /// `length` bytes follow the 8-byte header.
    Skippable { length: u32, seek_table: bool },
}

impl Head {
    /// Parses the start of a frame. `bytes` holds [`LONGEST_HEAD`] bytes, or fewer at the end of the stream.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let cut = || Error::mismatch("the zstd stream ends inside a frame");
        let magic = u32::from_le_bytes(array(bytes.get(..4).ok_or_else(cut)?));
        if magic & 0xffff_fff0 == seek_table::SKIPPABLE & 0xffff_fff0 {
            let length = u32::from_le_bytes(array(bytes.get(4..8).ok_or_else(cut)?));
            return Ok(Self::Skippable { length, seek_table: magic == seek_table::SKIPPABLE });
        }
        if magic != MAGIC {
            return Err(Error::mismatch("the payload is not a zstd stream"));
        }
        let descriptor = *bytes.get(4).ok_or_else(cut)?;
        let single = descriptor & 0x20 != 0;
        if descriptor & 0x0b != 0 {
            return Err(Error::mismatch("a zstd frame has a dictionary or a reserved bit"));
        }
        let size_bytes = match descriptor >> 6 {
            0 => usize::from(single),
            1 => 2,
            2 => 4,
            _ => 8,
        };
        let size_at = 5 + usize::from(!single);
        let length = size_at + size_bytes;
        let size = bytes.get(size_at..length).ok_or_else(cut)?;
        let mut wide = [0; 8];
        wide[..size.len()].copy_from_slice(size);
        // RFC 8878 adds 256 to a size of two bytes.
        let offset = if size_bytes == 2 { 256 } else { 0 };
        let content = (size_bytes > 0).then(|| u64::from_le_bytes(wide).saturating_add(offset));
        let window = if single { content.unwrap_or(0) } else { window(bytes[5]) };
        if window > LARGEST_WINDOW {
            return Err(Error::mismatch(format!(
                "a zstd frame has a window of {window} bytes, more than {LARGEST_WINDOW}"
            )));
        }
        Ok(Self::Data { content, length, checksum: descriptor & 4 != 0 })
    }
}

fn window(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// Parses a block header: the number of bytes that follow, and whether the block is the last.
pub(super) fn block(head: [u8; 3]) -> Result<(usize, bool)> {
    let bits = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    let size = (bits >> 3) as usize;
    let stored = match (bits >> 1) & 3 {
        // An RLE block stores one byte.
        1 => 1,
        3 => return Err(Error::mismatch("a zstd block has the reserved type")),
        _ => size,
    };
    Ok((stored, bits & 1 != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_of_our_writer_is_parsed() {
        let frame = zstd::bulk::compress(&[7; 100_000], 3).expect("compresses");
        let head = Head::parse(&frame[..LONGEST_HEAD]).expect("a frame");
        assert!(matches!(head, Head::Data { content: Some(100_000), .. }), "{head:?}");
    }

    #[test]
    fn a_huge_window_is_refused() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x90, 0, 0];
        assert!(Head::parse(&frame).is_err());
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x60, 0, 0];
        assert!(Head::parse(&frame).is_ok());
    }
}
