//! The lines of the log on stderr: text for people, or CLEF for a log server.
//!
//! With `clef`, each line is one object of [CLEF](https://clef-json.org), and each event is a line of its own. The text
//! log omits events, because it has its own lines for the same facts.

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

/// Children of this process inherit this variable.
const VARIABLE: &str = "MOORLINE_LOG_FORMAT";

static CLEF: AtomicBool = AtomicBool::new(false);

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `moorline: message`.
    Text,
    /// One JSON object per line.
    Clef,
}

impl Format {
    /// Selects the format that the environment names. An invalid value is reported later, with the command line.
    pub fn of_environment() {
        let is_clef = std::env::var_os(VARIABLE).is_some_and(|value| value == "clef");
        CLEF.store(is_clef, Ordering::Relaxed);
    }

    /// Parses the value of `--log-format`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "text" => Ok(Self::Text),
            "clef" => Ok(Self::Clef),
            _ => Err(Error::usage(format!("unknown log format {text:?}")).hint("use text or clef")),
        }
    }

    /// Selects this format, for this process and its children.
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

/// A line of the log without the line feed; `None` for an event in the text log. Control characters are escaped, so that
/// a file name cannot forge a second line, and secret keys are removed.
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

/// The lines of an error and its hint, each with a line feed.
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

/// A usage error that clap has formatted: unchanged in the text log, one object in CLEF.
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

/// The line for a panic, with its line feed.
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

/// The names of Seq's levels.
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
