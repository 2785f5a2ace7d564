//! Tink segments: their positions, encryption and decryption.
//!
//! ```text
//! payload = 0x28 ‖ salt (32) ‖ nonce prefix (7) ‖ segment 0 ‖ segment 1 ‖ …
//! segment = AES-256-GCM ciphertext ‖ tag (16), nonce = prefix ‖ u32be(number) ‖ (last ? 1 : 0), no associated data
//! key     = HKDF-SHA256(secret key, salt, info = the header of the file)
//! ```
//! Every segment ends at a multiple of 1 MiB from the start of the payload; the last may be shorter.

use std::ops::Range;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};

use seqbac_header::SecretKey;

/// Length of an encrypted segment, including its tag.
pub(super) const SEGMENT: usize = 1 << 20;
pub(super) const TAG: usize = 16;
/// Length of Tink's header in front of the first segment.
pub(super) const PREAMBLE: usize = 40;
const PREAMBLE_LENGTH: u8 = 40;

#[derive(Clone, Copy)]
pub(super) struct Preamble {
    pub salt: [u8; 32],
    pub prefix: [u8; 7],
}

impl Preamble {
    pub fn random() -> std::io::Result<Self> {
        let mut new = Self { salt: [0; 32], prefix: [0; 7] };
        getrandom::fill(&mut new.salt)
            .and_then(|()| getrandom::fill(&mut new.prefix))
            .map_err(std::io::Error::other)?;
        Ok(new)
    }

    pub fn encode(&self) -> [u8; PREAMBLE] {
        let mut bytes = [PREAMBLE_LENGTH; PREAMBLE];
        bytes[1..33].copy_from_slice(&self.salt);
        bytes[33..].copy_from_slice(&self.prefix);
        bytes
    }

    /// Returns `None` if the bytes do not begin like Tink's header.
    pub fn decode(bytes: &[u8; PREAMBLE]) -> Option<Self> {
        let mut this = Self { salt: [0; 32], prefix: [0; 7] };
        this.salt.copy_from_slice(&bytes[1..33]);
        this.prefix.copy_from_slice(&bytes[33..]);
        (bytes[0] == PREAMBLE_LENGTH).then_some(this)
    }
}

/// The cipher of one file. The key is wiped when the cipher is dropped.
#[derive(Clone)]
pub(super) struct Cipher {
    cipher: Aes256Gcm,
    prefix: [u8; 7],
}

impl Cipher {
    pub fn new(key: &SecretKey, header: &[u8], preamble: &Preamble) -> Self {
        let file_key = key.derive(&preamble.salt, header);
        let cipher = Aes256Gcm::new_from_slice(&*file_key).expect("a key of 32 bytes");
        Self { cipher, prefix: preamble.prefix }
    }

    pub fn seal(&self, number: u32, last: bool, buffer: &mut Vec<u8>) {
        let tag = self
            .cipher
            .encrypt_inout_detached(&self.nonce(number, last), &[], buffer.as_mut_slice().into())
            .expect("a segment is far below the limit of AES-GCM");
        buffer.extend_from_slice(&tag);
    }

    /// Verifies the tag, then decrypts in place everything except the tag (the last 16 bytes). If the tag is wrong,
    /// returns `false` and changes nothing.
    pub fn open(&self, number: u32, last: bool, segment: &mut [u8]) -> bool {
        let Some(length) = segment.len().checked_sub(TAG) else { return false };
        let (body, tag) = segment.split_at_mut(length);
        let Ok(tag) = Tag::try_from(&*tag) else { return false };
        self.cipher.decrypt_inout_detached(&self.nonce(number, last), &[], body.into(), &tag).is_ok()
    }

    fn nonce(&self, number: u32, last: bool) -> Nonce<aes_gcm::aead::consts::U12> {
        let mut nonce = [0; 12];
        nonce[..7].copy_from_slice(&self.prefix);
        nonce[7..11].copy_from_slice(&number.to_be_bytes());
        nonce[11] = u8::from(last);
        nonce.into()
    }
}

pub(super) const fn full(number: u32) -> usize {
    if number == 0 { SEGMENT - PREAMBLE } else { SEGMENT }
}

/// Byte range of a full segment in the payload.
pub(super) fn range(number: u32) -> Range<u64> {
    let start = u64::from(number) * SEGMENT as u64;
    let first = if number == 0 { PREAMBLE as u64 } else { 0 };
    start + first..start + SEGMENT as u64
}

/// Byte range of a full segment's plaintext in the plaintext of the payload.
pub(super) fn plain_range(number: u32) -> Range<u64> {
    let overhead = |segments: u64| segments * TAG as u64 + PREAMBLE as u64;
    let sealed = range(number);
    let start = sealed.start - overhead(u64::from(number));
    start..sealed.end - overhead(u64::from(number) + 1)
}

/// Number of the segment that contains a byte of the plaintext.
pub(super) fn of_plain(offset: u64) -> u64 {
    (offset + PREAMBLE as u64) / (SEGMENT - TAG) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_consistent() {
        assert_eq!(plain_range(0), 0..(SEGMENT - PREAMBLE - TAG) as u64);
        for number in 0..5 {
            let plain = plain_range(number);
            assert_eq!(of_plain(plain.start), u64::from(number));
            assert_eq!(of_plain(plain.end - 1), u64::from(number));
            assert_eq!(plain.end, plain_range(number + 1).start);
            assert_eq!(plain.end - plain.start + TAG as u64, full(number) as u64);
        }
    }
}
