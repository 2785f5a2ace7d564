//! What moorline did on a volume: one line an event, in `.moorline/events/`, for the console, its signals and its apps.
//!
//! The lines are [CLEF](https://clef-json.org): one JSON object each, with `@t` (time, UTC, RFC 3339), `@mt` (message
//! template), `@l` (level; absent means Information), `@i` (event type) and the event's properties. With
//! `--log-format clef` they go to stderr as well. Any process may write them, at the same time: a line is one write. They
//! are bounded in size, and are no part of a backup.
//!
//! No promise: an event that cannot be written is lost, and whatever it tells of has happened all the same.

mod file;
mod kind;

use std::path::Path;

use serde_json::{Map, Value};

pub use self::{
    file::{Place, Stored, folder, read_after, read_before, record},
    kind::{Kind, Level},
};

/// The `log` target of events' lines: a text log has words of its own for what happened, and leaves them out.
pub const LOG_TARGET: &str = "moorline::event";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When.
    pub at: jiff::Timestamp,
    /// What.
    pub kind: Kind,
    /// The particulars, PascalCase. Never a secret.
    pub properties: Map<String, Value>,
}

impl Event {
    /// Of this kind, now.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { at: jiff::Timestamp::now(), kind, properties: Map::new() }
    }

    /// The same, with one more property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// The same, about this backup.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        let name = file.file_name().unwrap_or(file.as_os_str());
        self.with("FileName", name.to_string_lossy())
    }

    /// Its line, without the line feed.
    #[must_use]
    pub fn to_clef(&self) -> String {
        let mut line = Map::new();
        line.insert("@t".to_owned(), self.at.to_string().into());
        line.insert("@mt".to_owned(), self.kind.template().into());
        if self.kind.level() != Level::Information {
            line.insert("@l".to_owned(), self.kind.level().name().into());
        }
        line.insert("@i".to_owned(), self.kind.name().into());
        line.extend(self.properties.clone());
        Value::Object(line).to_string()
    }
}
