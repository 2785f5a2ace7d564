//! Which profile applies: the one that `--profile` or `MOORLINE_PROFILE` names, otherwise the image's file, otherwise
//! none (discovery).
//!
//! The command line decides once and passes the choice to child processes in `MOORLINE_PROFILE`. The profile is read
//! only when it is needed, because most starts of a container do not need it.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use super::{builtin, written::Written};
use volume::error::{Code, Error, IoContext, Result};

/// The variable that names a profile.
pub const VARIABLE: &str = "MOORLINE_PROFILE";

/// The name that stands for no profile, and for a server without apps.
pub const NONE: &str = "none";

/// The profile in the image.
pub const OF_IMAGE: &str = "/etc/moorline/profile.toml";

/// Bytes of a profile at most, so that `--profile` with the wrong file does not fill the memory.
const LONGEST: u64 = 1 << 20;

/// The selected profile, not yet read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// No profile was named: the image's file if it exists, otherwise discovery.
    #[default]
    Default,
    /// No profile, for a server that has no apps.
    None,
    /// A built-in profile, by its name.
    BuiltIn(String),
    /// An absolute path.
    File(PathBuf),
}

impl Choice {
    /// Interprets the value of `--profile`: a file if it contains a `/` or ends in `.toml`, otherwise the name of a
    /// built-in profile, or `none`. An empty value counts as not set.
    pub fn of(named: &OsStr) -> Result<Self> {
        let bytes = named.as_bytes();
        if bytes.is_empty() {
            return Ok(Self::Default);
        }
        if bytes == NONE.as_bytes() {
            return Ok(Self::None);
        }
        if bytes.contains(&b'/') || bytes.ends_with(b".toml") {
            let path = Path::new(named);
            return std::path::absolute(path).on("find", path).map(Self::File);
        }
        let name = named.to_str().ok_or_else(|| {
            Error::usage(format!("{} is not the name of a profile", named.display()))
                .hint("`moorline profiles` lists the built-in profiles")
        })?;
        Ok(Self::BuiltIn(name.to_owned()))
    }

    /// The value of `MOORLINE_PROFILE` that passes this choice to a child process.
    #[must_use]
    pub fn variable_value(&self) -> Option<OsString> {
        match self {
            Self::Default => None,
            Self::None => Some(NONE.into()),
            Self::BuiltIn(name) => Some(name.into()),
            Self::File(path) => Some(path.into()),
        }
    }

    /// Fails for a profile that does not exist or is invalid. A built-in one is only looked up, because a test parses each.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::BuiltIn(name) => builtin::find(name).map(|_| ()),
            Self::File(_) | Self::Default | Self::None => self.read().map(|_| ()),
        }
    }

    /// Reads and validates the profile. `None` means discovery.
    pub fn read(&self) -> Result<Option<Written>> {
        match self {
            Self::BuiltIn(name) => builtin::find(name)?.read().map(Some),
            Self::File(path) => read(path).map(Some),
            Self::None => Ok(None),
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

/// The TOML text of the profile, without validation.
pub fn text(choice: &Choice) -> Result<String> {
    match choice {
        Choice::BuiltIn(name) => builtin::find(name).map(|found| found.text.to_owned()),
        Choice::File(path) => of_file(path),
        Choice::None => Err(Error::usage(format!("`{NONE}` stands for no profile"))),
        Choice::Default => of_file(Path::new(OF_IMAGE)),
    }
}

fn of_file(path: &Path) -> Result<String> {
    let usage = |error: Error| error.with_code(Code::Usage);
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes));
    opened.on("read the profile", path).map_err(usage)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::usage(format!("{} is too long to be a profile: more than 1 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|cause| {
        let line =
            cause.as_bytes().iter().take(cause.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count();
        Error::usage(format!("the profile {}, line {}, is not UTF-8 text", path.display(), line + 1))
    })
}

fn read(path: &Path) -> Result<Written> {
    let written = Written::parse(&of_file(path)?, &path.display().to_string())?;
    Ok(if !written.captures.is_empty() && only_root_writes(path) { written.of_root() } else { written })
}

/// Whether only root can change a file or replace it, judging by the modes of the file and of every folder above it.
fn only_root_writes(path: &Path) -> bool {
    let of_root = |path: &Path| path.metadata().is_ok_and(|meta| meta.uid() == 0 && meta.mode() & 0o022 == 0);
    path.canonicalize().is_ok_and(|path| path.ancestors().all(of_root))
}
