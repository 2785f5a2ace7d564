//! Who may have the metastore open.

use std::{
    fs::{File, OpenOptions},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use nix::{errno::Errno, libc};

use crate::{
    error::{Code, Error, IoContext, Result},
    volume::Volume,
};

/// Longer than a console goes on with the database open.
const PATIENCE: Duration = Duration::from_secs(20);

/// Held while the metastore is open, by any number of processes; or by the one that puts another in its place.
#[derive(Debug)]
pub struct MetastoreLock {
    _file: File,
}

impl MetastoreLock {
    /// To open it.
    ///
    /// # Errors
    /// `TryAgain` while a restore puts another in its place.
    pub fn shared(volume: &Volume) -> Result<Self> {
        Self::take(volume, libc::LOCK_SH, "a restore replaces it")
    }

    /// To put another in its place.
    ///
    /// # Errors
    /// `TryAgain` where a console does not let go of it.
    pub fn alone(volume: &Volume) -> Result<Self> {
        Self::take(volume, libc::LOCK_EX, "`moorline serve` has it open")
    }

    fn take(volume: &Volume, kind: libc::c_int, who: &str) -> Result<Self> {
        let path = volume.own().join("metastore.lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let file = options.open(&path).on("open", &path)?;
        let deadline = Instant::now() + PATIENCE;
        while !try_flock(&file, kind, &path)? {
            if Instant::now() >= deadline {
                let what = format!("the console's database of {} is in use: {who}", volume.root().display());
                return Err(Error::new(Code::TryAgain, what).hint("try again in a minute"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _file: file })
    }
}

fn try_flock(file: &File, kind: libc::c_int, path: &Path) -> Result<bool> {
    // SAFETY: takes a descriptor that we hold, and a number.
    match Errno::result(unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) }) {
        Ok(_) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(Error::io("lock", path, &errno.into())),
    }
}
