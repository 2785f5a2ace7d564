//! What went wrong, for the person who reads a container's log at night.
//!
//! Every failure has one [`Code`] (a name and a documented exit code), a message that says what failed, on what and
//! why, and where there is one a hint that says what to do next. A message never holds a secret and never a bare
//! errno. Errors of the file format have an enum of their own, [`seqbac_header::Error`], because its callers tell
//! them apart.

use std::{fmt, io, path::Path};

use seqbac_header::{NotAKey, NotAnId};

pub use seqbac_header::error::reason;

/// The result of everything above the file format.
pub type Result<T> = std::result::Result<T, Error>;

/// What kind of failure it is. The table of `docs/cli.md`, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Something that has no kind of its own: an I/O error, a program that could not be started.
    Unexpected = 1,
    /// A command line or a setting that makes no sense.
    Usage = 2,
    /// No such backup, secret key, script or restore set.
    NotFound = 10,
    /// A confirmation is needed and there is no terminal to ask on.
    ConfirmationNeeded = 11,
    /// The secret key is not the one that sealed the backup, or not the volume's.
    WrongKey = 12,
    /// What the server's apps are is unknown, or they could not be switched off.
    AppsUnknown = 13,
    /// An init script that cannot be run.
    ScriptUnrunnable = 14,
    /// Not a backup at all.
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
    /// A backup with bytes behind its end.
    TrailingData = 26,
    /// A backup that decrypts, but whose content is not what it says.
    ContentMismatch = 27,
    /// A backup whose writer did not finish.
    Incomplete = 28,
    /// A backup was made, but the database in it has faults.
    Unverified = 29,
    /// A bug in moorline.
    Bug = 70,
    /// Not now: a lock is held, the disk is full, a target is out of reach.
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

    /// The process's exit code for it.
    #[must_use]
    pub const fn exit(self) -> u8 {
        self as u8
    }

    /// The kind that an exit code of one of our own verbs stands for.
    #[must_use]
    pub fn from_exit(exit: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.exit() == exit)
    }

    /// Whether the same command on the same volume could succeed later without anybody mending anything.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::TryAgain)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One failure: its kind, what happened, and what to do next.
#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// A failure of this kind. The message starts in lower case and has no full stop.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// A setting or command line that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// `cannot VERB PATH: reason`, with the hints that the well-known reasons have.
    pub fn io(verb: &str, path: &Path, cause: &io::Error) -> Self {
        if let Some(carried) = Self::carried_by(cause) {
            return carried.clone();
        }
        let (code, hint) = match cause.raw_os_error() {
            Some(nix::libc::ENOSPC | nix::libc::EDQUOT) => (
                Code::TryAgain,
                Some("free space on the volume; `moorline rollback --list` shows what restores have kept"),
            ),
            Some(nix::libc::EXDEV) => (
                Code::Unexpected,
                Some("keep the whole state on one volume: a directory of the container's image cannot be moved"),
            ),
            Some(nix::libc::EROFS) => (Code::Unexpected, Some("mount the volume read-write")),
            Some(nix::libc::EACCES | nix::libc::EPERM) => {
                (Code::Unexpected, Some("check the owner and mode of the path against the user the container runs as"))
            }
            _ => (Code::Unexpected, None),
        };
        let mut error = Self::new(code, format!("cannot {verb} {}: {}", path.display(), reason(cause)));
        error.hint = hint.map(str::to_owned);
        error
    }

    /// The failure that an I/O error carries, if it was made from one.
    #[must_use]
    pub fn carried_by(cause: &io::Error) -> Option<&Self> {
        cause.get_ref()?.downcast_ref()
    }

    /// What to do next, as a sentence without its full stop.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure, with what was being done in front: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same failure under another kind.
    #[must_use]
    pub const fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What failed, on what, and why.
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

/// So that a failure keeps its kind on its way through a [`std::io::Read`]; [`Error::carried_by`] gets it back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

impl From<seqbac_header::Error> for Error {
    fn from(error: seqbac_header::Error) -> Self {
        match &error {
            // The same hints that every I/O error has; whoever knows the path adds it with `context`.
            seqbac_header::Error::Io(cause) => {
                let full = matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                // One without an errno is ours: there is no such member.
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

/// The kind, and so the exit code, of an error of the format.
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
        Self::new(Code::Unexpected, format!("the kernel gives no random numbers: {cause}"))
    }
}

/// Names the operation and the path of an I/O error.
pub trait IoContext<T> {
    /// `cannot VERB PATH: reason`.
    ///
    /// # Errors
    /// The I/O error, as [`Error::io`] words it.
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
    fn a_full_disk_may_pass() {
        let error = Error::io("write", Path::new("/data/x"), &io::Error::from_raw_os_error(nix::libc::ENOSPC));
        assert_eq!(error.code().exit(), 75);
        assert!(error.code().may_pass());
    }

    #[test]
    fn every_exit_code_names_one_kind() {
        for code in Code::ALL {
            assert_eq!(Code::from_exit(code.exit()), Some(code));
        }
        assert_eq!(Code::from_exit(3), None);
    }
}
