//! Mount points below the storage root. A restore leaves them as they are, because a rename cannot replace a mount point.

use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt};

use crate::{prelude::*, store::is_own};

/// The paths on a volume that are mount points, with the number of members in the backup at or below each.
#[derive(Debug, Default)]
pub struct Mounts(BTreeMap<RelPath, usize>);

impl Mounts {
    /// The mount points below the storage root, outside moorline's own folders. Empty without `/proc`; then the preflight
    /// check recognises a mounted directory by its device number, and refuses the restore.
    pub fn of(volume: &Volume) -> Result<Self> {
        let mut found = BTreeMap::new();
        for point in mount_points() {
            let Ok(path) = point.strip_prefix(volume.root()).map(RelPath::new) else { continue };
            let Ok(path) = path else { continue };
            // A mount on a directory above it may hide it.
            if !is_own(&path) && presence::exists(&point)? {
                found.insert(path, 0);
            }
        }
        Ok(Self(found))
    }

    /// Whether the path is a mount point.
    pub fn contains(&self, path: &RelPath) -> bool {
        self.0.contains_key(path)
    }

    /// Whether the path is at or below a mount point.
    pub fn covers(&self, path: &RelPath) -> bool {
        self.0.keys().any(|mount| path.as_path().starts_with(mount.as_path()))
    }

    /// The mount points, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.0.keys()
    }

    /// As [`Self::covers`]; also counts the path as a member of the backup that is not restored.
    pub fn skips(&mut self, path: &RelPath) -> bool {
        let mut covering = self.0.iter_mut().filter(|(mount, _)| path.as_path().starts_with(mount.as_path()));
        covering.next().map(|(_, members)| *members += 1).is_some()
    }

    /// A warning for each mount point that the state includes (`is_state`) or below which members were skipped.
    pub fn notes(&self, is_state: impl Fn(&RelPath) -> bool) -> Vec<String> {
        let concerned = self.0.iter().filter(|(mount, members)| **members > 0 || is_state(mount));
        let note = |(mount, members): (&RelPath, &usize)| {
            let left = format!("{mount} is a mount point of its own, so it is left as it is");
            match members {
                0 => left,
                1 => format!("{left}; its member of the backup is not restored"),
                _ => format!("{left}; its {members} members of the backup are not restored"),
            }
        };
        concerned.map(note).collect()
    }
}

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
