//! This program itself: how to run it again, and where it is.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use super::exec;
use volume::error::{Code, Error, Result};

/// The variable that names a descriptor with the arguments in it, each ended by a NUL: a parent that passes a secret
/// uses it, because `ps` shows everybody the real ones.
pub const ARGUMENTS_FD: &str = "MOORLINE_ARGS_FD";

/// This program.
#[derive(Debug, Clone)]
pub struct Own {
    run: PathBuf,
    path: PathBuf,
}

impl Own {
    /// Finds it: through `/proc`, which names the very image that runs; where that is missing, by the name it was
    /// called by.
    ///
    /// # Errors
    /// Where there is neither.
    pub fn find(called: &OsStr, path: &OsStr) -> Result<Self> {
        let image = Path::new("/proc/self/exe");
        let is_file = |found: &PathBuf| std::fs::metadata(found).is_ok_and(|meta| meta.is_file());
        let named = std::fs::read_link(image).ok().filter(is_file);
        let called = || exec::find(called, path).ok().and_then(|found| found.canonicalize().ok());
        match named {
            Some(path) => Ok(Self { run: image.to_owned(), path }),
            None => match called() {
                Some(path) => Ok(Self { run: path.clone(), path }),
                None => Err(Error::new(Code::Unexpected, "moorline cannot find its own program")
                    .hint("mount /proc, or call it by its full path")),
            },
        }
    }

    /// What to execute.
    #[must_use]
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// Where it is, for links and for people.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
