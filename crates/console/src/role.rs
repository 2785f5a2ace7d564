//! The role of the console's process. PID 1 passes it on the command line, because the console cannot find it out.

use std::{fmt, str::FromStr};

use volume::error::{Error, Result};

/// How the console relates to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It is the server, because `run` got no command. Backups hold only its own state.
    Server,
    /// It runs beside the server in the same container; PID 1 restarts and stops it.
    Companion,
    /// It runs in a container of its own, or a user started it.
    #[default]
    Sidecar,
}

impl Role {
    /// The value on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Companion => "companion",
            Self::Sidecar => "sidecar",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Server, Self::Companion, Self::Sidecar];
        let found = all.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| {
            Error::usage(format!("unknown role {text:?} of the console: use server, companion or sidecar"))
        })
    }
}
