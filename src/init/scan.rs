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
use volume::presence;

use log::Level;
use nix::libc;

use super::{ledger::Outcome, stage::Stage};
use seqbac_header::RelPath;
use volume::error::{Code, Error, IoContext, Result};

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

/// Why a name or a file is passed over: said by whoever runs scripts, and by nobody who only looks.
#[derive(Debug)]
pub struct Skipped {
    level: Level,
    why: String,
}

impl Skipped {
    /// As it should be.
    pub fn debug(why: impl Into<String>) -> Self {
        Self { level: Level::Debug, why: why.into() }
    }

    /// Something that is worth a line.
    pub fn info(why: impl Into<String>) -> Self {
        Self { level: Level::Info, why: why.into() }
    }

    /// Something that a person probably did not mean.
    pub fn warning(why: impl Into<String>) -> Self {
        Self { level: Level::Warn, why: why.into() }
    }

    /// Says it in the log.
    pub fn say(&self) {
        log::log!(self.level, "{}", self.why);
    }
}

/// The names in a folder, each list bytewise in order.
#[derive(Debug, Default)]
pub struct Names {
    /// Those that are scripts' by their form.
    pub scripts: Vec<RelPath>,
    /// Those that look like scripts being edited.
    pub unfinished: Vec<RelPath>,
    /// What became of others.
    pub marked: Vec<RelPath>,
}

/// Reads a folder. One that is not there has no names.
///
/// # Errors
/// Where it cannot be read.
pub fn names(folder: &Path) -> Result<Names> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Names::default()),
        other => other.on("read", folder)?,
    };
    let mut all: Vec<OsString> = Vec::new();
    for entry in entries {
        all.push(entry.on("read", folder)?.file_name());
    }
    all.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    let mut names = Names::default();
    for name in all {
        let list = match kind_of(&name) {
            Name::Script => &mut names.scripts,
            Name::Unfinished => &mut names.unfinished,
            Name::Marked => &mut names.marked,
        };
        list.extend(RelPath::new(&name));
    }
    Ok(names)
}

/// The names of a stage's scripts, as they are called from `Init/`.
///
/// # Errors
/// Where the folder cannot be read.
pub fn names_of(stage: Stage, init: &Path) -> Result<Names> {
    let Some(folder) = stage.folder() else { return names(init) };
    if !presence::is_dir(&init.join(folder))? {
        return Ok(Names::default());
    }
    let below = |names: Vec<RelPath>| -> Vec<RelPath> {
        names.iter().filter_map(|name| RelPath::new(Path::new(folder).join(name.as_path())).ok()).collect()
    };
    let Names { scripts, unfinished, marked } = names(&init.join(folder))?;
    Ok(Names { scripts: below(scripts), unfinished: below(unfinished), marked: below(marked) })
}

/// Opens a script and reads it. What is no regular file and no link to one is skipped.
///
/// # Errors
/// Where it cannot be opened or read.
pub fn open(folder: &Path, name: &RelPath) -> Result<std::result::Result<Script, Skipped>> {
    let path = name.under(folder);
    let skipped = |why: &str| Ok(Err(Skipped::info(format!("{} is skipped: {why}", path.display()))));
    // Without O_NONBLOCK a pipe would hold up the start for ever.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(&path);
    let mut file = match opened {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return skipped("it is a link to what is not there"),
        // Opening a socket says ENXIO.
        Err(cause) if cause.raw_os_error() == Some(libc::ENXIO) => return skipped("it is no regular file"),
        Err(cause) => return Err(Error::io("open the init script", &path, &cause).with_code(Code::ScriptUnrunnable)),
    };
    let meta = file.metadata().on("look at", &path)?;
    if meta.is_dir() && Stage::is_folder(name) {
        return Ok(Err(Skipped::debug(format!("{} has scripts of its own", path.display()))));
    }
    if !meta.is_file() {
        return skipped("it is no regular file");
    }
    let (text, whole, hash) = read(&mut file, &meta).on("read the init script", &path)?;
    Ok(Ok(Script { name: name.clone(), path, file, meta, text, whole, hash }))
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
///
/// # Errors
/// Where that cannot be told: a script that is done must not run again for that.
pub fn is_marked(folder: &Path, name: &RelPath, outcome: Outcome) -> Result<bool> {
    is_there(&marked(folder, name, outcome))
}

/// Whether a name is taken. One that is too long for the file system is not.
///
/// # Errors
/// Where that cannot be told.
pub fn is_there(path: &Path) -> Result<bool> {
    match presence::unless_absent(path.symlink_metadata()) {
        Err(cause) if cause.kind() == ErrorKind::InvalidFilename => Ok(false),
        other => Ok(other.on("look at", path)?.is_some()),
    }
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
        let bytes: Vec<&[u8]> = names.scripts.iter().map(RelPath::as_bytes).collect();
        let expected: [&[u8]; 6] = [b"10-x", b"9-x", b"B", b"a b", b"b", b"\xff\n"];
        assert_eq!(bytes, expected);
        assert_eq!((names.unfinished.len(), names.marked.len()), (4, 4));
    }
}
