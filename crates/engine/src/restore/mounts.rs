//! Mount points below the storage root. A restore leaves them as they are, because a rename cannot replace a mount point.

use std::collections::BTreeMap;

use crate::{
    prelude::*,
    store::{is_own, mounts},
};

/// The paths on a volume that are mount points, with the number of members in the backup at or below each.
#[derive(Debug, Default)]
pub struct Mounts(BTreeMap<RelPath, usize>);

impl Mounts {
    /// The mount points below the storage root, outside moorline's own folders. Empty without `/proc`; then the preflight
    /// check recognises a mounted directory by its device number, and refuses the restore.
    pub fn of(volume: &Volume) -> Result<Self> {
        let mut found = BTreeMap::new();
        for point in mounts::points()? {
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
