//! The walk itself: one directory at a time, with one `lstat` for each name, and the first bytes of each file.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::{Metadata, OpenOptions},
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::Component,
};

use super::{
    Note, SEQBAC_MAGIC, SIDECARS, SMALLEST_DATABASE, SQLITE_HEADER, SurveyEntry, child,
    entry::{Born, LINK, MOUNT, born},
};
use crate::{
    prelude::*,
    store::{
        Matcher,
        foreign::{self, Extent, Recognised},
        mounts,
    },
};

#[derive(Debug)]
pub enum Seen {
    Taken(SurveyEntry),
    /// A directory that is not state, but may contain some.
    Directory(SurveyEntry),
    /// A sidecar of a database, by device and inode.
    Sidecar((u64, u64)),
    /// A file that matches a glob for databases, but has no SQLite header.
    NotADatabase(SurveyEntry),
    /// A database of another engine, recognised by a file that is taken as well.
    Foreign(Recognised),
    Note(Note),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Database,
    Backup,
    Other,
}

/// A walk over everything below a root, in no particular order.
pub struct Walk<'a> {
    root: &'a Path,
    matcher: &'a Matcher,
    /// Mount points below the root.
    mounts: HashSet<PathBuf>,
    /// Directories that are not listed yet, with the device of each.
    open: Vec<(Option<RelPath>, u64)>,
    /// The directory that is being walked, and its device.
    here: (Option<RelPath>, u64),
    names: HashMap<OsString, Metadata>,
    /// The names of it that are not inspected yet.
    left: Vec<OsString>,
    seen: Vec<Seen>,
}

impl<'a> Walk<'a> {
    pub fn new(root: &'a Path, matcher: &'a Matcher) -> Result<Self> {
        let device = fs::metadata(root).on("read the metadata of", root)?.dev();
        let here = (None, device);
        let (names, left, seen) = (HashMap::new(), Vec::new(), Vec::new());
        let mounts = mounts::below(root)?;
        Ok(Self { root, matcher, mounts, open: vec![here.clone()], here, names, left, seen })
    }

    /// The next finding; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Seen>> {
        while self.seen.is_empty() {
            if let Some(name) = self.left.pop() {
                self.inspect(&name)?;
            } else if let Some(directory) = self.open.pop() {
                self.enter(directory)?;
            } else {
                return Ok(None);
            }
        }
        Ok(self.seen.pop())
    }

    fn enter(&mut self, directory: (Option<RelPath>, u64)) -> Result<()> {
        self.here = directory;
        self.names.clear();
        let path = self.here.0.as_ref();
        let full = path.map_or_else(|| self.root.to_owned(), |path| path.under(self.root));
        let entries = match fs::read_dir(&full) {
            // The directory was removed after its name was read.
            Err(cause) if path.is_some() && presence::is_absent(&cause) => return Ok(()),
            other => other.on("list", &full)?,
        };
        for entry in entries {
            let entry = entry.on("list", &full)?;
            if let Some(meta) = presence::unless_absent(entry.metadata()).on("read the metadata of", &entry.path())? {
                self.names.insert(entry.file_name(), meta);
            }
        }
        self.left = self.names.keys().cloned().collect();
        Ok(())
    }

    fn inspect(&mut self, name: &OsStr) -> Result<()> {
        let Some(meta) = self.names.get(name).cloned() else { return Ok(()) };
        let path = child(self.here.0.as_ref(), name)?;
        let kind = meta.file_type();
        if let Some(base) = self.base_of(name).filter(|_| kind.is_file()).map(|base| base.under(self.root))
            && content(&base)? == Some(Content::Database)
        {
            self.seen.push(Seen::Sidecar((meta.dev(), meta.ino())));
        } else if self.matcher.excludes_here(&path, kind.is_dir()) {
        } else if kind.is_dir() {
            self.directory(path, &meta);
        } else if kind.is_symlink() {
            self.link(path, &meta)?;
        } else if kind.is_file() {
            self.file(path, &meta)?;
        } else if self.matcher.wants(&path, PathKind::File) {
            let what = match () {
                () if kind.is_socket() => "left out: a socket",
                () if kind.is_fifo() => "left out: a named pipe",
                () => "left out: a device",
            };
            self.note(&path, what);
        }
        Ok(())
    }

    fn directory(&mut self, path: RelPath, meta: &Metadata) {
        let wanted = self.matcher.wants(&path, PathKind::Directory);
        if !wanted && !self.matcher.reaches_below(&path) {
            return;
        }
        if meta.dev() != self.here.1 || self.mounts.contains(&path.under(self.root)) {
            self.note_mount(&path);
        }
        let found = SurveyEntry::new(path.clone(), PathKind::Directory, None, meta);
        self.seen.push(if wanted { Seen::Taken(found) } else { Seen::Directory(found) });
        self.open.push((Some(path), meta.dev()));
    }

    fn file(&mut self, path: RelPath, meta: &Metadata) -> Result<()> {
        let (file, database) =
            (self.matcher.wants(&path, PathKind::File), self.matcher.wants(&path, PathKind::Database));
        if !file && !database {
            return Ok(());
        }
        let full = path.under(self.root);
        let Some(Sniffed { content, head, born }) = sniff(&full).on("read", &full)? else { return Ok(()) };
        let entry = |kind| SurveyEntry { born, ..SurveyEntry::new(path.clone(), kind, None, meta) };
        // For SQLite, an empty file is an empty database. Only a glob for databases shows that it is meant to be one.
        let named = database && self.matcher.names_database(&path);
        match content {
            Content::Backup => {
                self.note(&path, "left out: a backup is never part of a backup");
                return Ok(());
            }
            Content::Other if !file && !named => return Ok(()),
            _ => {}
        }
        if self.mounts.contains(&full) {
            self.note_mount(&path);
        }
        match content {
            Content::Database => self.seen.push(Seen::Taken(entry(PathKind::Database))),
            Content::Other if named && meta.len() == 0 => self.seen.push(Seen::Taken(entry(PathKind::Database))),
            Content::Other if named => self.seen.push(Seen::NotADatabase(entry(PathKind::File))),
            _ => {
                self.seen.push(Seen::Taken(entry(PathKind::File)));
                self.foreign(path, &head, meta.len());
            }
        }
        Ok(())
    }

    fn foreign(&mut self, path: RelPath, head: &[u8], size: u64) {
        let folder = self.here.0.as_ref();
        let has = |name: &str| {
            let full = folder.map_or_else(|| self.root.to_owned(), |folder| folder.under(self.root)).join(name);
            presence::is_file(&full).unwrap_or(false)
        };
        let name = path.as_path().file_name().unwrap_or_default();
        let Some((engine, extent)) = foreign::recognise(name, head, size, &self.names, has) else { return };
        let place = match extent {
            Extent::Folder => folder.cloned(),
            Extent::File => Some(path.clone()),
            Extent::Base => self.base_of(name),
        };
        self.seen.push(Seen::Foreign(Recognised { path: place, engine, marker: path }));
    }

    fn link(&mut self, path: RelPath, meta: &Metadata) -> Result<()> {
        if !self.matcher.wants(&path, PathKind::Symlink) {
            return Ok(());
        }
        let full = path.under(self.root);
        let Some(target) = presence::unless_absent(fs::read_link(&full)).on("read", &full)? else { return Ok(()) };
        if points_outside(self.root, self.here.0.as_ref(), &target) {
            let target = target.display();
            let what = format!("{LINK}, to {target}: the backup contains the link, but not its target");
            self.note(&path, &what);
        }
        self.seen.push(Seen::Taken(SurveyEntry::new(path, PathKind::Symlink, Some(target), meta)));
        Ok(())
    }

    fn note_mount(&mut self, path: &RelPath) {
        self.note(path, &format!("{MOUNT}: the backup contains its content, but a restore will not replace it"));
    }

    fn note(&mut self, path: &RelPath, what: &str) {
        self.seen.push(Seen::Note(Note { path: path.clone(), what: what.to_owned() }));
    }

    /// The existing file whose sidecar `name` would be, judging by the name.
    fn base_of(&self, name: &OsStr) -> Option<RelPath> {
        let base = SIDECARS.iter().find_map(|suffix| name.as_bytes().strip_suffix(suffix.as_bytes()))?;
        let base = OsStr::from_bytes(base);
        self.names.get(base).filter(|meta| meta.is_file())?;
        child(self.here.0.as_ref(), base).ok()
    }
}

/// Reads the first bytes of a file. Returns `None` if it was removed or replaced by another kind of file.
pub fn content(path: &Path) -> Result<Option<Content>> {
    Ok(sniff(path).on("read", path)?.map(|sniffed| sniffed.content))
}

/// What the beginning of a file shows.
struct Sniffed {
    content: Content,
    head: Vec<u8>,
    born: Option<Born>,
}

fn sniff(path: &Path) -> io::Result<Option<Sniffed>> {
    // The file may have been replaced: a pipe must not block us, and we must not follow a link.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(cause) if presence::is_absent(&cause) || cause.raw_os_error() == Some(nix::libc::ELOOP) => return Ok(None),
        other => other?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let born = born(&file);
    let mut head = Vec::with_capacity(foreign::HEAD);
    file.take(foreign::HEAD as u64).read_to_end(&mut head)?;
    let content = if head.starts_with(SQLITE_HEADER) && meta.len() >= SMALLEST_DATABASE {
        Content::Database
    } else if head.starts_with(SEQBAC_MAGIC) {
        Content::Backup
    } else {
        Content::Other
    };
    Ok(Some(Sniffed { content, head, born }))
}

/// Whether a link in the directory `from` points outside `root`, judging by its text.
fn points_outside(root: &Path, from: Option<&RelPath>, target: &Path) -> bool {
    let start = from.map_or_else(|| root.to_owned(), |from| from.under(root));
    let mut at = PathBuf::new();
    for part in start.join(target).components() {
        match part {
            Component::ParentDir => drop(at.pop()),
            Component::CurDir => {}
            other => at.push(other),
        }
    }
    !at.starts_with(root)
}
