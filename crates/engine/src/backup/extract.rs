//! Extracts members of a backup into a folder or to a stream. The volume does not change.

use std::{collections::HashSet, io::Write};

use super::{
    Counted, Progress,
    manifest::member_of,
    progress::bytes_of_selected,
    verify::{complete, open_file},
};
use crate::{
    prelude::*,
    store::{Owners, Stager},
};

/// The destination of the members.
pub enum Output<'a> {
    /// A folder, which is created if it does not exist.
    Folder(&'a Path),
    /// A stream that gets the contents, one after the other.
    Stream(&'a mut dyn Write),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// What was extracted.
#[derive(Debug)]
pub struct Extracted {
    /// The number of members.
    pub members: usize,
    /// Warnings for the user.
    pub notes: Vec<String>,
}

/// Extracts the named members with everything below them, or all members if `names` is empty.
/// Members that were written before an error stay. If a name matches no member, the error is `NotFound`.
pub fn extract(
    file: &Path,
    key: &SecretKey,
    names: &[RelPath],
    owners: Owners,
    output: &mut Output,
    progress: &mut dyn Progress,
) -> Result<Extracted> {
    let mut missing: HashSet<&RelPath> = names.iter().collect();
    let (mut reader, manifest) = open_file(file, key)?;
    let mut stager = match output {
        Output::Folder(folder) => {
            std::fs::create_dir_all(*folder).on("create", folder)?;
            Some(Stager::new(folder, owners)?.with_shapes(manifest.shapes(member_of)))
        }
        Output::Stream(_) => None,
    };
    let is_selected = |member: &RelPath| names.is_empty() || names.iter().any(|name| is_named(member, name));
    progress.begin("extracting", bytes_of_selected(file, key, &manifest, is_selected));
    let mut count = 0;
    while let Some(mut member) = reader.next_member().map_err(|error| complete(file, key, error))? {
        let entry = member.entry().clone();
        let matching: Vec<_> = names.iter().filter(|name| is_named(&entry.path, name)).collect();
        if !names.is_empty() && matching.is_empty() {
            continue;
        }
        for name in matching {
            missing.remove(name);
        }
        count += 1;
        let mut content = Counted { inner: &mut member, progress };
        match (&mut stager, &mut *output) {
            (Some(stager), Output::Folder(folder)) => {
                refuse_existing(&entry.path.under(folder))?;
                stager.put(&entry, &mut content)?;
            }
            (_, Output::Stream(out)) => {
                io::copy(&mut content, out).map_err(|cause| complete(file, key, seqbac::Error::from_io(cause)))?;
            }
            (None, Output::Folder(_)) => {}
        }
    }
    reader.finish().map_err(|error| complete(file, key, error))?;
    let notes = stager.map_or_else(|| Ok(Vec::new()), Stager::finish)?;
    progress.end();
    match missing.into_iter().next() {
        Some(name) => Err(Error::new(Code::NotFound, format!("{} has no member {name}", file.display()))
            .hint(format!("list the members with `moorline inspect {}`", file.display()))),
        None => Ok(Extracted { members: count, notes }),
    }
}

/// Checks for an existing file first, because [`Stager::put`] would report it as a fault of the backup.
fn refuse_existing(path: &Path) -> Result<()> {
    if !presence::exists(path)? {
        return Ok(());
    }
    Err(Error::usage(format!("{} exists already, and extract never overwrites a file", path.display()))
        .hint("extract into an empty folder"))
}

/// Whether `name` is this member or a folder above it, as a path in the archive or on the volume.
fn is_named(member: &RelPath, name: &RelPath) -> bool {
    is_in(member, name) || is_in(member, &member_of(name))
}

fn is_in(path: &RelPath, folder: &RelPath) -> bool {
    path.as_path().starts_with(folder.as_path())
}
