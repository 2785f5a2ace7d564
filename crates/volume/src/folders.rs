//! Removing a folder tree that should be empty. Any file in it is kept, because it would be the only copy.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::durable;
use crate::error::{IoContext, Result};

/// Removes `folder` and all folders in it. A file or link stays, together with the folders above it. Returns the paths of
/// such files and links.
pub fn remove_empty(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut left = Vec::new();
    match clear(folder, &mut left) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(left),
        other => other.on("remove", folder)?,
    }
    folder.parent().map_or(Ok(()), durable::sync_dir)?;
    Ok(left)
}

fn clear(folder: &Path, left: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::read_dir(folder)?
        }
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            left.push(entry.path());
            continue;
        }
        match clear(&entry.path(), left) {
            // A folder that its owner cannot write to can be emptied only by root.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                open_up(folder)?;
                clear(&entry.path(), left)?;
            }
            other => other?,
        }
    }
    // The kernel never removes a directory that is not empty.
    match fs::remove_dir(folder) {
        Err(cause) if cause.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_a_folder_that_should_be_empty_stays() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("replaced");
        for below in ["a/b", "c/d"] {
            fs::create_dir_all(folder.join(below)).expect("made");
        }
        fs::write(folder.join("c/d/only copy"), "x").expect("written");
        assert_eq!(remove_empty(&folder).expect("removes"), [folder.join("c/d/only copy")]);
        assert_eq!(fs::read_dir(&folder).expect("is there").count(), 1, "the empty ones are gone");
        fs::remove_file(folder.join("c/d/only copy")).expect("removed");
        assert!(remove_empty(&folder).expect("removes").is_empty());
        assert_eq!(fs::read_dir(root.path()).expect("is there").count(), 0);
        assert!(remove_empty(&folder).expect("is gone already").is_empty());
    }

    #[test]
    fn read_only_folders_are_removed_too() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("stage");
        fs::create_dir_all(folder.join("a/b")).expect("made");
        for name in ["a/b", "a"] {
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o500)).expect("changed");
        }
        assert!(remove_empty(&folder).expect("removes").is_empty());
        assert_eq!(fs::read_dir(root.path()).expect("is there").count(), 0);
    }
}
