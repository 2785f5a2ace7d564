//! What `restore` and `rollback` report to the script that called them, in case the script ignores their exit code.
//!
//! `seqsvr restore … | tee log` exits with 0 whatever the restore did. So PID 1 creates a file for each attempt at a
//! program, and the commands write into it: `running` before they change anything, then how they failed, or blanks after a
//! success. What is left in it when the script has exited with 0 is the script's failure.
//!
//! The file has its full size from the start, so that a full disk cannot keep a failure out of it. It belongs to the
//! script's user, and is gone with the attempt; what a crash leaves is replaced by the next attempt.

use std::{
    fs::{self, File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{FileExt, OpenOptionsExt, fchown},
    path::PathBuf,
};

use nix::libc;
use serde::{Deserialize, Serialize};

use process::User;
use seqbac_header::{Id, without_keys};
use volume::{
    Volume,
    error::{Code, Error, IoContext, Result},
    restores::ScriptStep,
};

const SIZE: usize = 4096;

/// The longest message that is passed on, in characters: each may take six bytes in JSON.
const MESSAGE: usize = 600;

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    command: String,
    /// `None` while it runs, and if it was killed.
    exit: Option<u8>,
    message: String,
}

fn path(volume: &Volume, run: Id) -> PathBuf {
    volume.spool().join(format!("script-report-{run}"))
}

/// A command that failed inside a script.
#[derive(Debug)]
pub struct Failed {
    /// Its exit code.
    pub exit: u8,
    /// What failed, and why.
    pub reason: Error,
}

/// PID 1's end.
#[derive(Debug)]
pub struct ScriptReport {
    file: File,
    path: PathBuf,
}

impl ScriptReport {
    /// An empty one for an attempt at a script.
    ///
    /// # Errors
    /// Where the spool cannot be written.
    pub fn create(volume: &Volume, run: Id, user: Option<&User>) -> Result<Self> {
        let path = path(volume, run);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &path, &cause)),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let report = Self { file: file.on("create", &path)?, path };
        report.file.write_all_at(&[b' '; SIZE], 0).on("write", &report.path)?;
        if let Some(user) = user
            && let Err(cause) = fchown(&report.file, Some(user.uid()), Some(user.gid()))
        {
            log::warn!("a restore that fails in a script of {} may go unnoticed: {cause}", user.spec());
        }
        Ok(report)
    }

    /// The command that failed last, unless a later one succeeded.
    #[must_use]
    pub fn failed(&self) -> Option<Failed> {
        let mut text = [0; SIZE];
        let unreadable = || Failed {
            exit: Code::Unexpected.exit(),
            reason: Error::new(Code::Unexpected, "what its restore reported cannot be read"),
        };
        if self.file.read_exact_at(&mut text, 0).is_err() {
            return Some(unreadable());
        }
        if text.trim_ascii().is_empty() {
            return None;
        }
        let Ok(content) = serde_json::from_slice::<Content>(&text) else { return Some(unreadable()) };
        let exit = content.exit.unwrap_or(Code::Unexpected.exit());
        let code = Code::from_exit(exit).unwrap_or(Code::Unexpected);
        let reason =
            format!("its `{}` failed, although the script exited with 0: {}", content.command, content.message);
        Some(Failed {
            exit,
            reason: Error::new(code, reason).hint(
                "fix what the command reports; `set -e` (and `set -o pipefail` in bash) ends the script there; if the script \
                 handles the failure itself, add --may-fail to the command",
            ),
        })
    }
}

impl Drop for ScriptReport {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The command's end.
#[derive(Debug)]
pub struct Reporter {
    file: File,
    command: &'static str,
}

impl Reporter {
    /// The report of the script that this process is called by; `None` if PID 1 expects none.
    #[must_use]
    pub fn find(volume: &Volume, step: &ScriptStep, command: &'static str) -> Option<Self> {
        let path = path(volume, step.run);
        // Never created here: a file that is not there belongs to a script that has ended.
        let opened = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
        match opened {
            Ok(file) => Some(Self { file, command }),
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            Err(cause) => {
                log::warn!("{}", Error::io("report to the script in", &path, &cause));
                None
            }
        }
    }

    /// It is about to run: if it is killed, this stays.
    pub fn begins(&self) {
        self.write(None, "it was killed, or still ran when the script ended");
    }

    /// It failed.
    pub fn failed(&self, exit: u8, reason: &str) {
        self.write(Some(exit), reason);
    }

    /// It succeeded, and with it whatever the script tried before.
    pub fn succeeded(&self) {
        self.put(&[]);
    }

    fn write(&self, exit: Option<u8>, message: &str) {
        let message = without_keys(message).chars().take(MESSAGE).collect();
        let content = Content { command: self.command.to_owned(), exit, message };
        self.put(&serde_json::to_vec(&content).unwrap_or_default());
    }

    fn put(&self, text: &[u8]) {
        let mut whole = [b' '; SIZE];
        let length = text.len().min(SIZE);
        whole[..length].copy_from_slice(&text[..length]);
        if let Err(cause) = self.file.write_all_at(&whole, 0) {
            log::warn!("the script does not learn how its {} ended: {}", self.command, volume::error::reason(&cause));
        }
    }
}
