//! Finding scripts: which file names count, reading a script, and its `.done` and `.failed` files.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{ErrorKind, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};
use volume::{Volume, listing, presence};

use log::Level;

use super::{
    broken::{Broken, Rejected},
    held::{self, Held},
    ledger::Outcome,
    stage::Stage,
};
use seqbac_header::RelPath;
use volume::error::{Code, Error, IoContext, Result};

/// A text larger than this is data.
const TEXT_LIMIT: u64 = 16 << 20;

/// Suffixes that editors and unfinished copies use.
const UNFINISHED: [&str; 6] = ["~", ".swp", ".swo", ".bak", ".tmp", ".save"];

/// Suffixes that people, package managers and Windows use for files that must not run.
const NEVER_RUN: [&str; 19] = [
    ".disabled",
    ".off",
    ".old",
    ".orig",
    ".rej",
    ".dist",
    ".example",
    ".md",
    ".txt",
    ":Zone.Identifier",
    ".dpkg-old",
    ".dpkg-dist",
    ".dpkg-new",
    ".dpkg-bak",
    ".dpkg-tmp",
    ".rpmsave",
    ".rpmnew",
    ".rpmorig",
    ".ucf-dist",
];

/// Folders that file systems and storage servers create.
const OF_THE_SYSTEM: [&str; 2] = ["lost+found", "@eaDir"];

/// A script: its file, opened once, and its content.
#[derive(Debug)]
pub struct Script {
    /// Its name in its folder.
    pub name: RelPath,
    pub path: PathBuf,
    /// The file, or the target if it is a link.
    pub file: File,
    pub meta: fs::Metadata,
    /// Its text, or only the beginning if it is too large to be text.
    pub text: Vec<u8>,
    /// Whether `text` is complete.
    pub whole: bool,
    /// BLAKE3 of its content, in hexadecimal.
    pub hash: String,
}

/// The meaning of a file name in `Init/`.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Script,
    Marked,
    Unfinished,
    NeverRun,
    OfTheSystem,
}

fn kind_of(name: &OsStr) -> Name {
    let name = name.as_bytes();
    // In any case, because FAT and Windows change it.
    let ends_in = |end: &&str| {
        name.len().checked_sub(end.len()).is_some_and(|start| name[start..].eq_ignore_ascii_case(end.as_bytes()))
    };
    // Emacs's auto-save files, and the file with which Vim checks whether it can write.
    let of_an_editor = (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#")) || name == b"4913";
    if name.starts_with(b".") || [".done", ".failed", ".log"].iter().any(ends_in) {
        Name::Marked
    } else if UNFINISHED.iter().any(ends_in) || of_an_editor {
        Name::Unfinished
    } else if NEVER_RUN.iter().any(ends_in) {
        Name::NeverRun
    } else if OF_THE_SYSTEM.iter().any(|own| name == own.as_bytes()) {
        Name::OfTheSystem
    } else {
        Name::Script
    }
}

/// Why a file is skipped. It is logged when scripts run, and not when they are only inspected.
#[derive(Debug)]
pub struct Skipped {
    level: Level,
    why: String,
}

impl Skipped {
    pub fn debug(why: impl Into<String>) -> Self {
        Self { level: Level::Debug, why: why.into() }
    }

    /// A reason that is worth a log line.
    pub fn info(why: impl Into<String>) -> Self {
        Self { level: Level::Info, why: why.into() }
    }

    /// A reason that is probably a mistake.
    pub fn warning(why: impl Into<String>) -> Self {
        Self { level: Level::Warn, why: why.into() }
    }

    /// Logs the reason.
    pub fn log(&self) {
        log::log!(self.level, "{}", self.why);
    }
}

/// The names in a folder; each list is sorted by bytes.
#[derive(Debug, Default)]
pub struct Names {
    /// Names of scripts.
    pub scripts: Vec<RelPath>,
    /// Names of scripts that are being edited.
    pub unfinished: Vec<RelPath>,
    /// Names with a suffix that must not run.
    pub never_run: Vec<RelPath>,
    pub marked: Vec<RelPath>,
}

impl Names {
    /// Logs which names are ignored, and why.
    pub fn log_ignored(&self, folder: &Path) {
        for (names, why) in [
            (&self.unfinished, "it looks like a file that is being edited"),
            (&self.never_run, "files with this suffix never run"),
        ] {
            for name in names {
                log::info!("skipping {}: {why}", name.under(folder).display());
            }
        }
    }
}

fn explain(folder: &Path, error: Error) -> Error {
    match presence::entry(folder) {
        Ok(Some(meta)) if !meta.is_dir() && !meta.is_symlink() => not_a_folder(folder),
        _ => error,
    }
}

/// Reads the names in a folder; none if it does not exist.
pub fn names(folder: &Path) -> Result<Names> {
    held::listing(folder, names_in)
}

fn names_in(folder: &Path) -> Result<Names> {
    let Some(entries) = listing::entries(folder).map_err(|error| explain(folder, error))? else {
        return Ok(Names::default());
    };
    let mut all: Vec<OsString> = entries.into_iter().map(|entry| entry.name).collect();
    all.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    let mut names = Names::default();
    for name in all {
        let list = match kind_of(&name) {
            Name::Script => &mut names.scripts,
            Name::Unfinished => &mut names.unfinished,
            Name::NeverRun => &mut names.never_run,
            Name::Marked => &mut names.marked,
            Name::OfTheSystem => continue,
        };
        list.extend(RelPath::new(&name));
    }
    Ok(names)
}

/// Warns of scripts in `init/`, which is another folder than `Init/` on most file systems.
pub fn warn_of_other_case(volume: &Volume) -> Result<()> {
    let init = volume.init();
    let other = init.with_file_name("init");
    let Some(meta) = presence::target(&other)?.filter(fs::Metadata::is_dir) else { return Ok(()) };
    if presence::target(&init)?.is_some_and(|own| (own.dev(), own.ino()) == (meta.dev(), meta.ino())) {
        return Ok(());
    }
    // A server may have a folder of this name, so only files that look like init scripts count.
    let looks_like_one = |name: &RelPath| {
        open(&other, name).is_ok_and(|script| {
            let text = String::from_utf8_lossy(&script.text);
            name.as_bytes().ends_with(b".sh")
                || text.starts_with("#!")
                || text.contains("seqsvr ")
                || text.contains("moorline ")
        })
    };
    if let Some(name) = names(&other).unwrap_or_default().scripts.iter().find(|name| looks_like_one(name)) {
        let (found, init) = (name.under(&other), init.display());
        log::warn!("{} does not run: scripts belong into {init}, with a capital I", found.display());
    }
    Ok(())
}

/// The names, or none with a warning where they are only shown or not needed for a start.
pub fn listed(names: Result<Names>) -> Names {
    names.inspect_err(|error| log::warn!("scripts are ignored: {error}")).unwrap_or_default()
}

/// The names of a stage's scripts, relative to `Init/`.
pub fn names_of(stage: Stage, init: &Path) -> Result<Names> {
    let Some(folder) = stage.folder() else { return names(init) };
    if !presence::is_dir(&init.join(folder))? {
        return Ok(Names::default());
    }
    let below = |names: Vec<RelPath>| -> Vec<RelPath> {
        names.iter().filter_map(|name| RelPath::new(Path::new(folder).join(name.as_path())).ok()).collect()
    };
    let Names { scripts, unfinished, never_run, marked } = names(&init.join(folder))?;
    Ok(Names {
        scripts: below(scripts),
        unfinished: below(unfinished),
        never_run: below(never_run),
        marked: below(marked),
    })
}

fn not_a_folder(path: &Path) -> Error {
    Error::new(Code::ScriptUnrunnable, format!("{} is a file, but must be a folder of scripts", path.display()))
        .hint(format!("mount the script as {}/NAME", path.display()))
}

/// Opens and reads a script; else the reason why it does not run.
pub fn open(folder: &Path, name: &RelPath) -> std::result::Result<Script, Rejected> {
    let path = name.under(folder);
    let unreadable = |cause: std::io::Error| Broken::unreadable(&path, name, &cause);
    let has_scripts = || Skipped::debug(format!("{} has scripts of its own", path.display()));
    let mut file = match Held::of(&path).and_then(|held| held.open()) {
        // Whether it can be listed is reported when its scripts are due.
        Err(_) if Stage::is_folder(name) && presence::is_dir(&path).unwrap_or(false) => {
            return Err(has_scripts().into());
        }
        opened => opened.map_err(unreadable)?,
    };
    let meta = file.metadata().map_err(unreadable)?;
    if meta.is_dir() && Stage::is_folder(name) {
        return Err(has_scripts().into());
    }
    if !meta.is_file() {
        return Err(Broken::not_a_file(&path, name, meta.is_dir()));
    }
    let (text, whole, hash) = read(&mut file, &meta).map_err(unreadable)?;
    Ok(Script { name: name.clone(), path, file, meta, text, whole, hash })
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
    /// Whether every user can write to it.
    #[must_use]
    pub fn others_may_write(&self) -> bool {
        self.meta.mode() & 0o002 != 0
    }
}

/// The path of a script's mark: `<name>.done` or `<name>.failed`.
#[must_use]
pub fn marked(folder: &Path, name: &RelPath, outcome: Outcome) -> PathBuf {
    name.with_suffix(outcome.suffix()).under(folder)
}

/// Whether the mark exists, as a file, link or anything else. An error never counts as "no", because a script that is
/// done must not run again.
pub fn is_marked(folder: &Path, name: &RelPath, outcome: Outcome) -> Result<bool> {
    is_there(&marked(folder, name, outcome))
}

/// Whether an entry with this path exists. Returns `false` if the name is too long for the file system.
pub fn is_there(path: &Path) -> Result<bool> {
    match presence::unless_absent(Held::of(path).and_then(|held| held.path().symlink_metadata())) {
        Err(cause) if cause.kind() == ErrorKind::InvalidFilename => Ok(false),
        other => Ok(other.on("access", path)?.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            "b",
            "10-x",
            "9-x",
            "B",
            "a b",
            "x.done",
            "x.failed",
            "x.log",
            ".x",
            "x~",
            "x.swp",
            "x.bak",
            "#x#",
            "README.TXT",
            "x.old",
            "lost+found",
        ] {
            fs::write(dir.path().join(name), "").expect("writes");
        }
        fs::write(dir.path().join(OsStr::from_bytes(b"\xff\n")), "").expect("writes");
        let names = names(dir.path()).expect("reads");
        let bytes: Vec<&[u8]> = names.scripts.iter().map(RelPath::as_bytes).collect();
        let expected: [&[u8]; 6] = [b"10-x", b"9-x", b"B", b"a b", b"b", b"\xff\n"];
        assert_eq!(bytes, expected);
        assert_eq!((names.unfinished.len(), names.never_run.len(), names.marked.len()), (4, 2, 4));
    }
}
