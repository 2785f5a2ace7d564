//! The backup files of a folder and their plaintext headers, which show whether a start needs a backup.

use std::{
    fs::File,
    io::{BufReader, ErrorKind},
    path::{Path, PathBuf},
};

use seqbac_header::Header;

use crate::{
    BackupRecord, Instance, Volume,
    error::{Code, Error, IoContext, Result},
    listing, lock, presence,
};

/// The extension of backup files.
pub const EXTENSION: &str = "seqbac";

/// Nearly every header is shorter, and is then read with one system call.
const HEADER_BUFFER: usize = 512;

/// How far in the future the time of a backup may be. Clocks differ a little between hosts.
const CLOCK_SKEW: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// Whether a backup's time is so far in the future that its writer's clock, or ours, must be wrong.
#[must_use]
pub fn is_in_the_future(created: jiff::Timestamp, now: jiff::Timestamp) -> bool {
    created.duration_since(now) > CLOCK_SKEW
}

/// The times of the newest backups of an instance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newest {
    /// Of all backups, except those in a shared folder that another volume has taken.
    pub any: Option<jiff::Timestamp>,
    /// Of the scheduled ones.
    pub scheduled: Option<jiff::Timestamp>,
}

/// The newest backups of this instance on the volume, according to names and headers.
pub fn newest(volume: &Volume, instance: Option<&Instance>, now: jiff::Timestamp) -> Result<Newest> {
    let folder = volume.available_backups()?;
    let instance = instance.map(|instance| instance.id);
    let files = files(&folder)?;
    // `Backups/` belongs to the volume, so that a usual start need not read the record. It is read after the list of files,
    // because a backup is recorded before it has a name.
    let record = match instance.filter(|_| folder != volume.own_backups()) {
        Some(instance) => BackupRecord::load(volume, instance)?,
        None => None,
    };
    let mut newest = Newest::default();
    for file in files {
        let Ok(header) = header(&file) else { continue };
        // A backup with a time in the future must not prevent new backups for years.
        if header.instance != instance || is_in_the_future(header.created, now) {
            continue;
        }
        if record.as_ref().is_none_or(|record| record.knows(&header)) {
            newest.any = newest.any.max(Some(header.created));
        }
        if is_scheduled(&file) {
            newest.scheduled = newest.scheduled.max(Some(header.created));
        }
    }
    Ok(newest)
}

/// The maximum age of the newest scheduled backup if something takes daily backups. The time of day may have changed.
const DAILY: jiff::SignedDuration = jiff::SignedDuration::from_hours(26);

/// The warning where nothing takes daily backups.
pub const NO_DAILY: &str =
    "no daily backups in this mode: use --supervise, or run `serve` beside the server (a sidecar)";

/// Whether something takes daily backups: there is a recent scheduled backup, or a console uses the volume.
#[must_use]
pub fn are_daily(volume: &Volume, newest: &Newest, now: jiff::Timestamp) -> bool {
    let is_recent = |taken: jiff::Timestamp| now.duration_since(taken) <= DAILY;
    newest.scheduled.is_some_and(is_recent) || lock::console_runs(volume).unwrap_or(true)
}

/// Whether the volume has a backup of this instance that is at most `age` old, according to the headers.
pub fn has_one_since(
    volume: &Volume,
    instance: Option<&Instance>,
    age: jiff::SignedDuration,
    now: jiff::Timestamp,
) -> Result<bool> {
    Ok(newest(volume, instance, now)?.any.is_some_and(|created| now.duration_since(created) <= age))
}

fn is_scheduled(file: &Path) -> bool {
    file.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"immediate-"))
}

/// Opens a backup file.
///
/// # Errors
/// `NotFound` if it does not exist.
pub fn open(file: &Path) -> Result<File> {
    presence::open(file).on("open", file).map_err(|error| match presence::entry(file) {
        Ok(None) => error.with_code(Code::NotFound).hint("`moorline list` shows the existing backups"),
        Ok(Some(meta)) if meta.is_symlink() => {
            error.context("the backup is a symbolic link to a file that does not exist")
        }
        _ => error,
    })
}

/// Reads the header of a backup, which needs no key.
pub fn header(file: &Path) -> Result<Header> {
    let mut source = BufReader::with_capacity(HEADER_BUFFER, open(file)?);
    Header::read(&mut source).map_err(|error| named(file, error))
}

/// An error of the file format, prefixed with the file's path.
#[must_use]
pub fn named(file: &Path, error: seqbac_header::Error) -> Error {
    Error::from(error).context(file.display())
}

/// The backup files in a folder, sorted by name. A missing `Backups/` counts as empty.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match listing::entries(folder)? {
        Some(entries) => entries,
        // The volume's own folder is created when it is needed. Any other folder must exist, because it may be a missing mount.
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

/// Whether to list a file. A dangling link and an unreadable file count, and opening them reports the reason. If they were
/// omitted, an older backup would silently become the newest one.
fn may_be_backup(path: &Path) -> bool {
    match presence::target(path) {
        Ok(Some(meta)) => meta.is_file(),
        // Removed since its name was read, unless it is a link.
        Ok(None) => presence::exists(path).unwrap_or(true),
        Err(_) => true,
    }
}
