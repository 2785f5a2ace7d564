//! Finding scripts: which names count, what is in a file, and what is already said about it by the files beside it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::libc;

use super::ledger::Outcome;
use crate::{
    error::{Code, Error, IoContext, Result},
    volume::RelPath,
};

/// A text larger than this is data.
const TEXT_LIMIT: u64 = 16 << 20;

/// Ends of names that belong to editors and copies in progress.
const UNFINISHED: [&[u8]; 4] = [b"~", b".swp", b".bak", b".tmp"];

/// A script as it was found, opened once.
#[derive(Debug)]
pub struct Script {
    /// Its name in its folder.
    pub name: RelPath,
    /// Where it is.
    pub path: PathBuf,
    /// The file; that of the target, where it is a link.
    pub file: File,
    /// What it is like.
    pub meta: fs::Metadata,
    /// Its text; only the beginning of what is too large to be text.
    pub text: Vec<u8>,
    /// Whether `text` is all of it.
    pub whole: bool,
    /// BLAKE3 of its content, in hexadecimal.
    pub hash: String,
}

/// What a name in `Init/` is.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Script,
    Marked,
    Unfinished,
}

fn kind_of(name: &OsStr) -> Name {
    let name = name.as_bytes();
    let ends_in = |end: &&[u8]| name.ends_with(end);
    if name.starts_with(b".") || [b".done".as_slice(), b".failed", b".log"].iter().any(ends_in) {
        Name::Marked
    } else if UNFINISHED.iter().any(ends_in) {
        Name::Unfinished
    } else {
        Name::Script
    }
}

/// The names in a folder that are scripts' by their form, bytewise in order. A folder that is not there has none.
///
/// # Errors
/// Where it cannot be read.
pub fn names(folder: &Path) -> Result<Vec<RelPath>> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.on("read", folder)?,
    };
    let mut names: Vec<OsString> = Vec::new();
    for entry in entries {
        names.push(entry.on("read", folder)?.file_name());
    }
    names.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    let mut found = Vec::new();
    for name in names {
        match kind_of(&name) {
            Name::Script => found.extend(RelPath::new(&name)),
            Name::Marked => {}
            Name::Unfinished => {
                log::info!("{} is skipped: it looks like a file that is being edited", folder.join(name).display())
            }
        }
    }
    Ok(found)
}

/// Opens a script and reads it. `None`, with a line, for what is no regular file and no link to one.
///
/// # Errors
/// Where it cannot be opened or read.
pub fn open(folder: &Path, name: &RelPath) -> Result<Option<Script>> {
    let path = name.under(folder);
    // Without O_NONBLOCK a pipe would hold up the start for ever.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&path);
    let mut file = match opened {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => {
            log::warn!("{} is skipped: it is a link to what is not there", path.display());
            return Ok(None);
        }
        // Opening a socket says ENXIO.
        Err(cause) if cause.raw_os_error() == Some(libc::ENXIO) => return Ok(None),
        Err(cause) => return Err(Error::io("open the init script", &path, &cause).with_code(Code::ScriptUnrunnable)),
    };
    let meta = file.metadata().on("look at", &path)?;
    if !meta.is_file() {
        log::info!("{} is skipped: it is no regular file", path.display());
        return Ok(None);
    }
    let (text, whole, hash) = read(&mut file, &meta).on("read the init script", &path)?;
    Ok(Some(Script { name: name.clone(), path, file, meta, text, whole, hash }))
}

fn read(file: &mut File, meta: &fs::Metadata) -> std::io::Result<(Vec<u8>, bool, String)> {
    let whole = meta.len() <= TEXT_LIMIT;
    let mut text = Vec::new();
    file.take(if whole { TEXT_LIMIT } else { 4096 }).read_to_end(&mut text)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&text);
    let mut piece = vec![0; 64 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            count => drop(hasher.update(&piece[..count])),
        }
    }
    Ok((text, whole, hasher.finalize().to_hex().to_string()))
}

impl Script {
    /// Whether anybody else than its owner and group may change it.
    #[must_use]
    pub fn others_may_write(&self) -> bool {
        self.meta.mode() & 0o002 != 0
    }
}

/// The file that says what became of a script: `<name>.done`, `<name>.failed`.
#[must_use]
pub fn marked(folder: &Path, name: &RelPath, outcome: Outcome) -> PathBuf {
    name.with_suffix(outcome.suffix()).under(folder)
}

/// Whether there is such a file, or a link, or anything else.
#[must_use]
pub fn is_marked(folder: &Path, name: &RelPath, outcome: Outcome) -> bool {
    marked(folder, name, outcome).symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in
            ["b", "10-x", "9-x", "B", "a b", "x.done", "x.failed", "x.log", ".x", "x~", "x.swp", "x.bak", "x.tmp"]
        {
            fs::write(dir.path().join(name), "").expect("writes");
        }
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff\n")), "").expect("writes");
        let names = names(dir.path()).expect("reads");
        let bytes: Vec<&[u8]> = names.iter().map(RelPath::as_bytes).collect();
        let expected: [&[u8]; 6] = [b"10-x", b"9-x", b"B", b"a b", b"b", b"\xff\n"];
        assert_eq!(bytes, expected);
    }
}
