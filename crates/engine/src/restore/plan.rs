//! Which paths move, so that within the scope the volume contains exactly the new state, and everything else stays.
//!
//! We walk the tree on the volume and the staged tree together. A directory that exists in both is entered; it is moved as
//! a whole only if nothing in it is excluded or foreign. A path that exists only on the volume is moved away if every scope
//! includes it. Mount points are left as they are. The `-wal`, `-shm` and `-journal` of a database move with it, because SQLite would replay them over the new
//! pages.

use std::{collections::BTreeSet, ffi::OsString, fs::FileType};

use super::{Move, mounts::Mounts, set::RestoreSet};
use crate::{
    prelude::*,
    store::{Matcher, child, is_backup, is_database, is_own, kind, sidecar_base},
};

/// The scopes within which a restore is exact: the backup's and the volume's.
#[derive(Debug)]
pub struct Scopes {
    all: Vec<Matcher>,
    beyond: BTreeSet<RelPath>,
    whole: Vec<RelPath>,
}

impl Scopes {
    pub fn all(scopes: &[Scope]) -> Result<Self> {
        let all = scopes.iter().map(Matcher::of).collect::<Result<_>>()?;
        Ok(Self { all, beyond: BTreeSet::new(), whole: Vec::new() })
    }

    pub fn and(self, beyond: &[RelPath]) -> Self {
        Self { beyond: beyond.iter().cloned().collect(), ..self }
    }

    pub fn and_all_in(self, whole: Vec<RelPath>) -> Self {
        Self { whole, ..self }
    }

    pub fn take(&self, path: &RelPath, kind: PathKind) -> bool {
        let is_in = |whole: &RelPath| path.as_path().starts_with(whole.as_path());
        self.beyond.contains(path)
            || self.whole.iter().any(is_in)
            || self.all.iter().all(|matcher| matcher.takes(path, kind))
    }

    /// Whether anything below this directory could be included. If not, we need no permission to list it.
    fn reach_below(&self, directory: &RelPath) -> bool {
        let leads = |path: &RelPath| path.as_path().starts_with(directory.as_path());
        self.all.iter().all(|matcher| matcher.reaches_below(directory))
            || self.beyond.iter().any(leads)
            || self.whole.iter().any(|path| leads(path) || directory.as_path().starts_with(path.as_path()))
    }

    /// The paths in the tree at `source` that a scope excludes and that do not exist on the volume. A backup may
    /// contain files that the volume ignores by now; undoing the restore must remove them.
    pub fn beyond(&self, volume: &Volume, source: &Path) -> Result<Vec<RelPath>> {
        let mut beyond = Vec::new();
        let mut waiting = names(source)?.iter().map(|name| child(None, name)).collect::<Result<Vec<_>>>()?;
        waiting.retain(|path| !is_own(path));
        while let Some(path) = waiting.pop() {
            let full = path.under(source);
            let Some(kind) = kind(&full)? else { continue };
            if kind == PathKind::Directory {
                waiting.extend(names(&full)?.iter().map(|name| path.child(name)));
            }
            if !self.take(&path, kind) && !presence::exists(&path.under(volume.root()))? {
                beyond.push(path);
            }
        }
        beyond.sort();
        Ok(beyond)
    }
}

/// The moves that replace the state on the volume with the tree at `source`. `source` is a folder of some restore set;
/// the replaced paths go into `set`.
pub fn of_tree(
    volume: &Volume,
    set: &RestoreSet,
    source: &Path,
    scopes: &Scopes,
    mounts: &Mounts,
) -> Result<Vec<Move>> {
    let plan = Plan { volume, set, source, scopes, mounts };
    let mut moves = Vec::new();
    plan.merge(None, &mut moves)?;
    Ok(moves)
}

struct Plan<'a> {
    volume: &'a Volume,
    set: &'a RestoreSet,
    source: &'a Path,
    scopes: &'a Scopes,
    mounts: &'a Mounts,
}

/// How much of a path on the volume may be moved away.
enum Sweep {
    /// Everything, in one move.
    Whole,
    /// Only these paths below it.
    Parts(Vec<RelPath>),
}

impl Plan<'_> {
    /// Merges a directory that exists in both trees; `None` is the storage root.
    fn merge(&self, folder: Option<&RelPath>, moves: &mut Vec<Move>) -> Result<()> {
        let (live, staged) = match folder {
            Some(folder) => (folder.under(self.volume.root()), folder.under(self.source)),
            None => (self.volume.root().to_owned(), self.source.to_owned()),
        };
        let names: BTreeSet<OsString> = names(&live)?.into_iter().chain(names(&staged)?).collect();
        for name in names {
            let path = child(folder, &name)?;
            if !is_own(&path) && !self.mounts.contains(&path) {
                self.merge_path(&path, moves)?;
            }
        }
        Ok(())
    }

    fn merge_path(&self, path: &RelPath, moves: &mut Vec<Move>) -> Result<()> {
        let live = path.under(self.volume.root());
        match (presence::entry(&live)?, presence::entry(&path.under(self.source))?) {
            (None, None) => {}
            (None, Some(_)) => moves.push(self.change(path, false, true)),
            (Some(_), None) => match self.sweep(path)? {
                Sweep::Whole => moves.push(self.change(path, true, false)),
                Sweep::Parts(parts) => moves.extend(parts.iter().map(|part| self.change(part, true, false))),
            },
            (Some(old), Some(new)) => match (old.is_dir(), self.sweep(path)?) {
                (true, Sweep::Parts(_)) if new.is_dir() => self.merge(Some(path), moves)?,
                (true, Sweep::Parts(_)) => return Err(in_the_way(&live)),
                _ => moves.push(self.change(path, true, true)),
            },
        }
        Ok(())
    }

    fn sweep(&self, path: &RelPath) -> Result<Sweep> {
        if self.mounts.contains(path) {
            return Ok(Sweep::Parts(Vec::new()));
        }
        let live = path.under(self.volume.root());
        let meta = live.symlink_metadata().on("access", &live)?;
        if !meta.is_dir() {
            return Ok(if self.goes(path, &live, meta.file_type())? { Sweep::Whole } else { Sweep::Parts(Vec::new()) });
        }
        let mut whole = self.scopes.take(path, PathKind::Directory);
        if !whole && !self.scopes.reach_below(path) {
            return Ok(Sweep::Parts(Vec::new()));
        }
        let mut parts = Vec::new();
        for name in names(&live)? {
            let child = path.child(&name);
            match self.sweep(&child)? {
                Sweep::Whole => parts.push(child),
                Sweep::Parts(inner) => {
                    whole = false;
                    parts.extend(inner);
                }
            }
        }
        Ok(if whole { Sweep::Whole } else { Sweep::Parts(parts) })
    }

    /// Whether to move away a file that the new state does not contain.
    fn goes(&self, path: &RelPath, live: &Path, kind: FileType) -> Result<bool> {
        if kind.is_symlink() {
            return Ok(self.scopes.take(path, PathKind::Symlink));
        }
        // Sockets, pipes and devices stay.
        if !kind.is_file() {
            return Ok(false);
        }
        if let Some(base) = sidecar_base(path)
            && self.is_database(&base)?
        {
            let replaced = presence::exists(&base.under(self.source))?;
            return Ok(replaced || self.scopes.take(&base, PathKind::Database));
        }
        if is_backup(live)? {
            return Ok(false);
        }
        let kind = if is_database(live)? { PathKind::Database } else { PathKind::File };
        Ok(self.scopes.take(path, kind))
    }

    /// A sidecar may have outlived its database on the volume, so the incoming database counts too.
    fn is_database(&self, path: &RelPath) -> Result<bool> {
        let database = Some(PathKind::Database);
        Ok(kind(&path.under(self.volume.root()))? == database || kind(&path.under(self.source))? == database)
    }

    fn change(&self, path: &RelPath, old: bool, new: bool) -> Move {
        let source = self.set.folder().parent().and_then(|all| self.source.strip_prefix(all).ok());
        let source = source.expect("the source is in a restore set");
        let staged = RelPath::new(source.join(path.as_path())).expect("both parts are relative and plain");
        Move { path: path.clone(), old: old.then(|| self.set.replaced(path)), new: new.then_some(staged) }
    }
}

pub fn names(folder: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).on("list", folder)? {
        names.push(entry.on("list", folder)?.file_name());
    }
    names.sort();
    Ok(names)
}

fn in_the_way(path: &Path) -> Error {
    let path = path.display();
    let what =
        format!("{path} is a directory with files that are not part of the state, but the backup has a file there");
    Error::new(Code::Unexpected, what).hint("move the directory elsewhere and restore again; nothing was changed")
}
