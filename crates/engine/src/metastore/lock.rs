//! The lock on the metastore: shared to open it, exclusive to replace it.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    time::Instant,
};

use rustix::fs::FlockOperation;

use crate::prelude::*;
use volume::lock;

/// Longer than a console keeps the database open.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Held while the metastore is open (shared) or replaced (exclusive).
#[derive(Debug)]
pub struct MetastoreLock {
    _file: File,
}

impl MetastoreLock {
    /// Locks it to open it. Fails with `TryAgain` while a restore is replacing it.
    pub fn shared(volume: &Volume) -> Result<Self> {
        Self::take(volume, FlockOperation::NonBlockingLockShared, "a restore is replacing it")
    }

    /// Locks it to replace or change it. Fails with `TryAgain` if a console keeps it open for longer than 20 s.
    pub fn alone(volume: &Volume) -> Result<Self> {
        Self::take(volume, FlockOperation::NonBlockingLockExclusive, "`moorline serve` has it open")
    }

    fn take(volume: &Volume, kind: FlockOperation, who: &str) -> Result<Self> {
        let path = volume.own().join("metastore.lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let file = options.open(&path).on("open", &path)?;
        let deadline = Instant::now() + TIMEOUT;
        while !lock::try_flock(&file, kind, &path)? {
            if Instant::now() >= deadline {
                let what = format!("the console's database of {} is in use: {who}", volume.root().display());
                return Err(Error::new(Code::TryAgain, what).hint("try again in a minute"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Self { _file: file })
    }
}
