//! Reads and writes the `.seqbac` file format. `docs/seqbac.md` is the specification. This crate does not know what a
//! backup contains: selecting, capturing and restoring members belong to `engine`.
//!
//! ```text
//! file    = header ‖ payload ‖ footer
//! payload = Tink AES256_GCM_HKDF_1MB ( zstd frames, seek table ( PAX tar ) )
//! tar     = manifest.json, members in the order captured, digest.json
//! ```
//!
//! Invariant: no byte of a segment leaves this crate before the segment's tag was verified with the key. The digest of
//! a member is verified when the whole member has been read, and completeness only at the end ([`Reader::finish`]). All
//! data before that is authentic but possibly incomplete.
//!
//! Memory use depends on the number of threads, plus 8 bytes per frame, and per member about 100 bytes and its path.
//!
//! Public API:
//! - `lib.rs` (this file): re-exports, names and limits of the format
//! - `writer.rs`: [`Writer`] writes a backup in one pass, also to a pipe
//! - `reader.rs`: [`Reader`] reads a backup from start to end and verifies all of it
//! - `archive.rs`: [`Archive`] reads single members of a seekable backup through the index at its end
//! - `tar_stream.rs`: [`TarStream`], the layer below `Reader`: the verified bytes of the tar
//! - `diagnose.rs`: [`scrub`] checks a backup without the key; [`diagnose`] adds cause and affected members to an
//!   [`Error`]
//!
//! Layers, from the outside to the inside (the header is in the crate `seqbac-header`):
//! - `footer.rs`: the plaintext footer with length and checksum of the payload
//! - `segment.rs`: encryption and positions of segments; `seal.rs`: splits a stream into segments; `unseal.rs`: opens
//!   segments in sequence and finds the end; `slice.rs`: opens the segments of a range of a seekable file
//! - `frame.rs`: parses zstd frame headers; `compress.rs`, `decompress.rs`: the tar as zstd frames, in parallel;
//!   `pool.rs`: the threads for that; `seek_table.rs`: the table of frame sizes at the end
//! - `tar_header.rs`: the headers of tar members; `member.rs`: members and the rules for their names; `digest.rs`:
//!   `digest.json`
//! - `fuzz.rs`: property tests of the parsers

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
    digest::{DigestEntry, Doubt},
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

/// Bytes of the tar in each zstd frame that we write, except the last frame.
const FRAME: usize = 1 << 20;

/// Maximum size of `manifest.json` and of `digest.json` in bytes, because they are held in memory.
const LARGEST_JSON: u64 = 256 << 20;

/// Zero means one thread per processor, but at most four.
fn threads(wanted: usize) -> usize {
    match wanted {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(4),
        wanted => wanted,
    }
}
