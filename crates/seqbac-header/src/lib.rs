//! What both programs read of a backup without opening it: its plaintext header, the keys and fingerprints that belong
//! to it, and the ids and member paths that it names.
//!
//! No compression, no encryption of content and no I/O beyond reading a header: the small program links this crate.
//!
//! - [`header`]: the plaintext header, its MAC and CRC; [`error`]: everything that can be wrong with a backup
//! - [`key`]: the only code that sees the bytes of a secret key
//! - [`id`]: 16-byte identifiers; [`relpath`]: a path that stays below the storage root

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
