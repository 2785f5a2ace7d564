//! The `.seqbac` file format, and nothing about what is in a backup. `docs/seqbac.md` is its specification.
//!
//! ```text
//! file    = header ‖ payload ‖ footer
//! payload = Tink AES256_GCM_HKDF_1MB ( zstd frames, seek table ( PAX tar ) )
//! tar     = manifest.json, members in the order captured, digest.json
//! ```
//!
//! [`Writer`] makes a backup on anything that can be written to, a pipe included. [`Reader`] reads one from start to
//! end and checks all of it. [`Archive`] reads single members of a file that can seek. [`TarStream`] is the layer
//! below `Reader`: the bytes of the tar. [`scrub`] needs no key; [`diagnose`] says more about an [`Error`].
//!
//! Invariant: no byte of a segment leaves this module before the segment's tag was checked under the key. A digest is
//! checked when the whole member has been read, and that nothing is missing only at the end ([`Reader::finish`]): what
//! was read before that is genuine, but may not be all.
//!
//! QuarantineRecord is a function of the number of threads, plus 8 bytes a frame and about 100 bytes and its path a member.

mod archive;
mod compress;
mod decompress;
mod diagnose;
mod digest;
mod footer;
mod frame;
#[cfg(test)]
mod fuzz;
mod member;
mod pool;
mod reader;
mod seal;
mod seek_table;
mod segment;
mod slice;
mod tar_header;
mod tar_stream;
mod unseal;
mod writer;

pub use self::{
    archive::{Archive, ArchivedMember},
    diagnose::{Scrubbed, diagnose, scrub},
    digest::DigestEntry,
    member::{Entry, Kind},
    reader::{Member, Reader, Verified},
    tar_stream::{End, TarStream},
    writer::{Options, Summary, Writer},
};

pub use seqbac_header::{Damage, Error, Header, HeaderFields, MAGIC, Result};

/// Name of the first member of every backup.
pub const MANIFEST: &str = "manifest.json";

/// Name of the last member of every backup.
pub const DIGEST: &str = "digest.json";

/// How much of the tar one zstd frame of ours holds.
const FRAME: usize = 1 << 20;

/// What `manifest.json` and `digest.json` may be at most: they are held in memory.
const LARGEST_JSON: u64 = 256 << 20;

/// Zero means: as many as there are processors, but not more than four.
fn threads(wanted: usize) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(4),
        wanted => wanted,
    }
}
