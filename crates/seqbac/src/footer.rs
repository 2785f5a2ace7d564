//! The footer: 24 plaintext bytes that reveal truncation and bit rot without the key.
//!
//! It is not a proof of integrity, because an attacker who can change the payload can also write a matching footer.

use seqbac_header::header::array;

pub(super) const LENGTH: usize = 24;
const MAGIC: [u8; 8] = *b"SBCEND\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub payload_length: u64,
    pub payload_crc: u32,
}

impl Footer {
    pub fn encode(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.payload_length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..20]);
        bytes[20..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Returns `None` unless all 24 bytes are valid.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let footer = Self {
            payload_length: u64::from_le_bytes(array(bytes.get(8..16)?)),
            payload_crc: u32::from_le_bytes(array(bytes.get(16..20)?)),
        };
        (footer.encode() == bytes).then_some(footer)
    }

    /// Whether the bytes look like the damaged footer of a payload of this length: at least one of its parts is intact.
    pub fn resembles(bytes: &[u8], payload_length: u64) -> bool {
        bytes.len() == LENGTH
            && (bytes[..8] == MAGIC
                || bytes[8..16] == payload_length.to_le_bytes()
                || bytes[20..] == crc32c::crc32c(&bytes[..20]).to_le_bytes())
    }

    /// Offsets in `bytes` of valid footers whose payload length matches their position. `before` is the length of the
    /// payload in front of `bytes`.
    pub fn positions(bytes: &[u8], before: u64) -> impl Iterator<Item = usize> {
        bytes.windows(LENGTH).enumerate().filter_map(move |(at, window)| {
            // Compare the magic first, because this is cheap and rules out nearly all windows.
            let here = window.starts_with(&MAGIC) && Self::decode(window)?.payload_length == before + at as u64;
            here.then_some(at)
        })
    }
}
