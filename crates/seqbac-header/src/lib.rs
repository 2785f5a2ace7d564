//! The parts of the `.seqbac` format that both programs need: the plaintext header, keys and fingerprints, ids and
//! paths.
//!
//! It contains no compression, no encryption of content, and no I/O except reading a header, so that PID 1 can link it
//! and stays small. The rest of the format is the crate `seqbac`; `docs/seqbac.md` is the specification.
//!
//! - `lib.rs` (this file): re-exports and the crate's [`Result`]
//! - `header.rs`: reads, writes and authenticates the plaintext header (layout, MAC, CRC)
//! - `error.rs`: all errors of a backup, with their messages and hints
//! - `key.rs`: the secret key (parsing, key derivation, fingerprint), and redaction of keys in texts
//! - `id.rs`: 16-byte identifiers of backups, instances, runs and keys
//! - `relpath.rs`: a relative path that stays below the storage root, and its JSON form

pub mod error;
pub mod header;
pub mod id;
pub mod key;
pub mod relpath;

pub use self::{
    error::{Damage, Error, NotAKey},
    header::{Header, HeaderFields, MAGIC},
    id::{Id, NotAnId},
    key::{Fingerprint, SecretKey, without_keys},
    relpath::RelPath,
};

/// The result of reading a backup.
pub type Result<T> = std::result::Result<T, Error>;
