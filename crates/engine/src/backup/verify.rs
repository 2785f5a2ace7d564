//! Verifies a backup: every segment's authentication tag and every member's digest, and in full also every database.

use std::fs::File;

use super::{
    Assessment, Counted, Manifest, Progress,
    manifest::{member_of, state_of},
    progress::bytes_of_members,
};
use crate::{prelude::*, store::check_image};
use seqbac::{Doubt, Options, Reader, Verified};
use volume::backups::named;

/// The result of a verification.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Number of members.
    pub members: usize,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Faults of the databases: the ones in the manifest and, in full, the new ones.
    pub findings: Vec<Finding>,
    /// Files that kept changing while they were captured.
    pub torn: Vec<RelPath>,
    /// Paths that were removed or replaced while the backup was taken.
    pub doubts: Vec<Doubt>,
    /// Irregularities that do not affect the content.
    pub warnings: Vec<String>,
    /// Whether it can be relied on, also by what this verification found.
    #[serde(skip)]
    pub assessed: Assessment,
}

/// One fault of one database.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// Path of the database.
    pub path: RelPath,
    /// Message of the check.
    pub finding: String,
}

/// Opens a backup and authenticates its header. Errors contain the file's name.
pub(crate) fn open_file(file: &Path, key: &SecretKey) -> Result<(Reader<File>, Manifest)> {
    let reader = Reader::open(volume::backups::open(file)?, key, Options::default().threads)
        .map_err(|error| complete(file, key, error))?;
    let manifest = Manifest::parse(reader.manifest()).map_err(|error| error.context(file.display()))?;
    Ok((reader, manifest))
}

/// Reads a backup to its end and discards the content. Errors contain the file's name.
pub(crate) fn read_whole(file: &Path, key: &SecretKey, progress: &mut dyn Progress) -> Result<(Manifest, Verified)> {
    let (mut reader, manifest) = open_file(file, key)?;
    progress.begin("reading back", bytes_of_members(file, key, &manifest));
    while let Some(mut member) = reader.next_member().map_err(|error| complete(file, key, error))? {
        // In large pieces, which are hashed faster.
        let mut sink = io::BufWriter::with_capacity(256 << 10, io::sink());
        io::copy(&mut Counted { inner: &mut member, progress }, &mut sink)
            .map_err(|cause| complete(file, key, seqbac::Error::from_io(cause)))?;
    }
    let verified = reader.finish().map_err(|error| complete(file, key, error))?;
    progress.end();
    Ok((manifest, verified))
}

/// Verifies a backup, on a volume or without one. In full, this also checks each database, which needs as much temporary space as the largest one.
pub fn verify(
    volume: Option<&Volume>,
    file: &Path,
    key: &SecretKey,
    full: bool,
    progress: &mut dyn Progress,
) -> Result<Report> {
    let (manifest, verified) = read_whole(file, key, progress)?;
    let recorded = manifest.databases.iter().flat_map(|database| {
        database.findings.iter().map(|finding| Finding { path: database.path.clone(), finding: finding.clone() })
    });
    let mut findings: Vec<Finding> = recorded.collect();
    if full {
        findings.extend(check_images(volume, file, key, &manifest, progress)?);
    }
    let mut assessed = Assessment::of(&manifest, &verified.members, &verified.doubts);
    assessed.add_faults(findings.iter().map(|found| (found.path.clone(), found.finding.clone())));
    let torn = verified.members.iter().filter(|member| member.torn);
    Ok(Report {
        members: verified.members.len(),
        bytes: verified.bytes,
        findings,
        torn: torn.filter_map(|member| state_of(&member.path)).collect(),
        doubts: verified.doubts,
        warnings: verified.warnings,
        assessed,
    })
}

fn check_images(
    volume: Option<&Volume>,
    file: &Path,
    key: &SecretKey,
    manifest: &Manifest,
    progress: &mut dyn Progress,
) -> Result<Vec<Finding>> {
    // A volume that moorline has not used has no spool, and an image of nothing but a server no temporary folder.
    let beside = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let in_spool = volume.and_then(|volume| tempfile::tempdir_in(volume.spool()).ok());
    let folder = in_spool.map_or_else(tempfile::tempdir, Ok).or_else(|_| tempfile::tempdir_in(beside));
    let folder = folder.on("create a folder in", beside)?;
    let mut findings = Vec::new();
    let (mut reader, _) = open_file(file, key)?;
    progress.begin("checking databases", manifest.databases.iter().map(|database| database.bytes).sum());
    while let Some(mut member) = reader.next_member().map_err(|error| complete(file, key, error))? {
        let path = member.entry().path.clone();
        let Some(facts) = manifest.databases.iter().find(|database| member_of(&database.path) == path) else {
            continue;
        };
        let image = folder.path().join("image.db");
        let mut out = File::create(&image).on("create", &image)?;
        io::copy(&mut Counted { inner: &mut member, progress }, &mut out)
            .map_err(|cause| complete(file, key, seqbac::Error::from_io(cause)))?;
        drop(out);
        let found = check_image(&image, facts)?;
        findings.extend(found.into_iter().map(|finding| Finding { path: facts.path.clone(), finding }));
        fs::remove_file(&image).on("remove", &image)?;
    }
    progress.end();
    Ok(findings)
}

/// Completes an error by reading the rest of the file, which shows whether the backup is damaged or was tampered with,
/// and which members are affected.
pub(crate) fn complete(file: &Path, key: &SecretKey, error: seqbac::Error) -> volume::error::Error {
    let error = match File::open(file) {
        Ok(mut open) => seqbac::diagnose(&mut open, key, error),
        Err(_) => error,
    };
    named(file, error)
}
