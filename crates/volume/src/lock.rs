//! Who may change the volume: one open file description with an `flock` on it.
//!
//! `run`, `init`, `restore` and `rollback` hold [`Lock`]. The description is inherited by scripts, by the children that
//! restore and by the server, so it is free only when the last of them is gone. A process that was given it finds its
//! number in `MOORLINE_LOCK_FD`. Locks die with the processes that hold them; the holder written into the file is for
//! the person who reads the error.
//!
//! Backups exclude each other by [`BackupLock`], and nothing else. What restores replaced is brought back and deleted
//! under [`RestoresLock`]: a backup deletes what is old, and does not hold the volume's lock. The memory of quarantine is
//! changed under [`AppsLock`]: a release is asked for while a server holds the volume's.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd, RawFd},
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{fs::FlockOperation, io::Errno};
use serde::{Deserialize, Serialize};

use super::{Volume, presence};
use crate::error::{Code, Error, IoContext, Result};

/// The variable that tells a child which descriptor is the lock.
pub const LOCK_FD: &str = "MOORLINE_LOCK_FD";

/// How long the memory of quarantine is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// As long as every holder is, with blanks behind it: what was there before is covered.
pub const HOLDER_SIZE: usize = 256;

/// Who held the lock when it was taken, as it wrote itself down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id, in its own PID namespace.
    pub pid: u32,
    /// The container's host name.
    pub host: String,
    /// What it was doing: a verb.
    pub verb: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// When it started the server, if it has.
    #[serde(default)]
    pub server: Option<jiff::Timestamp>,
}

impl Holder {
    /// The error of somebody who needs the lock now.
    #[must_use]
    pub fn refusal(&self, volume: &Volume) -> Error {
        Error::new(
            Code::TryAgain,
            format!(
                "the volume {} is in use by `{}` (process {} on host {}, since {:.0})",
                volume.root().display(),
                self.verb,
                self.pid,
                self.host,
                self.since
            ),
        )
        .hint("stop that container first; a restore needs the server stopped")
    }
}

/// The right to change the volume, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or says who has it.
    ///
    /// `inherited` is the descriptor that `MOORLINE_LOCK_FD` names, if it is this volume's lock file.
    ///
    /// # Errors
    /// Where the lock file cannot be opened, or the file system has no locks.
    pub fn try_take(
        volume: &Volume,
        verb: &str,
        inherited: Option<OwnedFd>,
    ) -> Result<std::result::Result<Self, Holder>> {
        let path = volume.own().join("lock");
        if let Some(file) = inherited.map(File::from)
            && matches!(flock(&file, &path), Ok(true))
        {
            return Ok(Ok(Self { file }));
        }
        let mut file = open(&path)?;
        if !flock(&file, &path)? {
            return Ok(Err(read_holder(&mut file)));
        }
        let since = jiff::Timestamp::now();
        let holder = Holder { pid: std::process::id(), host: host(), verb: verb.to_owned(), since, server: None };
        write_holder(&file, &holder);
        Ok(Ok(Self { file }))
    }

    /// Takes the lock now, or fails naming who has it.
    ///
    /// # Errors
    /// `TryAgain` while somebody holds it.
    pub fn take(volume: &Volume, verb: &str, inherited: Option<OwnedFd>) -> Result<Self> {
        Self::try_take(volume, verb, inherited)?.map_err(|holder| holder.refusal(volume))
    }

    /// Notes that the holder is about to start the server.
    pub fn server_starts(&self) {
        let mut text = String::new();
        let read = (&self.file).rewind().and_then(|()| (&self.file).take(HOLDER_SIZE as u64).read_to_string(&mut text));
        if let Some(holder) = read.ok().and_then(|_| serde_json::from_str::<Holder>(&text).ok()) {
            write_holder(&self.file, &Holder { server: Some(jiff::Timestamp::now()), ..holder });
        }
    }

    /// The descriptor's number, for [`LOCK_FD`].
    #[must_use]
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// Who holds the volume's lock now, without taking it.
///
/// # Errors
/// Where the lock file is there and cannot be opened.
pub fn holder(volume: &Volume) -> Result<Option<Holder>> {
    let path = volume.own().join("lock");
    if !presence::exists(&path)? {
        return Ok(None);
    }
    let mut file = File::open(&path).on("open", &path)?;
    // Shared, and dropped at once: it can be had exactly when nobody has the exclusive one.
    Ok(if try_flock(&file, FlockOperation::NonBlockingLockShared, &path)? {
        None
    } else {
        Some(read_holder(&mut file))
    })
}

/// Held while a backup is being made.
#[derive(Debug)]
pub struct BackupLock {
    _file: File,
}

impl BackupLock {
    /// Takes it, or fails.
    ///
    /// # Errors
    /// `TryAgain` while another backup is being made.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("backup.lock");
        let file = open(&path)?;
        if flock(&file, &path)? {
            return Ok(Self { _file: file });
        }
        Err(Error::new(Code::TryAgain, format!("another backup of {} is being made", volume.root().display()))
            .hint("wait for it to finish"))
    }
}

/// Held by the volume's console: there is one of it.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl ServeLock {
    /// Takes it now, or fails naming who has it.
    ///
    /// # Errors
    /// `TryAgain` while another console has it.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("serve.lock");
        let mut file = open(&path)?;
        if !flock(&file, &path)? {
            let holder = read_holder(&mut file);
            return Err(Error::new(
                Code::TryAgain,
                format!(
                    "the console of {} is `{}` already (process {} on host {}, since {:.0})",
                    volume.root().display(),
                    holder.verb,
                    holder.pid,
                    holder.host,
                    holder.since
                ),
            )
            .hint("one console a volume is enough: use that one, or stop it first"));
        }
        let since = jiff::Timestamp::now();
        let verb = "serve".to_owned();
        write_holder(&file, &Holder { pid: std::process::id(), host: host(), verb, since, server: None });
        Ok(Self { _file: file })
    }
}

/// Held while what a restore replaced is brought back or deleted.
#[derive(Debug)]
pub struct RestoresLock {
    _file: File,
}

impl RestoresLock {
    /// Takes it, or fails.
    ///
    /// # Errors
    /// `TryAgain` while somebody else has it.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("restores.lock");
        let file = open(&path)?;
        if flock(&file, &path)? {
            return Ok(Self { _file: file });
        }
        Err(Error::new(Code::TryAgain, "what a restore replaced is being brought back or deleted")
            .hint("wait for that to finish"))
    }
}

/// Held while the memory of quarantine is being changed.
#[derive(Debug)]
pub struct AppsLock {
    _file: File,
}

impl AppsLock {
    /// Takes it as soon as it is free: whoever only asks for a release has it for a moment.
    ///
    /// # Errors
    /// `TryAgain` where it does not become free in time.
    pub fn take(volume: &Volume) -> Result<Self> {
        let path = volume.own().join("apps.lock");
        let file = open(&path)?;
        let deadline = Instant::now() + PATIENCE;
        while !flock(&file, &path)? {
            if Instant::now() >= deadline {
                return Err(Error::new(
                    Code::TryAgain,
                    format!("apps of {} are being switched off or on by another process", volume.root().display()),
                )
                .hint("wait for it to finish"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _file: file })
    }
}

fn open(path: &PathBuf) -> Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(path).on("open", path)
}

/// For people and probes: that it cannot be written must not keep a server down. It covers what was there: a file that is
/// emptied first is flushed to the disk by ext4 when it is closed, a millisecond of every start.
fn write_holder(file: &File, holder: &Holder) {
    let mut text = serde_json::to_vec(holder).unwrap_or_default();
    text.resize(text.len().max(HOLDER_SIZE), b' ');
    let _ = file.write_all_at(&text, 0);
}

fn flock(file: &File, path: &Path) -> Result<bool> {
    try_flock(file, FlockOperation::NonBlockingLockExclusive, path)
}

/// Tries a non-blocking `flock`; `false` while another open file description holds the lock.
///
/// # Errors
/// Every errno but EWOULDBLOCK: the file system has no locks, or fails.
pub fn try_flock(file: impl AsFd, operation: FlockOperation, path: &Path) -> Result<bool> {
    match rustix::fs::flock(file, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(Error::io("lock", path, &errno.into())
            .hint("the volume's file system must support flock(2); on NFS, mount it without local_lock")),
    }
}

fn read_holder(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.take(HOLDER_SIZE as u64).read_to_string(&mut text);
    serde_json::from_str(&text).unwrap_or_else(|_| Holder {
        pid: 0,
        host: "unknown".to_owned(),
        verb: "unknown".to_owned(),
        since: jiff::Timestamp::now(),
        server: None,
    })
}

/// What this host, or container, is called.
#[must_use]
pub fn host() -> String {
    nix::unistd::gethostname().map_or_else(|_| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_one_is_told_who_has_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(dir.path()).expect("opens");
        volume.prepare().expect("writable");
        assert!(holder(&volume).expect("looks").is_none());
        let lock = Lock::take(&volume, "run", None).expect("is free");
        let refusal = Lock::take(&volume, "restore", None).expect_err("is held");
        assert_eq!(refusal.code(), Code::TryAgain);
        assert!(refusal.message().contains("`run`"), "{refusal}");
        assert_eq!(holder(&volume).expect("looks").map(|holder| holder.verb).as_deref(), Some("run"));
        drop(lock);
        Lock::take(&volume, "restore", None).expect("is free again");
    }
}
