//! The error type of the whole program, written for the person who reads a container's log at night.
//!
//! Every error has a [`Code`] (a name and a documented exit code), a message (what failed, on which object, why) and, if
//! possible, a hint (what to do next). A message never contains a secret or a bare errno. The file format has its own
//! error type, [`seqbac_header::Error`], because its callers have to distinguish the cases.

use std::{fmt, io, path::Path};

use seqbac_header::{NotAKey, NotAnId};

pub use seqbac_header::error::reason;

/// The result of everything above the file format.
pub type Result<T> = std::result::Result<T, Error>;

/// The hint for a process that has reached its limit of open files.
pub const RAISE_OPEN_FILES: &str =
    "raise the limit of open files of the container: `docker run --ulimit nofile=65536`, or `ulimits:` in Compose";

/// The kind of an error, in the order of the table in `docs/cli.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Any error without a kind of its own: an I/O error, a program that could not be started.
    Unexpected = 1,
    /// An invalid command line or setting.
    Usage = 2,
    /// No such backup, secret key, script or restore set.
    NotFound = 10,
    /// A confirmation is needed, but stdin is not a terminal.
    ConfirmationNeeded = 11,
    /// The secret key differs from the backup's or the volume's.
    WrongKey = 12,
    /// The server's apps are unknown, or they could not be switched off.
    AppsUnknown = 13,
    /// An init script that cannot be run.
    ScriptUnrunnable = 14,
    /// The file is not a backup.
    NotABackup = 20,
    /// A backup of a version that this program cannot read.
    UnsupportedVersion = 21,
    /// The header of a backup is damaged.
    HeaderCorrupt = 22,
    /// The header of a backup was edited.
    HeaderTampered = 23,
    /// A segment of a backup is damaged or was edited.
    Corrupt = 24,
    /// A backup that ends too early.
    Truncated = 25,
    /// A backup with bytes after its end.
    TrailingData = 26,
    /// A backup that decrypts, but whose content differs from its manifest.
    ContentMismatch = 27,
    /// A backup whose writer did not finish.
    Incomplete = 28,
    /// A backup was created, but it is doubtful.
    Unverified = 29,
    /// A bug in moorline.
    Bug = 70,
    /// A transient error: a lock is held, the disk is full, a target is unreachable.
    TryAgain = 75,
}

impl Code {
    const ALL: [Self; 19] = [
        Self::Unexpected,
        Self::Usage,
        Self::NotFound,
        Self::ConfirmationNeeded,
        Self::WrongKey,
        Self::AppsUnknown,
        Self::ScriptUnrunnable,
        Self::NotABackup,
        Self::UnsupportedVersion,
        Self::HeaderCorrupt,
        Self::HeaderTampered,
        Self::Corrupt,
        Self::Truncated,
        Self::TrailingData,
        Self::ContentMismatch,
        Self::Incomplete,
        Self::Unverified,
        Self::Bug,
        Self::TryAgain,
    ];

    /// The exit code.
    #[must_use]
    pub const fn exit(self) -> u8 {
        self as u8
    }

    /// The kind for an exit code of one of our own commands.
    #[must_use]
    pub fn from_exit(exit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.exit() == exit)
    }

    /// Whether the same command could succeed later without any change by a person.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::TryAgain)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An error: kind, message and hint.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// An error of this kind. The message starts in lower case and has no full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// An error about an invalid setting or command line.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// `cannot VERB PATH: reason`, with a hint for well-known reasons.
    pub fn io(verb: &str, path: &Path, cause: &io::Error) -> Self {
        if let Some(carried) = Self::carried_by(cause) {
            return carried.clone();
        }
        let (code, hint) = match cause.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => (
                Code::TryAgain,
                Some(
                    "free space on the volume; `moorline rollback --list` shows the replaced state that restores have kept",
                ),
            ),
            Some(nix::libc::EXDEV) => (
                Code::Unexpected,
                Some("keep the whole state on one volume, because a folder of the container's image cannot be moved"),
            ),
            Some(nix::libc::EROFS) => (Code::Unexpected, Some("mount the volume read-write")),
            Some(nix::libc::EACCES | nix::libc::EPERM) => {
                (Code::Unexpected, Some("check the owner and mode of the path against the user the container runs as"))
            }
            Some(nix::libc::EMFILE) => (Code::Unexpected, Some(RAISE_OPEN_FILES)),
            _ => (Code::Unexpected, None),
        };
        let mut error = Self::new(code, format!("cannot {verb} {}: {}", path.display(), reason(cause)));
        error.hint = hint.map(str::to_owned);
        error
    }

    /// The error inside an I/O error, if it was converted from one.
    #[must_use]
    pub fn carried_by(cause: &io::Error) -> Option<&Self> {
        cause.get_ref()?.downcast_ref()
    }

    /// Sets the hint: what to do next, without a full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names a path as people know it, where the error names a temporary copy of it.
    #[must_use]
    pub fn with_name(mut self, copy: &Path, name: &Path) -> Self {
        let (copy, name) = (copy.display().to_string(), name.display().to_string());
        self.message = self.message.replace(&copy, &name);
        self.hint = self.hint.map(|hint| hint.replace(&copy, &name));
        self
    }

    /// Puts a context before the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Changes the kind.
    #[must_use]
    pub const fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The kind.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What failed, on which object, and why.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Lets an error keep its kind on its way through a [`std::io::Read`]; [`Error::carried_by`] extracts it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl From<seqbac_header::Error> for Error {
    fn from(error: seqbac_header::Error) -> Self {
        match &error {
            // The path is unknown here; callers add it with `context`.
            seqbac_header::Error::Io(cause) => {
                if let Some(carried) = Self::carried_by(cause) {
                    return carried.clone();
                }
                let full = matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                // NotFound without an errno comes from our own code: no such member.
                let no_member = cause.kind() == io::ErrorKind::NotFound && cause.raw_os_error().is_none();
                let code = match (full, no_member) {
                    (true, _) => Code::TryAgain,
                    (_, true) => Code::NotFound,
                    _ => Code::Unexpected,
                };
                let plain = Self::new(code, reason(cause));
                if full { plain.hint("free space where the backup is written") } else { plain }
            }
            _ => Self::new(code_of(&error), error.to_string()).hint(error.advice()),
        }
    }
}

/// The kind for an error of the file format.
#[must_use]
pub const fn code_of(error: &seqbac_header::Error) -> Code {
    use seqbac_header::Error as Format;
    match error {
        Format::NotABackup => Code::NotABackup,
        Format::UnsupportedVersion { .. } => Code::UnsupportedVersion,
        Format::HeaderCorrupt { .. } => Code::HeaderCorrupt,
        Format::WrongKey { .. } => Code::WrongKey,
        Format::HeaderTampered => Code::HeaderTampered,
        Format::Truncated { .. } => Code::Truncated,
        Format::Corrupt { .. } => Code::Corrupt,
        Format::TrailingData { .. } => Code::TrailingData,
        Format::ContentMismatch { .. } => Code::ContentMismatch,
        Format::Incomplete => Code::Incomplete,
        Format::Io(_) => Code::Unexpected,
    }
}

impl From<NotAKey> for Error {
    fn from(error: NotAKey) -> Self {
        Self::usage(error.to_string()).hint("a key is 44 characters of base64, as `moorline show-key` prints it")
    }
}

impl From<NotAnId> for Error {
    fn from(error: NotAnId) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<getrandom::Error> for Error {
    fn from(cause: getrandom::Error) -> Self {
        Self::new(Code::Unexpected, format!("the kernel returned no random numbers: {cause}"))
    }
}

/// Adds the operation and the path to an I/O error.
pub trait IoContext<T> {
    /// `cannot VERB PATH: reason`.
    fn on(self, verb: &str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn on(self, verb: &str, path: &Path) -> Result<T> {
        self.map_err(|cause| Error::io(verb, path, &cause))
    }
}

impl<T> IoContext<T> for nix::Result<T> {
    fn on(self, verb: &str, path: &Path) -> Result<T> {
        self.map_err(|errno| Error::io(verb, path, &errno.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_never_shown() {
        let error = Error::io("read", Path::new("/data/x"), &io::Error::from_raw_os_error(nix::libc::ENOENT));
        assert_eq!(error.message(), "cannot read /data/x: no such file or directory");
    }

    #[test]
    fn a_full_disk_is_transient() {
        let error = Error::io("write", Path::new("/data/x"), &io::Error::from_raw_os_error(nix::libc::ENOSPC));
        assert_eq!(error.code().exit(), 75);
        assert!(error.code().is_transient());
    }

    #[test]
    fn every_exit_code_names_one_kind() {
        for code in Code::ALL {
            assert_eq!(Code::from_exit(code.exit()), Some(code));
        }
        assert_eq!(Code::from_exit(3), None);
    }
}
