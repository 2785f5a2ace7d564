//! Changes to the volume that survive a power cut: the only place that calls `fsync`, `syncfs` and `rename`.
//!
//! A new or changed file is written under a temporary name, fsynced, renamed into place, and its directory is fsynced.
//! When a function here has returned, a crash cannot undo what it did. A whole tree of new files is flushed with one
//! `syncfs`: on the disks measured, 3 000 small files take 0.1 s that way and 7 to 10 s with an fsync for each.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl};

use super::presence;
use crate::error::{Code, Error, IoContext, Result};

/// Replaces or makes the file at `path`, whole or not at all. An existing file keeps its owner where we may set it.
///
/// # Errors
/// Where the directory cannot be written; the old file is untouched then.
pub fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let temporary = write_beside(path, content, mode)?;
    rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Makes the file at `path`, whole or not at all, unless something is there already: then `false`.
///
/// # Errors
/// Where the directory cannot be written.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<bool> {
    let temporary = write_beside(path, content, mode)?;
    let done = rename_new(&temporary, path);
    if !matches!(done, Ok(true)) {
        drop(fs::remove_file(&temporary));
    }
    done
}

/// Gives the file at `path` another content, whole or not at all. It keeps its owner and mode, or nothing is done.
///
/// # Errors
/// Where the directory cannot be written, or the owner not kept; the old file is untouched then.
pub fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let like = path.symlink_metadata().on("look at", path)?;
    if !like.is_file() {
        return Err(Error::new(Code::Unexpected, format!("cannot write {}: it is no regular file", path.display())));
    }
    let temporary = write_beside_like(path, content, &like)?;
    rename(&temporary, path).inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// As [`write_new`], with the owner and mode of another file.
///
/// # Errors
/// Where the directory cannot be written, or the owner not given.
pub fn write_new_like(path: &Path, content: &[u8], like: &fs::Metadata) -> Result<bool> {
    let temporary = write_beside_like(path, content, like)?;
    let done = rename_new(&temporary, path);
    if !matches!(done, Ok(true)) {
        drop(fs::remove_file(&temporary));
    }
    done
}

/// The temporary name that belongs to `path`: hidden, and told apart by process.
#[must_use]
pub fn temporary_name(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn write_beside(path: &Path, content: &[u8], mode: u32) -> Result<PathBuf> {
    let temporary = temporary_name(path);
    // A file of this name is what a crash left behind.
    drop(fs::remove_file(&temporary));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        if nix::unistd::geteuid().is_root()
            && let Some(owner) = presence::unless_absent(fs::metadata(path))?
        {
            std::os::unix::fs::fchown(&file, Some(owner.uid()), Some(owner.gid()))?;
        }
        file.sync_all()
    })();
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written.on("write", path)?;
    Ok(temporary)
}

fn write_beside_like(path: &Path, content: &[u8], like: &fs::Metadata) -> Result<PathBuf> {
    let temporary = temporary_name(path);
    drop(fs::remove_file(&temporary));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
            std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
        }
        // A link's own mode says nothing.
        let mode = if like.is_symlink() { 0o644 } else { like.mode() & 0o7777 };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()
    })();
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written.on("write, with the owner that it has,", path)?;
    Ok(temporary)
}

/// Flushes an open file.
///
/// # Errors
/// The kernel's: after one, the file's content is unknown.
pub fn sync_file(file: &File, path: &Path) -> Result<()> {
    file.sync_all().on("flush", path)
}

/// Flushes the names in a directory.
///
/// # Errors
/// The kernel's. A file system that cannot do it (`EINVAL`) is taken to need none.
pub fn sync_dir(path: &Path) -> Result<()> {
    // The parent of a bare name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    match File::open(path).and_then(|dir| dir.sync_all()) {
        Err(cause) if cause.raw_os_error() == Some(nix::libc::EINVAL) => Ok(()),
        other => other.on("flush", path),
    }
}

/// Flushes everything that was written to the file system that `path` is on.
///
/// # Errors
/// The kernel's: something that was written did not reach the disk.
pub fn sync_filesystem(path: &Path) -> Result<()> {
    let dir = File::open(path).on("open", path)?;
    match nix::unistd::syncfs(dir.as_fd()) {
        // A filter that forbids it: all file systems are flushed, which Linux waits for. That a disk failed is heard only
        // where a file is flushed by itself.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            nix::unistd::sync();
            Ok(())
        }
        other => other.on("flush the file system of", path),
    }
}

/// Renames, replacing what is there, and flushes both directories.
///
/// # Errors
/// Where the rename or the flush failed.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).on(&format!("rename {} to", from.display()), to)?;
    sync_parents(from, to)
}

/// Renames and flushes both directories, unless something is at `to` already: then `false`, and nothing was done.
///
/// # Errors
/// Where the rename or the flush failed.
pub fn rename_new(from: &Path, to: &Path) -> Result<bool> {
    if !rename_new_unsynced(from, to)? {
        return Ok(false);
    }
    sync_parents(from, to)?;
    Ok(true)
}

/// As [`rename_new`], but durable only after the caller's [`sync_filesystem`]: for many renames in a row.
///
/// # Errors
/// Where the rename failed.
pub fn rename_new_unsynced(from: &Path, to: &Path) -> Result<bool> {
    let done = match rename_new_now(from, to) {
        Err(Errno::EACCES) => rename_read_only_directory(from, to),
        other => other,
    };
    done.map_err(|errno| Error::io(&format!("rename {} to", from.display()), to, &errno.into()))
}

/// To give a directory another parent is to write to it (`..`), which only root may do whatever its mode. A crash
/// in between leaves its owner the right to write.
fn rename_read_only_directory(from: &Path, to: &Path) -> nix::Result<bool> {
    let mode = match from.symlink_metadata() {
        Ok(meta) if meta.is_dir() && meta.mode() & 0o200 == 0 => meta.permissions(),
        _ => return Err(Errno::EACCES),
    };
    let writable = fs::Permissions::from_mode(mode.mode() | 0o200);
    fs::set_permissions(from, writable).map_err(|_| Errno::EACCES)?;
    let done = rename_new_now(from, to);
    let now_at = if matches!(done, Ok(true)) { to } else { from };
    drop(fs::set_permissions(now_at, mode));
    done
}

fn rename_new_now(from: &Path, to: &Path) -> nix::Result<bool> {
    let done = match renameat2_noreplace(from, to) {
        // A file system (NFS, 9p) or a seccomp filter without it: look, then rename. The volume's lock is held. Where
        // it is the folder that says EPERM, the plain call says so too.
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => match presence::unless_absent(to.symlink_metadata()) {
            Ok(None) => fcntl::renameat(fcntl::AT_FDCWD, from, fcntl::AT_FDCWD, to),
            Ok(Some(_)) => Err(Errno::EEXIST),
            Err(cause) => Err(Errno::from_raw(cause.raw_os_error().unwrap_or(nix::libc::EIO))),
        },
        other => other,
    };
    match done {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// What came of a rename in a directory that may not be ours to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// It is durable.
    Yes,
    /// Something has that name already; nothing was done.
    Taken,
    /// Neither the name nor the directory can be changed: read-only, a mount point, somebody else's, too long a name.
    Refused,
}

/// As [`rename_new`], where it is foreseen that it is not allowed.
///
/// # Errors
/// Where the disk or the flush failed.
pub fn rename_new_if_allowed(from: &Path, to: &Path) -> Result<Renamed> {
    match rename_new_now(from, to) {
        Err(errno) if is_refusal(errno) => Ok(Renamed::Refused),
        Err(errno) => Err(Error::io(&format!("rename {} to", from.display()), to, &errno.into())),
        Ok(false) => Ok(Renamed::Taken),
        Ok(true) => sync_parents(from, to).map(|()| Renamed::Yes),
    }
}

/// As [`remove_file`], where it is foreseen that it is not allowed: then `false`.
///
/// # Errors
/// Where the disk or the flush failed.
pub fn remove_file_if_allowed(path: &Path) -> Result<bool> {
    match nix::unistd::unlink(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_dir).map(|()| true),
        Err(Errno::ENOENT) => Ok(true),
        Err(errno) if is_refusal(errno) => Ok(false),
        Err(errno) => Err(Error::io("remove", path, &errno.into())),
    }
}

const fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::EBUSY | Errno::EXDEV | Errno::ENAMETOOLONG)
}

fn renameat2_noreplace(from: &Path, to: &Path) -> nix::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

fn sync_parents(from: &Path, to: &Path) -> Result<()> {
    let (Some(from), Some(to)) = (from.parent(), to.parent()) else {
        return Err(Error::new(Code::Bug, "a path without a directory was renamed"));
    };
    sync_dir(to)?;
    if from == to { Ok(()) } else { sync_dir(from) }
}

/// Removes a file, durably. That it is gone already is fine.
///
/// # Errors
/// Where it cannot be removed.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.on("remove", path)?,
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Removes a directory and all in it, durably, also where directories in it are read-only. That it is gone already is
/// fine.
///
/// # Errors
/// Where something in it cannot be removed.
pub fn remove_tree(path: &Path) -> Result<()> {
    let removed = match fs::remove_dir_all(path) {
        // Only root may empty a directory that its owner cannot write to.
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            make_writable(path);
            fs::remove_dir_all(path)
        }
        other => other,
    };
    match removed {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.on("remove", path)?,
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Gives the owner all rights on every directory, as far as we may; what is left shows when it is removed.
fn make_writable(directory: &Path) {
    drop(fs::set_permissions(directory, fs::Permissions::from_mode(0o700)));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_file_is_never_replaced_by_a_new_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        assert!(write_new(&path, b"one", 0o600).expect("writes"));
        assert!(!write_new(&path, b"two", 0o600).expect("refuses"));
        assert_eq!(fs::read(&path).expect("reads"), b"one");
        write(&path, b"three", 0o600).expect("writes");
        assert_eq!(fs::read(&path).expect("reads"), b"three");
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "no temporary file is left");
    }

    #[test]
    fn another_content_keeps_the_mode_and_owner() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        fs::write(&path, "one").expect("writes");
        let (owner, mode) = if nix::unistd::geteuid().is_root() { (1234, 0o4617) } else { (0, 0o617) };
        if owner != 0 {
            std::os::unix::fs::chown(&path, Some(owner), Some(owner + 1)).expect("changes");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changes");
        let before = fs::metadata(&path).expect("is there");
        replace(&path, b"two").expect("writes");
        assert!(write_new_like(&dir.path().join("y"), b"three", &before).expect("writes"));
        for (name, content) in [("x", "two"), ("y", "three")] {
            let meta = fs::metadata(dir.path().join(name)).expect("is there");
            assert_eq!(fs::read_to_string(dir.path().join(name)).expect("reads"), content);
            assert_eq!((meta.uid(), meta.gid(), meta.mode()), (before.uid(), before.gid(), before.mode()));
        }
        assert!(!write_new_like(&path, b"four", &before).expect("refuses"));
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 2, "no temporary file is left");
    }

    #[test]
    fn another_content_is_never_written_through_a_link() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("x"), "one").expect("writes");
        std::os::unix::fs::symlink("x", dir.path().join("link")).expect("a link");
        assert!(replace(&dir.path().join("link"), b"two").is_err());
        assert_eq!(fs::read(dir.path().join("x")).expect("reads"), b"one");
    }
}
