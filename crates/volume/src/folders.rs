//! Folders that are to be empty by now, removed: a file in one of them is kept, whatever was planned.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::durable;
use crate::error::{IoContext, Result};

/// Removes the directory `folder` with all directories in it, unless something else is in them: that stays, together
/// with the directories above it. Returns what stays.
///
/// # Errors
/// Where a directory cannot be listed or removed.
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
            // Only root may empty a directory that its owner cannot write to.
            Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                open_up(folder)?;
                clear(&entry.path(), left)?;
            }
            other => other?,
        }
    }
    // The kernel removes no directory that has anything in it.
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
    fn folders_that_cannot_be_written_to_go_too() {
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
