//! Events: the record of moorline's actions on a volume, one line each in `.moorline/events/`. The console shows them and
//! sends notifications about them.
//!
//! The lines are [CLEF](https://clef-json.org): one JSON object each, with `@t` (time, UTC, RFC 3339), `@mt` (message
//! template), `@l` (level; absent means Information), `@i` (event type) and the event's properties. With
//! `--log-format clef` they go to stderr as well. Several processes may write at the same time, because each line is one
//! write. The files are limited in size and are not part of a backup.
//!
//! Limitation: an event that cannot be written is lost.

mod file;
mod kind;

use std::path::Path;

use serde_json::{Map, Value};

pub use self::{
    file::{EventPosition, Stored, folder, read_after, read_before, record},
    kind::{Kind, Level},
};

/// The `log` target of events. The text log omits them, because it has its own lines for the same facts.
pub const LOG_TARGET: &str = "moorline::event";

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The time.
    pub at: jiff::Timestamp,
    /// The event type.
    pub kind: Kind,
    /// The properties, with names in PascalCase. Never a secret.
    pub properties: Map<String, Value>,
}

impl Event {
    /// An event of this kind that happens now.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { at: jiff::Timestamp::now(), kind, properties: Map::new() }
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the file name of a backup.
    #[must_use]
    pub fn about(self, file: &Path) -> Self {
        let name = file.file_name().unwrap_or(file.as_os_str());
        self.with("FileName", name.to_string_lossy())
    }

    /// The event as a line of CLEF, without the line feed.
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
