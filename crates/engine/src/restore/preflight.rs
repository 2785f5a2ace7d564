//! Preflight checks of a restore, before anything is changed.

use std::{collections::BTreeSet, os::unix::fs::MetadataExt};

use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access},
};

use super::{Move, Request, mounts::Mounts, set};
use crate::{
    backup::{Manifest, state_of},
    prelude::*,
    store::{Matcher, in_use, survey},
};
use seqbac::DigestEntry;

/// Bytes that must remain free after staging, for the journal, folders, and the server's first writes.
const MARGIN: u64 = 16 << 20;

pub fn space(
    volume: &Volume,
    members: &[DigestEntry],
    manifest: &Manifest,
    request: &Request,
    mounts: &Mounts,
) -> Result<()> {
    let root = volume.root();
    let stat = statvfs(root).on("read the free space of", root)?;
    let block = stat.fragment_size().max(1);
    let less = manifest.needed();
    let staged = members.iter().filter_map(|member| {
        let Some(path) = state_of(&member.path) else { return Some(member.size) };
        let allocated = less.get(&path).copied().unwrap_or(member.size);
        if !request.takes(&path) {
            return None;
        }
        if manifest.captures.iter().any(|captured| captured.unpack.as_ref() == Some(&path)) {
            // It is removed only after it was unpacked.
            return Some(member.size * 2);
        }
        (!mounts.covers(&path)).then_some(allocated.min(member.size))
    });
    let needed = staged.map(|size| size.div_ceil(block) * block + block).sum::<u64>() + MARGIN;
    let free = stat.blocks_available() * block;
    if needed <= free {
        return Ok(());
    }
    let kept: Vec<String> = set::history(volume)?
        .iter()
        .filter(|kept| kept.bytes > MARGIN / 16)
        .map(|kept| format!("`moorline rollback --discard {}` frees {} MiB", kept.id, kept.bytes >> 20))
        .collect();
    let parts = "free some space on the volume, or restore it in parts: `moorline restore --only PATH …`, then `moorline rollback --discard ID`";
    let hint = if kept.is_empty() { parts.to_owned() } else { kept.join("; ") };
    let (needed, root, free) = (needed.div_ceil(1 << 20), root.display(), free >> 20);
    let what = format!("the restore needs {needed} MiB on {root}, but only {free} MiB are free");
    Err(Error::new(Code::TryAgain, what).hint(hint))
}

/// Refuses if another process has a database of the state open.
pub fn no_database_in_use(volume: &Volume, scopes: &[Scope]) -> Result<()> {
    let mut databases = BTreeSet::new();
    for scope in scopes {
        databases.extend(survey(volume.root(), &Matcher::of(scope)?)?.databases.into_iter().map(|found| found.path));
    }
    for path in databases {
        let path = path.under(volume.root());
        if let Some(user) = in_use(&path)? {
            return Err(Error::new(Code::TryAgain, format!("{} is in use: {user}", path.display()))
                .hint("stop the server first, because it would overwrite the restored state"));
        }
    }
    Ok(())
}

/// Refuses moves that are not single renames.
pub fn moves(volume: &Volume, moves: &[Move], mounts: &Mounts) -> Result<()> {
    let device = fs::metadata(volume.restores()).on("access", &volume.restores())?.dev();
    for change in moves {
        let parent = parents_are_real(volume, &change.path)?;
        if fs::metadata(&parent).on("access", &parent)?.dev() != device {
            return Err(elsewhere(&parent, "is on another file system than the rest of the volume"));
        }
        if let Some(mount) = mounts.paths().find(|mount| mount.as_path().starts_with(change.path.as_path())) {
            return Err(elsewhere(&mount.under(volume.root()), "is a separate mount"));
        }
        writable(&parent)?;
    }
    Ok(())
}

/// Refuses a folder in which we may not rename.
pub fn writable(folder: &Path) -> Result<()> {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).on("write in", folder)
}

/// Refuses links among the parent folders. Returns the innermost folder.
fn parents_are_real(volume: &Volume, path: &RelPath) -> Result<PathBuf> {
    let Some(parent) = path.parent() else { return Ok(volume.root().to_owned()) };
    parents_are_real(volume, &parent)?;
    let folder = parent.under(volume.root());
    let meta = folder.symlink_metadata().on("access", &folder)?;
    if meta.is_symlink() {
        return Err(elsewhere(&folder, "is a link"));
    }
    Ok(folder)
}

fn elsewhere(path: &Path, why: &str) -> Error {
    Error::new(Code::Unexpected, format!("{} {why}, so the restore cannot replace it atomically", path.display()))
        .hint("exclude it in .moorlineignore, or mount the whole state as one volume; nothing was changed")
}
