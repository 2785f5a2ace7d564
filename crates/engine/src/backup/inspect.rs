//! The header of a backup, and with its key the manifest and the list of members.

use std::fs::File;

use super::{
    Manifest,
    catalog::{Summary, summary},
    verify::complete,
};
use crate::prelude::*;
use seqbac::{Archive, DigestEntry};

/// The result of `inspect`.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// The same fields as in `list`.
    #[serde(flatten)]
    pub backup: Summary,
    /// Program and version that wrote it.
    pub writer: Option<String>,
    /// `None` without the key.
    pub manifest: Option<Manifest>,
    /// `None` without the key.
    pub members: Option<Vec<Member>>,
}

/// One member.
#[derive(Debug, Serialize)]
pub struct Member {
    /// Path in the archive.
    pub path: RelPath,
    /// Size in bytes.
    pub size: u64,
    /// BLAKE3 hash, as hexadecimal digits.
    pub blake3: String,
    /// Whether the file kept changing while it was captured.
    pub torn: bool,
}

impl From<&DigestEntry> for Member {
    fn from(entry: &DigestEntry) -> Self {
        let DigestEntry { path, size, blake3, torn, .. } = entry.clone();
        Self { path, size, blake3: blake3.to_hex().to_string(), torn }
    }
}

/// Reads the header, and with the key the manifest and the list of members, by random access.
pub fn inspect(file: &Path, key: Option<&SecretKey>) -> Result<Inspection> {
    let writer = volume::backups::header(file)?.writer;
    let backup = summary(file, key)?;
    let Some(key) = key else { return Ok(Inspection { backup, writer, manifest: None, members: None }) };
    let mut archive = open_archive(file, key)?;
    let manifest = archive.manifest().map_err(|error| complete(file, key, error))?;
    let members = archive.members().iter().map(Member::from).collect();
    Ok(Inspection { backup, writer, manifest: Some(Manifest::parse(&manifest)?), members: Some(members) })
}

pub(super) fn open_archive(file: &Path, key: &SecretKey) -> Result<Archive<File>> {
    let open = File::open(file).on("open", file)?;
    Archive::open(open, key).map_err(|error| complete(file, key, error))
}
