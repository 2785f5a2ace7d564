//! Preflight checks of a restore, before anything is changed.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
};

use nix::{
    sys::statvfs::statvfs,
    unistd::{AccessFlags, access},
};

use super::{Move, set};
use crate::{
    prelude::*,
    store::{Matcher, in_use, survey},
};

/// Bytes that must remain free after staging, for the journal, folders, and the server's first writes.
const MARGIN: u64 = 16 << 20;

pub fn space(volume: &Volume, sizes: impl Iterator<Item = u64>) -> Result<()> {
    let root = volume.root();
    let stat = statvfs(root).on("read the free space of", root)?;
    let block = stat.fragment_size().max(1);
    let needed = sizes.map(|size| size.div_ceil(block) * block + block).sum::<u64>() + MARGIN;
    let free = stat.blocks_available() * block;
    if needed <= free {
        return Ok(());
    }
    let kept: Vec<String> = set::history(volume)?
        .iter()
        .filter(|kept| kept.bytes > MARGIN / 16)
        .map(|kept| format!("`moorline rollback --discard {}` frees {} MiB", kept.id, kept.bytes >> 20))
        .collect();
    let hint = if kept.is_empty() { "free some space on the volume".to_owned() } else { kept.join("; ") };
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
pub fn moves(volume: &Volume, moves: &[Move]) -> Result<()> {
    let device = fs::metadata(volume.restores()).on("access", &volume.restores())?.dev();
    let mounts = mount_points();
    for change in moves {
        let live = change.path.under(volume.root());
        let parent = parents_are_real(volume, &change.path)?;
        if fs::metadata(&parent).on("access", &parent)?.dev() != device {
            return Err(elsewhere(&parent, "is on another file system than the rest of the volume"));
        }
        if let Some(mount) = mounts.iter().find(|mount| mount.starts_with(&live)) {
            return Err(elsewhere(mount, "is a separate mount"));
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
    let mut folder = volume.root().to_owned();
    let Some(parent) = path.parent() else { return Ok(folder) };
    for name in parent.as_path() {
        folder.push(name);
        let meta = folder.symlink_metadata().on("access", &folder)?;
        if meta.is_symlink() {
            return Err(elsewhere(&folder, "is a link"));
        }
    }
    Ok(folder)
}

fn elsewhere(path: &Path, why: &str) -> Error {
    Error::new(Code::Unexpected, format!("{} {why}, so the restore cannot replace it atomically", path.display()))
        .hint("exclude it in .moorlineignore, or mount the whole state as one volume; nothing was changed")
}

/// All mount points. Empty without /proc; a mount is then recognised only by its device number.
fn mount_points() -> Vec<PathBuf> {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let fields = text.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields.map(|field| PathBuf::from(OsStr::from_bytes(&unescape(field)))).collect()
}

/// mountinfo writes space, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.filter(|_| byte == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(value) => {
                plain.push(value);
                rest = &after[3..];
            }
            None => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_with_spaces_are_read() {
        assert_eq!(unescape(br"/data/my\040files\134x"), b"/data/my files\\x");
    }

    #[test]
    fn the_root_is_a_mount_point() {
        assert!(mount_points().contains(&PathBuf::from("/")));
    }
}
