//! The ten things that can be wrong with a backup, told apart by name and by exit code.

use std::{fmt, io, ops::Range};

use crate::{Fingerprint, RelPath};

/// What is wrong with a backup, or that it could not be read or written at all ([`Error::Io`]).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not start with the magic.
    #[error("not a backup: the file does not start as a .seqbac file does")]
    NotABackup,
    /// A version, suite, flag or field that this program does not know and may not ignore.
    #[error("a backup of a version that this program cannot read: {what}")]
    UnsupportedVersion {
        /// What is unknown.
        what: String,
    },
    /// The header's length, checksum or fields make no sense.
    #[error("the header of the backup is damaged: {what}")]
    HeaderCorrupt {
        /// What makes no sense.
        what: String,
    },
    /// The backup was sealed with another secret key.
    #[error(
        "the secret key is not the one that sealed the backup: the backup's fingerprint is {file}, the key's {key}"
    )]
    WrongKey {
        /// The fingerprint in the header.
        file: Fingerprint,
        /// The fingerprint of the key that was tried.
        key: Fingerprint,
    },
    /// The checksum of the header is right, its authentication is not.
    #[error("the header of the backup was edited: its checksum is right, its authentication is not")]
    HeaderTampered,
    /// The file ends, and no segment was the last.
    #[error("the backup is cut short after {length} bytes{}", after(*.last_good_segment))]
    Truncated {
        /// The last segment that was whole and genuine.
        last_good_segment: Option<u32>,
        /// Length of the file.
        length: u64,
    },
    /// A segment is not what was written.
    #[error("the backup is damaged{}{}{}", place(.segment, .bytes), verdict(*.damage), hit(.members.as_deref()))]
    Corrupt {
        /// Which segment; unknown where the damage was found without the key.
        segment: Option<u32>,
        /// Where it is in the file.
        bytes: Range<u64>,
        /// The members that are at least partly in it, if `seqbac::diagnose` could find out.
        members: Option<Vec<RelPath>>,
        /// How it came about, if `seqbac::diagnose` could find out.
        damage: Option<Damage>,
    },
    /// There is something behind the end.
    #[error("the backup ends at byte {end}, but the file goes on")]
    TrailingData {
        /// Where the payload ends.
        end: u64,
    },
    /// It decrypts, but what is in it is not what it says.
    #[error("the backup is genuine, but its content is not what it says: {what}")]
    ContentMismatch {
        /// What does not agree.
        what: String,
    },
    /// It decrypts, but its writer did not finish.
    #[error("the backup is incomplete: its writer did not finish it, there is no digest.json")]
    Incomplete,
    /// It could not be read or written.
    #[error("{}", reason(.0))]
    Io(#[from] io::Error),
}

/// A text that is not a secret key. The text itself is never part of it.
#[derive(Debug, thiserror::Error)]
#[error("the secret key from {origin} is not a key: {reason}")]
pub struct NotAKey {
    /// Where the text came from.
    pub origin: String,
    /// What is wrong with it.
    pub reason: String,
}

/// An I/O error in words: without the errno that `std` adds.
#[must_use]
pub fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error ") {
        Some(at) => text[..at].to_lowercase(),
        None => text,
    }
}

/// How a segment came to be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The payload's checksum is wrong too: a bad disk, a bad transfer.
    Rot,
    /// The payload's checksum fits: somebody changed the bytes and corrected it.
    Tampering,
}

fn after(last_good_segment: Option<u32>) -> String {
    last_good_segment.map_or_else(String::new, |segment| format!("; segment {segment} is the last good one"))
}

fn place(segment: &Option<u32>, bytes: &Range<u64>) -> String {
    let segment = segment.map_or_else(String::new, |segment| format!("segment {segment}, "));
    format!(" in {segment}bytes {} to {}", bytes.start, bytes.end)
}

fn verdict(damage: Option<Damage>) -> &'static str {
    match damage {
        Some(Damage::Rot) => " (its checksum is wrong too: a bad disk or transfer)",
        Some(Damage::Tampering) => " (its checksum was made to fit: somebody edited it)",
        None => "",
    }
}

/// The members hit, in words; the first few where there are many.
fn hit(members: Option<&[RelPath]>) -> String {
    struct Some_<'a>(&'a [RelPath]);
    impl fmt::Display for Some_<'_> {
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
        Some([]) => "; no member is hit".to_owned(),
        Some(members) => format!("; hit: {}", Some_(members)),
    }
}

impl Error {
    /// Its name, as the specification has it.
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

    /// The error that a `Read` of this module wrapped, or else the I/O error itself.
    #[must_use]
    pub fn from_io(cause: io::Error) -> Self {
        match cause.downcast::<Self>() {
            Ok(ours) => ours,
            Err(cause) => Self::Io(cause),
        }
    }

    /// What decrypts is not what it says.
    pub fn mismatch(what: impl Into<String>) -> Self {
        Self::ContentMismatch { what: what.into() }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::NotABackup => "give a file that `moorline backup` wrote; Datalust's own .seqbac files cannot be read",
            Self::UnsupportedVersion { .. } => "use the version of moorline that wrote it, or a newer one",
            Self::WrongKey { .. } => "give the key that was in use when the backup was made, with --secret-key",
            Self::HeaderCorrupt { .. } | Self::Truncated { .. } | Self::Corrupt { .. } => {
                "fetch the file again if it was copied, or use another backup; `moorline verify` checks them"
            }
            Self::HeaderTampered => "do not trust this file; use another backup, and find out who can write to it",
            Self::TrailingData { .. } => "find out what was added to the file; cut at its end it is a whole backup",
            Self::ContentMismatch { .. } => {
                "use another backup, and report this: the program that wrote it was at fault"
            }
            Self::Incomplete => "use another backup",
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
    fn an_error_survives_the_way_through_io() {
        let there = io::Error::from(Error::TrailingData { end: 7 });
        assert!(matches!(Error::from_io(there), Error::TrailingData { end: 7 }));
        let plain = io::Error::from_raw_os_error(5);
        assert!(matches!(Error::from_io(plain), Error::Io(cause) if cause.raw_os_error() == Some(5)));
    }

    #[test]
    fn damage_is_told_in_one_line() {
        let members = ["a", "b", "c", "d", "e", "f"].map(|name| RelPath::new(name).expect("a path")).to_vec();
        let error =
            Error::Corrupt { segment: Some(3), bytes: 10..20, members: Some(members), damage: Some(Damage::Rot) };
        assert_eq!(
            error.to_string(),
            "the backup is damaged in segment 3, bytes 10 to 20 (its checksum is wrong too: a bad disk or transfer); \
             hit: a, b, c, d, e and 1 more"
        );
    }
}
