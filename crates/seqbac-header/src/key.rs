//! The secret key. No other code sees its bytes.
//!
//! A key is 32 random bytes, written as canonical standard base64. It never encrypts anything itself:
//! [`SecretKey::derive`] derives a key for each purpose. A [`Fingerprint`] identifies a key without revealing it, so it
//! is safe to show. `volume::key` finds the configured key.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{Id, NotAKey};

/// Length of a secret key in bytes.
pub const LENGTH: usize = 32;

/// A secret key. It is wiped from memory when it is dropped. It implements neither `Clone` nor `Display`, so that it
/// cannot be copied or printed by accident.
pub struct SecretKey(Zeroizing<[u8; LENGTH]>);

/// The first 16 bytes of HKDF-SHA256(key, info `seqbac/v1/key-id`).
pub type Fingerprint = Id;

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

impl SecretKey {
    /// A random key from the kernel's random number generator.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// Parses canonical standard base64 (RFC 4648 §4) of exactly 32 bytes. Surrounding whitespace is ignored. Errors
    /// contain `origin` but never the text.
    pub fn parse(text: &str, origin: &str) -> Result<Self, NotAKey> {
        let wrong = |why: &str| NotAKey { origin: origin.to_owned(), reason: why.to_owned() };
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text == "[redacted]" {
            return Err(wrong("moorline redacted it after the script ran; write the key into the script again"));
        }
        let mut decoded = BASE64_STANDARD
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| wrong("it is not canonical standard base64"))?;
        if decoded.len() != LENGTH {
            return Err(wrong(&format!("it has {} bytes, not {LENGTH}", decoded.len())));
        }
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes.copy_from_slice(&decoded);
        decoded.zeroize();
        Ok(Self(bytes))
    }

    /// The key as base64, in memory that is wiped on drop.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_STANDARD.encode(*self.0))
    }

    /// See [`Fingerprint`].
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut bytes = [0; 16];
        self.expand(None, b"seqbac/v1/key-id", &mut bytes);
        Id(bytes)
    }

    /// Derives a key for one purpose: HKDF-SHA256 (RFC 5869) with this salt and info.
    #[must_use]
    pub fn derive(&self, salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.expand(Some(salt), info, &mut *bytes);
        bytes
    }

    fn expand(&self, salt: Option<&[u8]>, info: &[u8], out: &mut [u8]) {
        let filled = Hkdf::<Sha256>::new(salt, &*self.0).expand(info, out);
        assert!(filled.is_ok(), "HKDF-SHA256 returns up to 8160 bytes; we request at most 32");
    }
}

/// Replaces everything that looks like a secret key with `[redacted]`, because a key that was typed in the wrong place
/// would otherwise appear in the error message about it.
#[must_use]
pub fn without_keys(text: &str) -> String {
    /// Base64 of 32 bytes has this many characters, followed by one `=`.
    const CHARACTERS: usize = 43;
    let mut clean = String::with_capacity(text.len());
    for part in text.split_inclusive('=') {
        let body = part.strip_suffix('=').unwrap_or_default();
        let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let run = body.bytes().rev().take_while(is_base64).take(CHARACTERS).count();
        if run == CHARACTERS {
            clean.push_str(&body[..body.len() - CHARACTERS]);
            clean.push_str("[redacted]");
        } else {
            clean.push_str(part);
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";

    #[test]
    fn a_key_survives_a_round_trip_through_text() {
        let key = SecretKey::parse(&format!(" \r\n{KEY}\n"), "a test").expect("a key");
        assert_eq!(*key.to_text(), KEY);
        assert_eq!(key.fingerprint().to_string().len(), 32);
    }

    #[test]
    fn anything_else_is_refused_without_showing_it() {
        let not_canonical = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/5=";
        let url_safe = "8D2RNAbAgmV7ur8nQCLT7PlCWCk-kW488nSg3Narj_4=";
        let inner_space = "8D2RNAbAgmV7ur8nQCLT7PlC WCk+kW488nSg3Narj/4=";
        for text in ["", "x", KEY.trim_end_matches('='), not_canonical, url_safe, inner_space, "AAAA", "[redacted]"] {
            let error = SecretKey::parse(text, "a test").expect_err(text);
            assert!(text.len() < 10 || !error.to_string().contains(text));
        }
    }

    #[test]
    fn a_key_is_redacted_in_any_text() {
        for (text, clean) in [
            (format!("'{KEY}' found"), "'[redacted]' found"),
            (format!("x={KEY}{KEY}=/{KEY}"), "x=[redacted][redacted]=/[redacted]"),
            ("a=b, /data/x=, caf\u{e9}=".to_owned(), "a=b, /data/x=, caf\u{e9}="),
            (format!("\u{e9}{KEY}\u{e9}"), "\u{e9}[redacted]\u{e9}"),
        ] {
            assert_eq!(without_keys(&text), clean);
        }
    }

    #[test]
    fn debug_shows_the_fingerprint_only() {
        let key = SecretKey::parse(KEY, "a test").expect("a key");
        assert_eq!(format!("{key:?}"), format!("SecretKey({})", key.fingerprint()));
    }
}
