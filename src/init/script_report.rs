//! A report from `restore` and `rollback` to PID 1, in case the calling script ignores their exit code.
//!
//! `seqsvr restore … | tee log` exits with 0 even if the restore failed. So PID 1 creates a file for each attempt to run a
//! program, and the commands write into it: `running` before they change anything, then the error, or `done`. If the file
//! holds anything else when the script has exited with 0, the script has failed.
//!
//! The file has its full size from the start, so that a failure can be written on a full disk. It belongs to the script's
//! user, and the script's environment names it.

use std::{
    fs::{File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::libc;
use serde::{Deserialize, Serialize};

use super::script_folder::ScriptFolder;
use seqbac_header::{Id, without_keys};
use volume::error::{Code, Error, IoContext, Result};

/// The variable that names the file for the commands of a script.
pub const REPORT: &str = "MOORLINE_SCRIPT_REPORT";

const SIZE: usize = 4096;

/// The content after a success.
const SUCCEEDED: &[u8] = b"done";

/// The longest message in characters; each may take six bytes in JSON.
const MESSAGE: usize = 600;

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    command: String,
    /// `None` while it runs, and if it was killed.
    exit: Option<u8>,
    message: String,
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
    pub fn create(folder: &ScriptFolder, run: Id) -> Result<Self> {
        let (file, path) = folder.create_file(&format!("script-report-{run}"))?;
        file.write_all_at(&[b' '; SIZE], 0).on("write", &path)?;
        Ok(Self { file, path })
    }

    /// The value of [`REPORT`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last command succeeded, as opposed to none that was called.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        let mut text = [0; SUCCEEDED.len()];
        self.file.read_exact_at(&mut text, 0).is_ok() && text == SUCCEEDED
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
        if matches!(text.trim_ascii(), b"" | SUCCEEDED) {
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
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The command's side of the report: writes it.
#[derive(Debug)]
pub struct Reporter {
    file: File,
    command: &'static str,
}

impl Reporter {
    /// Opens the report of the script that called this process; `None` if the script has ended.
    #[must_use]
    pub fn find(path: &Path, command: &'static str) -> Option<Self> {
        let opened = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
        match opened {
            Ok(file) => Some(Self { file, command }),
            Err(cause) if cause.kind() == ErrorKind::NotFound => None,
            Err(cause) => {
                log::warn!("{}", Error::io("report to the script in", path, &cause));
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
        self.put(SUCCEEDED);
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
