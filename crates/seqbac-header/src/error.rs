//! The errors of a backup. Each has its own name and exit code, so that a script can react to the cause.

use std::{fmt, io, ops::Range};

use crate::{Fingerprint, RelPath};

/// A fault of a backup, or a failure to read or write it at all ([`Error::Io`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not begin with [`MAGIC`](crate::MAGIC).
    #[error("not a backup: the file does not begin like a .seqbac file")]
    NotABackup,
    /// A version, suite, flag or field that is unknown and must not be ignored.
    #[error("this program cannot read the backup, because its version is not supported: {what}")]
    UnsupportedVersion {
        /// The unknown part.
        what: String,
    },
    /// The length, the checksum or a field of the header is invalid.
    #[error("the header of the backup is damaged: {what}")]
    HeaderCorrupt {
        /// The invalid part.
        what: String,
    },
    /// Another secret key sealed the backup.
    #[error(
        "the secret key is not the one that sealed the backup: the backup's fingerprint is {file}, the key's {key}"
    )]
    WrongKey {
        /// The fingerprint in the header.
        file: Fingerprint,
        /// The fingerprint of the key that the caller passed.
        key: Fingerprint,
    },
    /// The header's checksum is correct, but its MAC is not.
    #[error("the header of the backup was edited: its checksum is correct, but its authentication fails")]
    HeaderTampered,
    /// The file ends before the last segment.
    #[error("the backup is cut short after {length} bytes{}", after(*.last_good_segment))]
    Truncated {
        /// The last segment that was complete and authentic.
        last_good_segment: Option<u32>,
        /// Length of the file in bytes.
        length: u64,
    },
    /// A segment differs from the one that the writer wrote.
    #[error("the backup is damaged{}{}{}", location(.segment, .bytes), cause(*.damage), affected(.members.as_deref()))]
    Corrupt {
        /// Number of the segment; `None` if the damage was found without the key.
        segment: Option<u32>,
        /// Byte range of the damage in the file.
        bytes: Range<u64>,
        /// The members that overlap the segment, if `seqbac::diagnose` could determine them.
        members: Option<Vec<RelPath>>,
        /// The cause, if `seqbac::diagnose` could determine it.
        damage: Option<Damage>,
    },
    /// The file has extra bytes after the end of the backup.
    #[error("the backup ends at byte {end}, but the file continues")]
    TrailingData {
        /// Offset in the file at which the payload ends.
        end: u64,
    },
    /// The backup decrypts, but its parts contradict each other or the format.
    #[error("the backup is authentic, but its content is inconsistent: {what}")]
    ContentMismatch {
        /// The contradiction.
        what: String,
    },
    /// The backup decrypts, but its writer did not finish.
    #[error("the backup is incomplete: its writer did not finish it, so it has no digest.json")]
    Incomplete,
    /// An I/O error.
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
}

/// The error for a text that is not a secret key. It never contains the text, because the text may be most of a key.
#[derive(Debug, thiserror::Error)]
#[error("the secret key from {origin} is invalid: {reason}")]
pub struct NotAKey {
    /// The source of the text, such as a variable or a file.
    pub origin: String,
    /// The fault of the text.
    pub reason: String,
}

/// The message of an I/O error in lower case, without the error number that `std` adds.
#[must_use]
pub fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

/// The cause of a damaged segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The payload's checksum is wrong as well: a bad disk or transfer.
    Rot,
    /// The payload's checksum is correct: the bytes were edited and the checksum was recomputed.
    Tampering,
}

fn after(last_good_segment: Option<u32>) -> String {
    last_good_segment.map_or_else(String::new, |segment| format!("; segment {segment} is the last good one"))
}

fn location(segment: &Option<u32>, bytes: &Range<u64>) -> String {
    let segment = segment.map_or_else(String::new, |segment| format!("segment {segment}, "));
    format!(" in {segment}bytes {} to {}", bytes.start, bytes.end)
}

fn cause(damage: Option<Damage>) -> &'static str {
    match damage {
        Some(Damage::Rot) => " (its checksum is wrong too: a bad disk or transfer)",
        Some(Damage::Tampering) => " (its checksum was recomputed, so the file was edited on purpose)",
        None => "",
    }
}

/// Lists the first five affected members.
fn affected(members: Option<&[RelPath]>) -> String {
    struct FirstFive<'a>(&'a [RelPath]);
    impl fmt::Display for FirstFive<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().take(5).enumerate().try_for_each(|(at, path)| {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{path}")
            })?;
            if self.0.len() > 5 { write!(f, " and {} more", self.0.len() - 5) } else { Ok(()) }
        }
    }
    match members {
        None => String::new(),
        Some([]) => "; no member is affected".to_owned(),
        Some(members) => format!("; affected: {}", FirstFive(members)),
    }
}

impl Error {
    /// The name of the error in the specification.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotABackup => "NotABackup",
            Self::UnsupportedVersion { .. } => "UnsupportedVersion",
            Self::HeaderCorrupt { .. } => "HeaderCorrupt",
            Self::WrongKey { .. } => "WrongKey",
            Self::HeaderTampered => "HeaderTampered",
            Self::Truncated { .. } => "Truncated",
            Self::Corrupt { .. } => "Corrupt",
            Self::TrailingData { .. } => "TrailingData",
            Self::ContentMismatch { .. } => "ContentMismatch",
            Self::Incomplete => "Incomplete",
            Self::Io(_) => "Io",
        }
    }

    /// Unwraps an error that a `Read` implementation passed through `io::Error`; otherwise returns `Io`.
    #[must_use]
    pub fn from_io(cause: io::Error) -> Self {
        match cause.downcast::<Self>() {
            Ok(ours) => ours,
            Err(cause) => Self::Io(cause),
        }
    }

    /// Creates a [`Self::ContentMismatch`].
    pub fn mismatch(what: impl Into<String>) -> Self {
        Self::ContentMismatch { what: what.into() }
    }

    /// The hint; empty for I/O errors.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NotABackup => {
                "name a file that `moorline backup` wrote; moorline cannot read Datalust's own .seqbac files"
            }
            Self::UnsupportedVersion { .. } => "use the version of moorline that wrote it, or a newer one",
            Self::WrongKey { .. } => "pass the key that was in use when the backup was taken, with --secret-key",
            Self::HeaderCorrupt { .. } | Self::Truncated { .. } | Self::Corrupt { .. } => {
                "copy the file again if it was copied, or use another backup; `moorline verify` checks all backups"
            }
            Self::HeaderTampered => "do not trust this file; use another backup, and find out who can write to it",
            Self::TrailingData { .. } => {
                "find out what was added to the file; if you cut it off, the backup is complete again"
            }
            Self::ContentMismatch { .. } => {
                "use another backup, and report this as a bug of the program that wrote the backup"
            }
            Self::Incomplete => "use another backup; `moorline verify` checks all backups",
            Self::Io(_) => "",
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(cause) => cause,
            error => Self::new(io::ErrorKind::InvalidData, error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_a_round_trip_through_io_error() {
        let there = io::Error::from(Error::TrailingData { end: 7 });
        assert!(matches!(Error::from_io(there), Error::TrailingData { end: 7 }));
        let plain = io::Error::from_raw_os_error(5);
        assert!(matches!(Error::from_io(plain), Error::Io(cause) if cause.raw_os_error() == Some(5)));
    }

    #[test]
    fn damage_is_reported_in_one_line() {
        let members = ["a", "b", "c", "d", "e", "f"].map(|name| RelPath::new(name).expect("a path")).to_vec();
        let error =
            Error::Corrupt { segment: Some(3), bytes: 10..20, members: Some(members), damage: Some(Damage::Rot) };
        assert_eq!(
            error.to_string(),
            "the backup is damaged in segment 3, bytes 10 to 20 (its checksum is wrong too: a bad disk or transfer); \
             affected: a, b, c, d, e and 1 more"
        );
    }
}
