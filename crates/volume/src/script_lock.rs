//! The right of a script's commands to change the volume while its start holds the lock.
//!
//! Children inherit the lock's descriptor, but Python, Node and others close descriptors that they do not know. So a start
//! that runs scripts also gives them a random token, and a command with the token takes the lock on `script.lock` for its
//! whole run. The file holds the token's hash, and it is blank when the scripts have ended. A start waits for this lock
//! before it runs scripts and before it starts the server, so no command of a script changes the state beneath them.

use std::{
    fs::File,
    io::{Read, Seek},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use super::{Volume, lock, presence};
use crate::error::{Code, Error, IoContext, Result};

/// The variable that gives the token to scripts.
pub const TOKEN: &str = "MOORLINE_LOCK_TOKEN";

/// The length of a hash in hexadecimal.
const LENGTH: usize = 64;

fn path(volume: &Volume) -> PathBuf {
    volume.own().join("script.lock")
}

fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The token of a start, as long as its scripts run.
#[derive(Debug)]
pub struct ScriptToken {
    token: String,
    file: File,
    path: PathBuf,
}

impl ScriptToken {
    /// Creates a token and records its hash.
    pub fn issue(volume: &Volume) -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|cause| Error::new(Code::Unexpected, format!("the kernel returned no random numbers: {cause}")))?;
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = path(volume);
        let file = lock::open(&path)?;
        file.write_all_at(hash(&token).as_bytes(), 0).on("write", &path)?;
        Ok(Self { token, file, path })
    }

    /// The value of [`TOKEN`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.token
    }

    /// Revokes the token. Returns `false` while a command that holds the token still runs.
    pub fn try_revoke(&self) -> Result<bool> {
        revoke(&self.file, &self.path)
    }
}

/// Revokes the token of an earlier start, which a crash may have left. Returns `false` while a command that holds the
/// token still runs.
pub fn try_clear(volume: &Volume) -> Result<bool> {
    let path = path(volume);
    // The file rarely exists, because it is created only when a program or shell text runs.
    if !presence::exists(&path)? {
        return Ok(true);
    }
    revoke(&lock::open(&path)?, &path)
}

fn revoke(file: &File, path: &std::path::Path) -> Result<bool> {
    if !lock::try_flock(file, FlockOperation::NonBlockingLockExclusive, path)? {
        return Ok(false);
    }
    let mut recorded = [b' '; LENGTH];
    // On a volume that is read-only now, the file cannot be written, and is blank already.
    if file.read_exact_at(&mut recorded, 0).is_ok() && recorded != [b' '; LENGTH] {
        file.write_all_at(&[b' '; LENGTH], 0).on("write", path)?;
    }
    lock::try_flock(file, FlockOperation::Unlock, path)
}

/// Takes the right to change the volume for a command that has the token of the start that holds the lock; `None` if the
/// token is not that start's.
///
/// # Errors
/// `TryAgain` while another command of a script uses it.
pub(crate) fn take(volume: &Volume, token: &str) -> Result<Option<File>> {
    let path = path(volume);
    if !presence::exists(&path)? {
        return Ok(None);
    }
    let mut file = lock::open(&path)?;
    if !is_valid(&mut file, token) {
        return Ok(None);
    }
    if !lock::try_flock(&file, FlockOperation::NonBlockingLockExclusive, &path)? {
        return Err(Error::new(Code::TryAgain, "another command of an init script is changing the volume")
            .hint("run the commands of a script one after the other"));
    }
    // The scripts may have ended meanwhile.
    Ok(is_valid(&mut file, token).then_some(file))
}

fn is_valid(file: &mut File, token: &str) -> bool {
    let mut recorded = [0; LENGTH];
    file.rewind().and_then(|()| file.read_exact(&mut recorded)).is_ok() && recorded == *hash(token).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lock;

    #[test]
    fn a_token_is_good_until_it_is_revoked() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(folder.path()).expect("opens");
        volume.prepare().expect("writable");
        let _held = Lock::take(&volume, "run", None).expect("is free");
        let token = ScriptToken::issue(&volume).expect("issued");
        let with = |token: &str| Lock::take_in_script(&volume, "restore", None, Some(token.to_owned()));
        with("other").expect_err("is not the token");
        let command = with(token.text()).expect("is the token");
        assert!(!token.try_revoke().expect("looks"), "a command still runs");
        assert!(!try_clear(&volume).expect("looks"), "a command still runs");
        drop(command);
        assert!(token.try_revoke().expect("looks"));
        with(token.text()).expect_err("is void");
        assert!(try_clear(&volume).expect("looks"));
    }
}
