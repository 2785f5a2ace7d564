//! A report from `restore` and `rollback` to PID 1, in case the calling script ignores their exit code.
//!
//! `seqsvr restore … | tee log` exits with 0 even if the restore failed. So PID 1 creates a file for each attempt to run a
//! program, and the commands write into it: `running` before they change anything, then the error, or blanks after a
//! success. If the file is not blank when the script has exited with 0, the script has failed.
//!
//! The file has its full size from the start, so that a failure can be written on a full disk. It belongs to the script's
//! user and is removed after the attempt; the next attempt replaces a file that a crash left behind.

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

/// The longest message in characters; each may take six bytes in JSON.
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
    /// The error: which operation failed, and why.
    pub reason: Error,
}

/// PID 1's side of the report.
#[derive(Debug)]
pub struct ScriptReport {
    file: File,
    path: PathBuf,
}

impl ScriptReport {
    /// Creates an empty report for an attempt.
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
            log::warn!("a failed restore in a script of user {} may go unnoticed: {cause}", user.spec());
        }
        Ok(report)
    }

    /// The command that failed last, unless a later one succeeded.
    #[must_use]
    pub fn failed(&self) -> Option<Failed> {
        let mut text = [0; SIZE];
        let unreadable = || Failed {
            exit: Code::Unexpected.exit(),
            reason: Error::new(Code::Unexpected, "cannot read the report of its restore"),
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

/// The command's side of the report: writes it.
#[derive(Debug)]
pub struct Reporter {
    file: File,
    command: &'static str,
}

impl Reporter {
    /// Opens the report for the script that called this process; `None` if PID 1 expects none.
    #[must_use]
    pub fn find(volume: &Volume, step: &ScriptStep, command: &'static str) -> Option<Self> {
        let path = path(volume, step.run);
        // Never created here, because a missing file belongs to a script that has ended.
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

    /// The command is about to run. If it is killed, this text stays in the report.
    pub fn begins(&self) {
        self.write(None, "it was killed, or still ran when the script ended");
    }

    /// The command failed.
    pub fn failed(&self, exit: u8, reason: &str) {
        self.write(Some(exit), reason);
    }

    /// The command succeeded, which clears failures of earlier commands of the script.
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
            log::warn!("cannot report to the script how its {} ended: {}", self.command, volume::error::reason(&cause));
        }
    }
}
