//! Which profile a volume has: the one that was named, else the image's, else what discovery finds.
//!
//! A choice is made once, by the command line; whatever it starts is told the same (`MOORLINE_PROFILE`). It is loaded
//! when it is needed, because most starts of a container need none.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{builtin, written::Written};
use volume::error::{Code, Error, IoContext, Result};

/// The variable that names a profile.
pub const VARIABLE: &str = "MOORLINE_PROFILE";

/// The profile that an image brings along.
pub const OF_IMAGE: &str = "/etc/moorline/profile.toml";

/// Nobody writes a longer one.
const LONGEST: u64 = 1 << 20;

/// Which profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// Nobody named one: the image's, where there is one, else discovery.
    #[default]
    Default,
    /// The one that is built in under this name.
    BuiltIn(String),
    /// This file.
    File(PathBuf),
}

impl Choice {
    /// What was named: a file where it has a `/` in it or ends in `.toml`, else a name. Nothing is no choice.
    ///
    /// # Errors
    /// `Usage` for a name that is no text; where a relative path has no working directory.
    pub fn of(named: &OsStr) -> Result<Self> {
        let bytes = named.as_bytes();
        if bytes.is_empty() {
            return Ok(Self::Default);
        }
        if bytes.contains(&b'/') || bytes.ends_with(b".toml") {
            let path = Path::new(named);
            return std::path::absolute(path).on("find", path).map(Self::File);
        }
        let name = named.to_str().ok_or_else(|| Error::usage(format!("{} is no profile", named.display())))?;
        Ok(Self::BuiltIn(name.to_owned()))
    }

    /// As another process of ours is told of it.
    #[must_use]
    pub fn told(&self) -> Option<OsString> {
        match self {
            Self::Default => None,
            Self::BuiltIn(name) => Some(name.into()),
            Self::File(path) => Some(path.into()),
        }
    }

    /// What the chosen profile says; `None` where discovery decides.
    ///
    /// # Errors
    /// `Usage` where there is no such profile, or it makes no sense.
    pub fn read(&self) -> Result<Option<Written>> {
        match self {
            Self::BuiltIn(name) => builtin::find(name)?.read().map(Some),
            Self::File(path) => read(path).map(Some),
            Self::Default => {
                let image = Path::new(OF_IMAGE);
                match image.symlink_metadata() {
                    Err(cause) if matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                        Ok(None)
                    }
                    _ => read(image).map(Some),
                }
            }
        }
    }
}

/// The text of what was chosen by name.
///
/// # Errors
/// `Usage` where there is no such profile, or it is no text.
pub fn text(choice: &Choice) -> Result<String> {
    match choice {
        Choice::BuiltIn(name) => builtin::find(name).map(|found| found.text.to_owned()),
        Choice::File(path) => of_file(path),
        Choice::Default => of_file(Path::new(OF_IMAGE)),
    }
}

fn of_file(path: &Path) -> Result<String> {
    let usage = |error: Error| error.with_code(Code::Usage);
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    opened.on("read the profile", path).map_err(usage)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::usage(format!("{} is too long to be a profile", path.display())));
    }
    String::from_utf8(bytes).map_err(|cause| {
        let line =
            cause.as_bytes().iter().take(cause.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count();
        Error::usage(format!("the profile {}, line {}, is not UTF-8 text", path.display(), line + 1))
    })
}

fn read(path: &Path) -> Result<Written> {
    Written::parse(&of_file(path)?, &path.display().to_string())
}
