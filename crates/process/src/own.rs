//! The path of this program, and how to execute it again.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::exec;
use volume::error::{Code, Error, Result};

/// The variable that names a descriptor with the arguments, each terminated by a NUL. A parent uses it to pass a secret,
/// because `ps` shows the real arguments to every user.
pub const ARGUMENTS_FD: &str = "MOORLINE_ARGS_FD";

/// This program.
#[derive(Debug, Clone)]
pub struct Own {
    run: PathBuf,
    path: PathBuf,
}

impl Own {
    /// Finds this program through `/proc/self/exe`, or else by the name it was called with.
    pub fn find(called: &OsStr, path: &OsStr) -> Result<Self> {
        let image = Path::new("/proc/self/exe");
        let is_file = |found: &PathBuf| std::fs::metadata(found).is_ok_and(|meta| meta.is_file());
        let named = std::fs::read_link(image).ok().filter(is_file);
        let called = || exec::find(called, path).ok().and_then(|found| found.canonicalize().ok());
        if let Some(path) = named {
            return Ok(Self { run: image.to_owned(), path });
        }
        match called() {
            Some(path) => Ok(Self { run: path.clone(), path }),
            None => Err(Error::new(Code::Unexpected, "moorline cannot find its own program file")
                .hint("mount /proc, or call it by its full path")),
        }
    }

    /// The path to execute.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// The real path, for links and messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
