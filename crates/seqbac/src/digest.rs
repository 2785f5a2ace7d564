//! `digest.json`, the last member: the path, size, BLAKE3 hash and tar offset of every other member.
//!
//! It proves that a backup is complete, because the writer adds it last.

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use seqbac_header::RelPath;

/// A member's entry in the digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestEntry {
    /// Relative to the storage root.
    pub path: RelPath,
    /// Length of the content in bytes; 0 for directories and links.
    pub size: u64,
    /// Hash of the content.
    pub blake3: blake3::Hash,
    /// Offset in the tar of the member's header, or of its extended header if it has one.
    pub offset: u64,
    /// The member changed while it was captured.
    pub torn: bool,
}

/// Why a backup may be inconsistent, although it is complete: what its writer noticed after the manifest was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Relative to the storage root.
    pub path: RelPath,
    /// What happened to the path.
    pub what: String,
}

#[derive(Serialize, Deserialize)]
struct Digest {
    complete: bool,
    members: Vec<Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    doubts: Vec<Doubt>,
}

/// The content of a digest with usable offsets.
pub(super) struct Indexed {
    pub members: Vec<DigestEntry>,
    pub doubts: Vec<Doubt>,
}

/// A member in the JSON. Without an offset, the member can only be read in sequence.
#[derive(Serialize, Deserialize)]
struct Listed {
    path: RelPath,
    size: u64,
    blake3: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    torn: bool,
}

impl From<&DigestEntry> for Listed {
    fn from(entry: &DigestEntry) -> Self {
        Self {
            path: entry.path.clone(),
            size: entry.size,
            blake3: entry.blake3.to_hex().to_string(),
            offset: Some(entry.offset),
            torn: entry.torn,
        }
    }
}

impl Listed {
    fn hash(&self) -> Result<blake3::Hash> {
        let wrong = |_| Error::mismatch(format!("digest.json has no valid BLAKE3 hash for {}", self.path));
        blake3::Hash::from_hex(&self.blake3).map_err(wrong)
    }
}

pub(super) fn encode(members: &[DigestEntry], doubts: Vec<Doubt>) -> Result<Vec<u8>> {
    let digest = Digest { complete: true, members: members.iter().map(Listed::from).collect(), doubts };
    serde_json::to_vec(&digest).map_err(|cause| Error::Io(cause.into()))
}

fn decode(json: &[u8]) -> Result<Digest> {
    let digest: Digest =
        serde_json::from_slice(json).map_err(|cause| Error::mismatch(format!("digest.json is malformed: {cause}")))?;
    if digest.complete { Ok(digest) } else { Err(Error::Incomplete) }
}

/// Returns the members of a digest, if all have offsets and the offsets increase.
pub(super) fn indexed(json: &[u8]) -> Result<Option<Indexed>> {
    let mut members: Vec<DigestEntry> = Vec::new();
    let digest = decode(json)?;
    for listed in digest.members {
        let Some(offset) = listed.offset else { return Ok(None) };
        if members.last().is_some_and(|before| before.offset >= offset) {
            return Ok(None);
        }
        let blake3 = listed.hash()?;
        members.push(DigestEntry { path: listed.path, size: listed.size, blake3, offset, torn: listed.torn });
    }
    Ok(Some(Indexed { members, doubts: digest.doubts }))
}

/// Compares a digest with the members that were read, and copies the `torn` marks to them. Returns the doubts.
pub(super) fn check(json: &[u8], seen: &mut [DigestEntry]) -> Result<Vec<Doubt>> {
    let Digest { members: listed, doubts, .. } = decode(json)?;
    if listed.len() != seen.len() {
        let what = format!("digest.json lists {} members, the tar has {}", listed.len(), seen.len());
        return Err(Error::mismatch(what));
    }
    for (listed, seen) in listed.iter().zip(seen) {
        if listed.path != seen.path {
            let what = format!("digest.json lists {} where the tar has {}", listed.path, seen.path);
            return Err(Error::mismatch(what));
        }
        let offset = listed.offset.unwrap_or(seen.offset);
        if (listed.size, listed.hash()?, offset) != (seen.size, seen.blake3, seen.offset) {
            return Err(Error::mismatch(format!("{} does not match digest.json", seen.path)));
        }
        seen.torn = listed.torn;
    }
    Ok(doubts)
}
