//! Whether a server may be writing to the volume.

use crate::prelude::*;
use volume::{lock, other_server};

/// What the volume's lock and the note of `init` show about the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// It is, or may be, running; with the reason.
    Running(String),
    /// A command of moorline holds the lock, and the server is not started yet.
    NotStarted,
    /// Nothing shows whether it is running.
    Unknown,
}

impl Server {
    /// Looks at the lock, then at the note.
    pub fn of(volume: &Volume) -> Result<Self> {
        let holder = lock::holder(volume)?;
        if let Some(holder) = holder.as_ref().filter(|holder| holder.server.is_some()) {
            return Ok(Self::Running(format!("`{}` runs the server", holder.command)));
        }
        if other_server::refuse(volume).is_err() {
            let why = "`moorline init` prepared the volume for a server that may be running";
            return Ok(Self::Running(why.to_owned()));
        }
        // A console that holds the lock says nothing about the server, which may be in another container.
        Ok(match holder {
            Some(_) if !lock::console_runs(volume)? => Self::NotStarted,
            _ => Self::Unknown,
        })
    }

    /// Whether the lock or the note shows that it may be running.
    pub const fn may_run(&self) -> bool {
        matches!(self, Self::Running(_))
    }
}
