//! The walk itself: one directory at a time, with one `lstat` for each name, and the first bytes of each file.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read},
    ops::ControlFlow,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    },
    path::{Component, Path, PathBuf},
};

use super::{Note, SEQBAC_MAGIC, SIDECARS, SMALLEST_DATABASE, SQLITE_HEADER, SurveyEntry};
use crate::store::Matcher;
use profile::PathKind;
use seqbac_header::RelPath;
use volume::error::{Error, IoContext, Result};

/// One finding of the walk.
#[derive(Debug)]
pub enum Seen {
    /// A path that belongs to the state.
    Taken(SurveyEntry),
    /// A directory that is not state, but may contain some.
    Directory(SurveyEntry),
    /// A sidecar of a database, by device and inode.
    Sidecar((u64, u64)),
    /// A file that matches a glob for databases, but has no SQLite header.
    NotADatabase(SurveyEntry),
    Note(Note),
}

/// Type of a file, according to its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Database,
    Backup,
    Other,
}

type Visit<'a> = &'a mut dyn FnMut(Seen) -> ControlFlow<()>;

/// Calls `visit` for everything below `root`, in no particular order, until it breaks.
pub fn walk(root: &Path, matcher: &Matcher, visit: Visit<'_>) -> Result<()> {
    let device = fs::metadata(root).on("read the metadata of", root)?.dev();
    let mut open = vec![(None, device)];
    while let Some((path, device)) = open.pop() {
        let listing = Listing::read(root, path)?;
        for (name, meta) in &listing.names {
            let flow = listing.inspect(root, matcher, name, meta, device, visit)?;
            match flow {
                ControlFlow::Break(()) => return Ok(()),
                ControlFlow::Continue(Some(directory)) => open.push((Some(directory), meta.dev())),
                ControlFlow::Continue(None) => {}
            }
        }
    }
    Ok(())
}

/// One directory and its content.
struct Listing {
    path: Option<RelPath>,
    names: HashMap<OsString, Metadata>,
}

impl Listing {
    fn read(root: &Path, path: Option<RelPath>) -> Result<Self> {
        let full = path.as_ref().map_or_else(|| root.to_owned(), |path| path.under(root));
        let mut names = HashMap::new();
        let entries = match fs::read_dir(&full) {
            // The directory was removed after its name was read.
            Err(cause) if path.is_some() && is_gone(&cause) => return Ok(Self { path, names }),
            other => other.on("list", &full)?,
        };
        for entry in entries {
            let entry = entry.on("list", &full)?;
            match entry.metadata() {
                Err(cause) if is_gone(&cause) => {}
                meta => drop(names.insert(entry.file_name(), meta.on("read the metadata of", &entry.path())?)),
            }
        }
        Ok(Self { path, names })
    }

    /// Visits one name. Returns its path if it is a directory to walk.
    fn inspect(
        &self,
        root: &Path,
        matcher: &Matcher,
        name: &OsStr,
        meta: &Metadata,
        device: u64,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<(), Option<RelPath>>> {
        let path = self.child(name)?;
        let kind = meta.file_type();
        if let Some(base) = self.base_of(name).filter(|_| kind.is_file()).map(|base| base.under(root))
            && sniff(&base).on("read", &base)? == Some(Content::Database)
        {
            return Ok(on(visit(Seen::Sidecar((meta.dev(), meta.ino())))));
        }
        if matcher.excludes_here(&path, kind.is_dir()) {
            return Ok(ControlFlow::Continue(None));
        }
        if kind.is_dir() {
            let wanted = matcher.wants(&path, PathKind::Directory);
            if !wanted && !matcher.reaches_below(&path) {
                return Ok(ControlFlow::Continue(None));
            }
            let found = SurveyEntry::new(path.clone(), PathKind::Directory, None, meta);
            let mut flow = visit(if wanted { Seen::Taken(found) } else { Seen::Directory(found) });
            if meta.dev() != device && flow.is_continue() {
                flow = visit(Seen::Note(note(&path, "on a different file system than its parent directory")));
            }
            return Ok(flow.map_continue(|()| Some(path)).map_break(|()| ()));
        }
        let flow = if kind.is_symlink() {
            self.link(root, matcher, path, meta, visit)?
        } else if kind.is_file() {
            Self::file(root, matcher, path, meta, visit)?
        } else if matcher.wants(&path, PathKind::File) {
            let what = match () {
                () if kind.is_socket() => "left out: a socket",
                () if kind.is_fifo() => "left out: a named pipe",
                () => "left out: a device",
            };
            visit(Seen::Note(note(&path, what)))
        } else {
            ControlFlow::Continue(())
        };
        Ok(on(flow))
    }

    fn file(
        root: &Path,
        matcher: &Matcher,
        path: RelPath,
        meta: &Metadata,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>> {
        let (file, database) = (matcher.wants(&path, PathKind::File), matcher.wants(&path, PathKind::Database));
        if !file && !database {
            return Ok(ControlFlow::Continue(()));
        }
        let full = path.under(root);
        let Some(content) = sniff(&full).on("read", &full)? else { return Ok(ControlFlow::Continue(())) };
        // For SQLite, an empty file is an empty database. Only a glob for databases shows that it is meant to be one.
        let named = database && matcher.names_database(&path);
        let kind = match content {
            Content::Backup => {
                return Ok(visit(Seen::Note(note(&path, "left out: a backup is never part of a backup"))));
            }
            Content::Database => PathKind::Database,
            Content::Other if named && meta.len() == 0 => PathKind::Database,
            Content::Other if named => {
                return Ok(visit(Seen::NotADatabase(SurveyEntry::new(path, PathKind::File, None, meta))));
            }
            Content::Other if !file => return Ok(ControlFlow::Continue(())),
            Content::Other => PathKind::File,
        };
        Ok(visit(Seen::Taken(SurveyEntry::new(path, kind, None, meta))))
    }

    fn link(
        &self,
        root: &Path,
        matcher: &Matcher,
        path: RelPath,
        meta: &Metadata,
        visit: Visit<'_>,
    ) -> Result<ControlFlow<()>> {
        if !matcher.wants(&path, PathKind::Symlink) {
            return Ok(ControlFlow::Continue(()));
        }
        let full = path.under(root);
        let target = match fs::read_link(&full) {
            Err(cause) if is_gone(&cause) => return Ok(ControlFlow::Continue(())),
            other => other.on("read", &full)?,
        };
        if points_outside(root, self.path.as_ref(), &target) {
            let what = format!(
                "points outside the volume, to {}: the backup contains the link, but not its target",
                target.display()
            );
            if visit(Seen::Note(note(&path, &what))).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(visit(Seen::Taken(SurveyEntry::new(path, PathKind::Symlink, Some(target), meta))))
    }

    fn child(&self, name: &OsStr) -> Result<RelPath> {
        match &self.path {
            Some(path) => Ok(path.child(name)),
            None => RelPath::new(name).map_err(|cause| Error::new(volume::error::Code::Bug, cause.to_string())),
        }
    }

    /// The existing file whose sidecar `name` would be, judging by the name.
    fn base_of(&self, name: &OsStr) -> Option<RelPath> {
        let base = SIDECARS.iter().find_map(|suffix| name.as_bytes().strip_suffix(suffix.as_bytes()))?;
        let base = OsStr::from_bytes(base);
        self.names.get(base).filter(|meta| meta.is_file())?;
        self.child(base).ok()
    }
}

/// Reads the first bytes of a file. Returns `None` if it was removed or replaced by another kind of file.
pub fn sniff(path: &Path) -> io::Result<Option<Content>> {
    // The file may have been replaced: a pipe must not block us, and we must not follow a link.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(cause) if is_gone(&cause) || cause.raw_os_error() == Some(nix::libc::ELOOP) => return Ok(None),
        other => other?,
    };
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let start = first_bytes(&mut file)?;
    Ok(Some(if start.starts_with(SQLITE_HEADER) && meta.len() >= SMALLEST_DATABASE {
        Content::Database
    } else if start.starts_with(SEQBAC_MAGIC) {
        Content::Backup
    } else {
        Content::Other
    }))
}

fn first_bytes(file: &mut File) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(SQLITE_HEADER.len());
    file.take(SQLITE_HEADER.len() as u64).read_to_end(&mut start)?;
    Ok(start)
}

fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn on(flow: ControlFlow<()>) -> ControlFlow<(), Option<RelPath>> {
    flow.map_continue(|()| None)
}

fn note(path: &RelPath, what: &str) -> Note {
    Note { path: path.clone(), what: what.to_owned() }
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
