//! When a script runs: once before the server, at every start before it, or once after the server became healthy.

use std::path::Path;

use super::recognise::ScriptKind;
use seqbac_header::RelPath;
use volume::error::{Code, Error, Result};

/// When the scripts of a folder run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// `Init/`: once, before the server.
    Once,
    /// `Init/start.d/`: at every start, before the server.
    EveryStart,
    /// `Init/ready.d/`: once, after the server became healthy.
    AfterStart,
}

impl Stage {
    /// The name of the stage's folder in `Init/`; `None` for `Init/` itself.
    #[must_use]
    pub const fn folder(self) -> Option<&'static str> {
        match self {
            Self::Once => None,
            Self::EveryStart => Some("start.d"),
            Self::AfterStart => Some("ready.d"),
        }
    }

    /// Whether this name in `Init/` is a stage's folder.
    #[must_use]
    pub fn is_folder(name: &RelPath) -> bool {
        [Self::EveryStart, Self::AfterStart].iter().any(|stage| stage.folder().map(Path::new) == Some(name.as_path()))
    }

    /// Refuses a restore beside the server, because a restore needs the volume for itself.
    pub fn refuse(self, kind: ScriptKind) -> Result<ScriptKind> {
        let ScriptKind::BuiltIn(commands) = &kind else { return Ok(kind) };
        let replaces = |word: &String| matches!(word.as_str(), "restore" | "rollback");
        match commands.iter().find(|command| command.arguments.iter().any(replaces)) {
            Some(command) if self == Self::AfterStart => Err(Error::new(
                Code::ScriptUnrunnable,
                format!("line {} replaces the state while the server uses it", command.line),
            )
            .hint("move the script from Init/ready.d/ to Init/, where it runs before the server")),
            _ => Ok(kind),
        }
    }
}
