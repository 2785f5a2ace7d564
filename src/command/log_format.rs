//! The log's lines on stderr: words for people, or objects for a log server.
//!
//! With `clef` each line is one object of [CLEF](https://clef-json.org), and events are lines of their own. In words they
//! are left out: a text log has its own lines for what happened.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::SystemTime,
};

use log::{Level, Record};
use serde_json::{Map, Value};

use super::output::printable;
use seqbac_header::without_keys;
use volume::{
    error::{Code, Error, Result},
    events,
};

/// The setting, which children of this process are to find too.
const VARIABLE: &str = "MOORLINE_LOG_FORMAT";

static CLEF: AtomicBool = AtomicBool::new(false);

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `moorline: what happened`, one line an event.
    Text,
    /// One JSON object a line.
    Clef,
}

impl Format {
    /// From now on, as the environment says. What makes no sense there is said by whoever reads the command line.
    pub fn of_environment() {
        let is_clef = std::env::var_os(VARIABLE).is_some_and(|value| value == "clef");
        CLEF.store(is_clef, Ordering::Relaxed);
    }

    /// What was typed.
    ///
    /// # Errors
    /// `Usage` for anything but `text` and `clef`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "clef" => Ok(Self::Clef),
            _ => Err(Error::usage(format!("the log format {text:?} is not known")).hint("use text or clef")),
        }
    }

    /// From now on, also in children.
    pub fn choose(self) {
        CLEF.store(self == Self::Clef, Ordering::Relaxed);
        if std::env::var_os(VARIABLE).is_some() || self == Self::Clef {
            let name = if self == Self::Clef { "clef" } else { "text" };
            process::environment::set(VARIABLE, name);
        }
    }

    fn current() -> Self {
        if CLEF.load(Ordering::Relaxed) { Self::Clef } else { Self::Text }
    }
}

/// A line of the log, without the line feed; `None` where this one is left out. A name in it cannot forge a second line,
/// and no secret key is in it.
#[must_use]
pub fn line(record: &Record<'_>) -> Option<String> {
    let text = record.args().to_string();
    let is_event = record.target() == events::LOG_TARGET;
    match Format::current() {
        Format::Text if is_event => None,
        Format::Text => Some(format!("moorline: {}{}", prefix(record.level()), printable(&text))),
        Format::Clef if is_event => Some(text),
        Format::Clef => Some(Value::Object(object(level_name(record.level()), &text)).to_string()),
    }
}

/// The lines of a failure, each with its line feed.
#[must_use]
pub fn failure(error: &Error) -> String {
    if Format::current() == Format::Clef {
        let mut object = object(level_name(Level::Error), error.message());
        object.insert("Code".to_owned(), error.code().to_string().into());
        object.insert("Exit".to_owned(), error.code().exit().into());
        if let Some(hint) = error.advice() {
            object.insert("Hint".to_owned(), without_keys(hint).into());
        }
        return format!("{}\n", Value::Object(object));
    }
    let hint = error.advice().map(|hint| format!("moorline: hint: {}\n", printable(hint)));
    format!("moorline: error: {}\n{}", printable(error.message()), hint.unwrap_or_default())
}

/// What somebody else has put into words, as they are or as one line.
#[must_use]
pub fn usage(text: String) -> String {
    match Format::current() {
        Format::Text => text,
        Format::Clef => {
            let mut object = object(level_name(Level::Error), text.trim_end());
            object.insert("Code".to_owned(), Code::Usage.to_string().into());
            object.insert("Exit".to_owned(), Code::Usage.exit().into());
            format!("{}\n", Value::Object(object))
        }
    }
}

/// The line of a bug, with its line feed.
#[must_use]
pub fn bug(what: &str) -> String {
    let text = format!("this is a bug: {what}; nothing was lost, please report it");
    match Format::current() {
        Format::Text => format!("moorline: {}\n", printable(&text)),
        Format::Clef => format!("{}\n", Value::Object(object("Fatal", &text))),
    }
}

const fn prefix(level: Level) -> &'static str {
    match level {
        Level::Error => "error: ",
        Level::Warn => "warning: ",
        Level::Info | Level::Debug | Level::Trace => "",
    }
}

/// Levels as Seq has them.
const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => events::Level::Error.name(),
        Level::Warn => events::Level::Warning.name(),
        Level::Info => events::Level::Information.name(),
        Level::Debug => "Debug",
        Level::Trace => "Verbose",
    }
}

fn object(level: &str, text: &str) -> Map<String, Value> {
    let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    let fields = [("@t", now.to_string()), ("@l", level.to_owned()), ("@m", without_keys(text))];
    fields.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect()
}
