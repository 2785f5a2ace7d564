//! The backup files of a folder, and what their plaintext headers say: enough to decide whether a start needs a backup.

use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use seqbac_header::Header;

use crate::{
    Instance, Volume,
    error::{Code, Error, IoContext, Result},
    listing, presence,
};

/// The ending of every backup's name.
pub const EXTENSION: &str = "seqbac";

/// How far in the future a backup may claim to have been taken before it is not believed.
const CLOCK_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// Whether a backup claims a time in the future that cannot be believed: its writer's clock is wrong, or ours.
#[must_use]
pub fn is_in_the_future(created: jiff::Timestamp, now: jiff::Timestamp) -> bool {
    created.duration_since(now) > CLOCK_SKEW
}

/// Whether the volume has a backup of this instance that is at most `age` old, as far as the headers say.
///
/// # Errors
/// Where the volume cannot be read.
pub fn has_one_since(
    volume: &Volume,
    instance: Option<&Instance>,
    age: jiff::SignedDuration,
    now: jiff::Timestamp,
) -> Result<bool> {
    volume.refuse_missing_backups()?;
    let instance = instance.map(|instance| instance.id);
    let headers = files(&volume.backups())?.into_iter().filter_map(|file| header(&file).ok());
    // One from a clock that was wrong must not keep the next from being taken for years.
    let ours = headers.filter(|header| header.instance == instance && !is_in_the_future(header.created, now));
    let newest = ours.map(|header| header.created).max();
    Ok(newest.is_some_and(|created| now.duration_since(created) <= age))
}

/// Opens a backup's file.
///
/// # Errors
/// `NotFound` if it does not exist.
pub fn open(file: &Path) -> Result<File> {
    File::open(file).on("open", file).map_err(|error| match presence::entry(file) {
        Ok(None) => error.with_code(Code::NotFound).hint("`moorline list` shows the backups there are"),
        Ok(Some(meta)) if meta.is_symlink() => {
            error.context("the backup is a symbolic link to a file that does not exist")
        }
        _ => error,
    })
}

/// A backup's header, which needs no key.
///
/// # Errors
/// Where the file cannot be read, or its header is damaged or unknown.
pub fn header(file: &Path) -> Result<Header> {
    let mut open = open(file)?;
    Header::read(&mut open).map_err(|error| named(file, error))
}

/// The failure of the format, with the file's name in front.
#[must_use]
pub fn named(file: &Path, error: seqbac_header::Error) -> Error {
    Error::from(error).context(file.display())
}

/// The backups' files in a folder, by name. If `Backups/` itself does not exist, there are none.
///
/// # Errors
/// Where the folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match listing::entries(folder)? {
        Some(entries) => entries,
        // The volume's own folder is created when it is needed. Any other should exist: it may be a mount that is missing.
        None if folder.ends_with("Backups") => Vec::new(),
        None => return Err(Error::io("list", folder, &ErrorKind::NotFound.into())),
    };
    let mut files = Vec::new();
    for entry in entries {
        let hidden = entry.name.as_encoded_bytes().starts_with(b".");
        let path = folder.join(&entry.name);
        if !hidden && path.extension().is_some_and(|extension| extension == EXTENSION) && may_be_backup(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// A link to nothing and a file that cannot be looked at count as backups: whoever opens one gets the reason. If they were
/// left out, an older backup would silently become the newest.
fn may_be_backup(path: &Path) -> bool {
    match presence::target(path) {
        Ok(Some(meta)) => meta.is_file(),
        // Removed since its name was read, unless it is a link.
        Ok(None) => presence::exists(path).unwrap_or(true),
        Err(_) => true,
    }
}
