//! What the console is, seen from PID 1: whoever starts it says so, because it cannot tell.

use std::{fmt, str::FromStr};

use volume::error::{Error, Result};

/// The place of a console's process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The server itself: `run` was given no command. Its state is all that there is to back up.
    Server,
    /// Beside a server, in its container: PID 1 starts it again, and stops it.
    Companion,
    /// In a container of its own, or started by a person.
    #[default]
    Sidecar,
}

impl Role {
    /// Its name.
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
        found.ok_or_else(|| Error::usage(format!("{text:?} is not what a console is: server, companion or sidecar")))
    }
}
