//! Small secrets, encrypted with the secret key: passwords and tokens that the console stores for notifications.
//!
//! ```text
//! sealed:v1:<fingerprint of the key, 32 hexadecimal digits>:<base64 of nonce(12) ‖ AES-256-GCM ciphertext ‖ tag(16)>
//! ```
//! The AES key is HKDF-SHA256(secret key, salt none, info `moorline/sealed/v1`). The associated data is the name of the
//! secret, so that one sealed text cannot be substituted for another.

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use crate::prelude::*;

const PREFIX: &str = "sealed:v1:";
const NONCE: usize = 12;

/// Authenticated encryption of short texts.
pub trait Seal {
    /// Encrypts `text`, bound to `name`. Fails if the kernel provides no random numbers.
    fn seal(&self, name: &str, text: &str) -> Result<String>;

    /// Decrypts a text that was sealed under `name`. Fails with `WrongKey` if another key sealed it; `ContentMismatch`
    /// if it is damaged or has another name.
    fn unseal(&self, name: &str, sealed: &str) -> Result<Zeroizing<String>>;
}

impl Seal for SecretKey {
    fn seal(&self, name: &str, text: &str) -> Result<String> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        let sealed = cipher(self)
            .encrypt((&nonce).into(), Payload { msg: text.as_bytes(), aad: name.as_bytes() })
            .map_err(|_| Error::new(Code::Bug, format!("cannot encrypt {name}")))?;
        let body = BASE64_STANDARD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{PREFIX}{}:{body}", self.fingerprint()))
    }

    fn unseal(&self, name: &str, sealed: &str) -> Result<Zeroizing<String>> {
        let damaged = || {
            Error::new(Code::ContentMismatch, format!("the encrypted {name} is damaged"))
                .hint("enter it again in the console")
        };
        let (fingerprint, body) =
            sealed.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':')).ok_or_else(damaged)?;
        let ours = self.fingerprint();
        if fingerprint != ours.to_string() {
            let what = format!("{name} was encrypted with the key {fingerprint}, but the current key is {ours}");
            return Err(Error::new(Code::WrongKey, what).hint("enter it again in the console"));
        }
        let bytes = BASE64_STANDARD.decode(body).map_err(|_| damaged())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>().ok_or_else(damaged)?;
        let text =
            cipher(self).decrypt(nonce.into(), Payload { msg: sealed, aad: name.as_bytes() }).map_err(|_| damaged())?;
        String::from_utf8(text).map(Zeroizing::new).map_err(|_| damaged())
    }
}

fn cipher(key: &SecretKey) -> Aes256Gcm {
    // HKDF gives the same key for no salt and for an empty one (RFC 5869, 2.2).
    Aes256Gcm::new((&*key.derive(&[], b"moorline/sealed/v1")).into())
}

/// The fingerprint of the key that sealed a text; `None` if the text is not sealed.
#[must_use]
pub fn sealed_with(sealed: &str) -> Option<&str> {
    sealed.strip_prefix(PREFIX)?.split_once(':').map(|(fingerprint, _)| fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_with_its_name_and_its_key() {
        let key = SecretKey::generate().expect("a key");
        let sealed = key.seal("a/password", "h\u{e9}llo").expect("sealed");
        assert_eq!(*key.unseal("a/password", &sealed).expect("opens"), "h\u{e9}llo");
        assert_eq!(sealed_with(&sealed), Some(key.fingerprint().to_string().as_str()));
        assert_ne!(sealed, key.seal("a/password", "h\u{e9}llo").expect("sealed"), "a nonce of its own each time");
        assert_eq!(key.unseal("b/password", &sealed).expect_err("another name").code(), Code::ContentMismatch);
        let other = SecretKey::generate().expect("a key");
        assert_eq!(other.unseal("a/password", &sealed).expect_err("another key").code(), Code::WrongKey);
        for damaged in ["", "sealed:v1:", "x", &sealed[..sealed.len() - 4], &sealed.replace("v1:", "v2:")] {
            assert_eq!(key.unseal("a/password", damaged).expect_err(damaged).code(), Code::ContentMismatch);
        }
    }
}
