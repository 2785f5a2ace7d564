//! Members of a backup taken out of it, into a folder or onto a stream; nothing of the volume is touched.

use std::{
    collections::HashSet,
    io::{self, Write},
    path::Path,
};
use volume::presence;

use super::{
    Counted, Progress,
    manifest::member_of,
    totals::bytes_of_chosen,
    verify::{complete, open_file},
};
use crate::store::{Owners, Stager};
use seqbac_header::{RelPath, SecretKey};
use volume::error::{Code, Error, IoContext, Result};

/// Where members go.
pub enum Output<'a> {
    /// A folder, made if need be.
    Folder(&'a Path),
    /// One after the other, content only.
    Stream(&'a mut dyn Write),
}

impl std::fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// Takes members out: those named, with all below them, or everything. How many there were.
///
/// # Errors
/// `NotFound` for a name that no member has; the format's errors. What was written before one stays.
pub fn extract(
    file: &Path,
    key: &SecretKey,
    names: &[RelPath],
    output: &mut Output,
    progress: &mut dyn Progress,
) -> Result<usize> {
    let mut missing: HashSet<&RelPath> = names.iter().collect();
    let (mut reader, manifest) = open_file(file, key)?;
    let mut stager = match output {
        Output::Folder(folder) => {
            std::fs::create_dir_all(*folder).on("create", folder)?;
            Some(Stager::new(folder, Owners::default())?)
        }
        Output::Stream(_) => None,
    };
    let is_asked = |member: &RelPath| names.is_empty() || names.iter().any(|name| is_named(member, name));
    progress.begin("extracting", bytes_of_chosen(file, key, &manifest, is_asked));
    let mut count = 0;
    while let Some(mut member) = reader.next_member().map_err(|error| complete(file, key, error))? {
        let entry = member.entry().clone();
        let asked: Vec<_> = names.iter().filter(|name| is_named(&entry.path, name)).collect();
        if !names.is_empty() && asked.is_empty() {
            continue;
        }
        for name in asked {
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
    if let Some(stager) = stager {
        stager.finish()?;
    }
    progress.end();
    match missing.into_iter().next() {
        Some(name) => Err(Error::new(Code::NotFound, format!("{} has no member {name}", file.display()))
            .hint("`moorline inspect FILE` lists the members")),
        None => Ok(count),
    }
}

/// What is there already is the person's, and no fault of the backup.
fn refuse_existing(path: &Path) -> Result<()> {
    if !presence::exists(path)? {
        return Ok(());
    }
    Err(Error::usage(format!("{} exists already, and nothing is ever extracted over a file", path.display()))
        .hint("extract into an empty folder"))
}

/// Whether a name that was asked for is this member or a folder above it, as in the archive or as on the volume.
fn is_named(member: &RelPath, name: &RelPath) -> bool {
    is_in(member, name) || is_in(member, &member_of(name))
}

fn is_in(path: &RelPath, folder: &RelPath) -> bool {
    path.as_path().starts_with(folder.as_path())
}
