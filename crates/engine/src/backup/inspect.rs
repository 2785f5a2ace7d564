//! What a backup says of itself: its header to anybody, its manifest and members to whoever has the key.

use std::{fs::File, path::Path};

use serde::Serialize;

use super::{
    Manifest,
    catalog::{Summary, summary},
    verify::complete,
};
use seqbac::{Archive, DigestEntry};
use seqbac_header::{RelPath, SecretKey};
use volume::error::{IoContext, Result};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// What `list` says of it.
    #[serde(flatten)]
    pub backup: Summary,
    /// The version of what wrote it.
    pub writer: Option<String>,
    /// What is in it; with the key only.
    pub manifest: Option<Manifest>,
    /// Its members; with the key only.
    pub members: Option<Vec<Listed>>,
}

/// One member.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its name in the archive.
    pub path: RelPath,
    /// How many bytes it has.
    pub size: u64,
    /// Its BLAKE3.
    pub blake3: String,
    /// Whether it changed each of the times that it was read.
    pub torn: bool,
}

impl From<&DigestEntry> for Listed {
    fn from(entry: &DigestEntry) -> Self {
        let DigestEntry { path, size, blake3, torn, .. } = entry.clone();
        Self { path, size, blake3: blake3.to_hex().to_string(), torn }
    }
}

/// Reads the header, and with the key the manifest and the list of members, by random access.
///
/// # Errors
/// The format's errors, by name, with the file's name.
pub fn inspect(file: &Path, key: Option<&SecretKey>) -> Result<Inspection> {
    let writer = volume::backups::header(file)?.writer;
    let backup = summary(file, key)?;
    let Some(key) = key else { return Ok(Inspection { backup, writer, manifest: None, members: None }) };
    let mut archive = open_archive(file, key)?;
    let manifest = archive.manifest().map_err(|error| complete(file, key, error))?;
    let members = archive.members().iter().map(Listed::from).collect();
    Ok(Inspection { backup, writer, manifest: Some(Manifest::parse(&manifest)?), members: Some(members) })
}

/// A backup opened for random access.
pub(super) fn open_archive(file: &Path, key: &SecretKey) -> Result<Archive<File>> {
    let open = File::open(file).on("open", file)?;
    Archive::open(open, key).map_err(|error| complete(file, key, error))
}
