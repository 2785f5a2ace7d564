//! Locks on the volume: an open file description with an `flock`.
//!
//! `run`, `init`, `restore` and `rollback` hold [`Lock`]. Scripts, the children that restore, and the server inherit the
//! description, so the lock is free only after the last of them has ended. `MOORLINE_LOCK_FD` passes its number. The kernel
//! releases a lock when its holders end. The holder's name in the file is only for error messages and probes.
//!
//! The other locks can be taken while a server holds [`Lock`]: [`BackupLock`] while a backup is taken, [`RestoresLock`]
//! while replaced state is brought back or deleted, [`AppsLock`] while the quarantine record is changed, and [`ServeLock`]
//! while a console runs.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Seek},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{fs::FlockOperation, io::Errno};
use serde::{Deserialize, Serialize};

use super::{Volume, listing, presence, script_lock};
use crate::error::{self, Code, Error, IoContext, Result};

/// The variable that passes the number of the lock's descriptor to a child.
pub const LOCK_FD: &str = "MOORLINE_LOCK_FD";

/// The longest wait for a lock that is held for a moment only: [`AppsLock`], [`RecordLock`].
const SHORT_WAIT: Duration = Duration::from_secs(10);

/// The size of a holder in the file, padded with blanks so that it overwrites the previous holder completely.
pub const HOLDER_SIZE: usize = 256;

/// The holder of a lock, as it recorded itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// The process id in its own PID namespace.
    pub pid: u32,
    /// The host name of its container.
    pub host: String,
    /// The command that it carries out.
    #[serde(rename = "verb")]
    pub command: String,
    /// The time at which it took the lock.
    pub since: jiff::Timestamp,
    /// The time at which it started the server, if it has.
    #[serde(default)]
    pub server: Option<jiff::Timestamp>,
}

impl Holder {
    /// The error for a process that needs the lock now.
    #[must_use]
    pub fn refusal(&self, volume: &Volume) -> Error {
        Error::new(
            Code::TryAgain,
            format!(
                "the volume {} is in use by `{}` (process {} on host {}, since {:.0})",
                volume.root().display(),
                self.command,
                self.pid,
                self.host,
                self.since
            ),
        )
        .hint(if self.host == host() {
            "put the command into a script in Init/ and restart the container: scripts run while the server is stopped"
        } else {
            "stop that container first; a restore needs the server stopped"
        })
    }
}

/// The lock on the volume, which gives the right to change it.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// The storage root, which is locked as well if the home is elsewhere; `None` if another process has done that.
    root: Option<File>,
    /// As this process has recorded it; `None` if another process took the lock.
    holder: Option<Holder>,
}

impl Lock {
    /// Takes the lock, or returns its holder.
    ///
    /// `inherited` is the descriptor that `MOORLINE_LOCK_FD` names, if it is this volume's lock file.
    pub fn try_take(
        volume: &Volume,
        command: &str,
        inherited: Option<OwnedFd>,
    ) -> Result<std::result::Result<Self, Holder>> {
        let path = path(volume);
        if let Some(file) = inherited.map(File::from)
            && matches!(flock(&file, &path), Ok(true))
        {
            return Ok(Ok(Self { file, root: None, holder: None }));
        }
        let file = open(&path)?;
        if !flock(&file, &path)? {
            return Ok(Err(read_holder(&file)));
        }
        let Some(root) = lock_root(volume)? else {
            let command = "moorline with another MOORLINE_HOME".to_owned();
            return Ok(Err(Holder { command, ..unknown_holder() }));
        };
        let since = jiff::Timestamp::now();
        let holder = Holder { pid: std::process::id(), host: host(), command: command.to_owned(), since, server: None };
        write_holder(&file, &holder);
        Ok(Ok(Self { file, root, holder: Some(holder) }))
    }

    /// Takes the lock, or fails with the holder's name.
    ///
    /// # Errors
    /// `TryAgain` while another process holds it.
    pub fn take(volume: &Volume, command: &str, inherited: Option<OwnedFd>) -> Result<Self> {
        Self::try_take(volume, command, inherited)?.map_err(|holder| holder.refusal(volume))
    }

    /// As [`Lock::take`], for a command that an init script may have called: with the token of the start that holds the
    /// lock, a lost descriptor does not matter.
    pub fn take_in_script(
        volume: &Volume,
        command: &str,
        inherited: Option<OwnedFd>,
        token: Option<String>,
    ) -> Result<Self> {
        let holder = match Self::try_take(volume, command, inherited)? {
            Ok(lock) => return Ok(lock),
            Err(holder) => holder,
        };
        match token.map(|token| script_lock::take(volume, &token)).transpose()?.flatten() {
            Some(file) => Ok(Self { file, root: None, holder: None }),
            None => Err(holder.refusal(volume)),
        }
    }

    /// Records that the holder is about to start the server.
    pub fn server_starts(&self) {
        let recorded = || (&self.file).rewind().ok().and_then(|()| recorded_holder(&self.file));
        if let Some(holder) = self.holder.clone().or_else(recorded) {
            write_holder(&self.file, &Holder { server: Some(jiff::Timestamp::now()), ..holder });
        }
    }

    /// All descriptors that hold the lock, for a server that replaces this process.
    #[must_use]
    pub fn fds(&self) -> Vec<RawFd> {
        std::iter::once(&self.file).chain(&self.root).map(AsRawFd::as_raw_fd).collect()
    }

    /// The descriptor's number, for [`LOCK_FD`].
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Locks the storage root if the home is elsewhere, because the lock file of another home would be another file; `None` if
/// another process holds it. The inner `None`: nothing to lock, or a file system without locks for directories.
fn lock_root(volume: &Volume) -> Result<Option<Option<File>>> {
    if !volume.has_home_elsewhere() {
        return Ok(Some(None));
    }
    let folder = File::open(volume.root()).on("open", volume.root())?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Some(folder))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => {
            log::debug!("cannot lock {}: {}", volume.root().display(), error::reason(&errno.into()));
            Ok(Some(None))
        }
    }
}

/// The lock's file.
#[must_use]
pub fn path(volume: &Volume) -> PathBuf {
    volume.own().join("lock")
}

/// Whether a process of this PID namespace has the lock's file open, as the holder does. The recorded process id alone proves
/// nothing, because containers of one pod share a host name and may share a number.
#[must_use]
pub fn is_open_in(volume: &Volume, process: u32) -> bool {
    let identity = |path: &Path| presence::target(path).ok().flatten().map(|meta| (meta.dev(), meta.ino()));
    let descriptors = PathBuf::from(format!("/proc/{process}/fd"));
    let Some(lock) = identity(&path(volume)) else { return false };
    let open = listing::entries(&descriptors).ok().flatten().unwrap_or_default();
    open.iter().any(|entry| identity(&descriptors.join(&entry.name)) == Some(lock))
}

/// The current holder of the volume's lock, without taking the lock.
pub fn holder(volume: &Volume) -> Result<Option<Holder>> {
    let path = path(volume);
    if !presence::exists(&path)? {
        return Ok(None);
    }
    let file = File::open(&path).on("open", &path)?;
    // A shared lock, dropped at once, can be taken only if no process holds the exclusive one.
    Ok(if try_flock(&file, FlockOperation::NonBlockingLockShared, &path)? { None } else { Some(read_holder(&file)) })
}

/// Held while a backup is taken.
#[derive(Debug)]
pub struct BackupLock {
    _file: File,
}

impl BackupLock {
    /// Takes the lock, or fails.
    ///
    /// # Errors
    /// `TryAgain` while another backup is being taken.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("backup.lock");
        let file = open(&path)?;
        if flock(&file, &path)? {
            return Ok(Self { _file: file });
        }
        Err(Error::new(Code::TryAgain, format!("another backup of {} is being taken", volume.root().display()))
            .hint("wait for it to finish"))
    }
}

/// Held by the volume's console, so that only one runs.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl ServeLock {
    /// Takes the lock, or fails with the holder's name.
    ///
    /// # Errors
    /// `TryAgain` while another console runs.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("serve.lock");
        let file = open(&path)?;
        if !flock(&file, &path)? {
            let holder = read_holder(&file);
            return Err(Error::new(
                Code::TryAgain,
                format!(
                    "a console of {} runs already: `{}` (process {} on host {}, since {:.0})",
                    volume.root().display(),
                    holder.command,
                    holder.pid,
                    holder.host,
                    holder.since
                ),
            )
            .hint("use that console, or stop it first"));
        }
        let since = jiff::Timestamp::now();
        let command = "serve".to_owned();
        write_holder(&file, &Holder { pid: std::process::id(), host: host(), command, since, server: None });
        Ok(Self { _file: file })
    }
}

/// Whether a console uses the volume.
pub fn console_runs(volume: &Volume) -> Result<bool> {
    let path = volume.own().join("serve.lock");
    if !presence::exists(&path)? {
        return Ok(false);
    }
    // A shared lock does not keep a console from starting for longer than this call.
    Ok(!try_flock(File::open(&path).on("open", &path)?, FlockOperation::NonBlockingLockShared, &path)?)
}

/// Held while replaced state is brought back or deleted.
#[derive(Debug)]
pub struct RestoresLock {
    _file: File,
}

impl RestoresLock {
    /// Takes the lock, or fails.
    ///
    /// # Errors
    /// `TryAgain` while another process holds it.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("restores.lock");
        let file = open(&path)?;
        if flock(&file, &path)? {
            return Ok(Self { _file: file });
        }
        Err(Error::new(Code::TryAgain, "replaced state is being brought back or deleted by another process")
            .hint("wait for it to finish"))
    }
}

/// Held while the quarantine record is changed.
#[derive(Debug)]
pub struct AppsLock {
    _file: File,
}

impl AppsLock {
    /// Waits for the lock, because most holders need it only for a moment.
    ///
    /// # Errors
    /// `TryAgain` if it does not become free in 10 s.
    pub fn take(volume: &Volume) -> Result<Self> {
        let what = || format!("apps of {} are being switched off or on by another process", volume.root().display());
        Ok(Self { _file: wait_for(&volume.own().join("apps.lock"), what)? })
    }
}

/// Held while the record of the volume's backups is changed.
#[derive(Debug)]
pub struct RecordLock {
    _file: File,
}

impl RecordLock {
    /// Waits for the lock, as [`AppsLock::take`] does.
    pub fn take(volume: &Volume) -> Result<Self> {
        let what = || format!("the record of the backups of {} is in use", volume.root().display());
        Ok(Self { _file: wait_for(&volume.own().join("record.lock"), what)? })
    }
}

fn wait_for(path: &PathBuf, what: impl Fn() -> String) -> Result<File> {
    let file = open(path)?;
    let deadline = Instant::now() + SHORT_WAIT;
    while !flock(&file, path)? {
        if Instant::now() >= deadline {
            return Err(Error::new(Code::TryAgain, what()).hint("wait for it to finish"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(file)
}

pub(crate) fn open(path: &PathBuf) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        // The server's user may own the storage root, and must not lead this write to another file.
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path);
    match opened {
        // flock needs no permission to write. A volume that is mounted read-only may lack the file, but not its folder.
        Err(cause) if cause.kind() == ErrorKind::ReadOnlyFilesystem => {
            let folder = path.parent().unwrap_or(path);
            File::open(path).or_else(|_| File::open(folder)).map_err(|_| cause)
        }
        other => other,
    }
    .on("open", path)
}

/// Records the holder. Errors are ignored, because a missing holder must not stop a server. The file is overwritten, not
/// truncated, because ext4 flushes a truncated file when it is closed, which costs a millisecond in every start.
fn write_holder(file: &File, holder: &Holder) {
    let mut text = serde_json::to_vec(holder).unwrap_or_default();
    text.resize(text.len().max(HOLDER_SIZE), b' ');
    let _ = file.write_all_at(&text, 0);
}

fn flock(file: &File, path: &Path) -> Result<bool> {
    try_flock(file, FlockOperation::NonBlockingLockExclusive, path)
}

/// Tries a non-blocking `flock`; `false` while another open file description holds the lock.
pub fn try_flock(file: impl AsFd, operation: FlockOperation, path: &Path) -> Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => {
            let hint = match errno {
                Errno::NOLCK => {
                    "the NFS server has no lock service: start it (rpc.statd and lockd), or mount the volume with `nolock`"
                }
                _ => "the volume's file system must support flock(2)",
            };
            Err(Error::io("lock", path, &errno.into()).hint(hint))
        }
    }
}

fn recorded_holder(file: &File) -> Option<Holder> {
    let mut text = String::new();
    file.take(HOLDER_SIZE as u64).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn read_holder(file: &File) -> Holder {
    recorded_holder(file).unwrap_or_else(unknown_holder)
}

fn unknown_holder() -> Holder {
    let unknown = || "unknown".to_owned();
    Holder { pid: 0, host: unknown(), command: unknown(), since: jiff::Timestamp::now(), server: None }
}

/// The name of this host or container.
#[must_use]
pub fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_holder() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        assert!(holder(&volume).expect("looks").is_none());
        let lock = Lock::take(&volume, "run", None).expect("is free");
        let refusal = Lock::take(&volume, "restore", None).expect_err("is held");
        assert_eq!(refusal.code(), Code::TryAgain);
        assert!(refusal.message().contains("`run`"), "{refusal}");
        assert_eq!(holder(&volume).expect("looks").map(|holder| holder.command).as_deref(), Some("run"));
        drop(lock);
        Lock::take(&volume, "restore", None).expect("is free again");
    }
}
