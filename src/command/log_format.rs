//! The lines of the log on stderr: text for people, with or without a time stamp, or CLEF for a log server.
//!
//! With `clef`, each line is one object of [CLEF](https://clef-json.org), and each event is a line of its own. The text
//! log omits events, because it has its own lines for the same facts.
//!
//! Without a chosen format, the commands that write the container's log, and their children, use `text`. All other
//! commands are typed by a person, who needs no time stamps, and use `plain`.

use std::{
    sync::atomic::{AtomicU8, Ordering},
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

/// The variable that names the format.
pub const VARIABLE: &str = "MOORLINE_LOG_FORMAT";

static CURRENT: AtomicU8 = AtomicU8::new(Format::Plain as u8);

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Format {
    /// `2026-11-28T05:16:02Z moorline: message`.
    Text,
    /// `moorline: message`.
    Plain,
    /// One JSON object per line.
    Clef,
}

impl Format {
    const ALL: [Self; 3] = [Self::Text, Self::Plain, Self::Clef];

    /// Selects the format that the environment names. An invalid value is reported later, with the command line.
    pub fn of_environment() {
        Self::in_environment().into_iter().for_each(Self::select);
    }

    fn in_environment() -> Option<Self> {
        std::env::var_os(VARIABLE).and_then(|value| Self::parse(value.to_str()?).ok())
    }

    /// Selects the default of a command that writes the container's log.
    pub fn default_of_log() {
        Self::in_environment().unwrap_or(Self::Text).select();
    }

    /// Parses the value of `--log-format`.
    pub fn parse(text: &str) -> Result<Self> {
        let unknown = || Error::usage(format!("unknown log format {text:?}")).hint("use text, plain or clef");
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(unknown)
    }

    /// Selects this format, for this process and its children.
    pub fn choose(self) {
        self.select();
        process::environment::set(VARIABLE, self.name());
    }

    fn select(self) {
        CURRENT.store(self as u8, Ordering::Relaxed);
    }

    /// The format of this process's log.
    #[must_use]
    pub fn current() -> Self {
        let current = CURRENT.load(Ordering::Relaxed);
        Self::ALL.into_iter().find(|format| *format as u8 == current).unwrap_or(Self::Plain)
    }

    /// The name, as in [`VARIABLE`].
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Plain => "plain",
            Self::Clef => "clef",
        }
    }

    /// A line with its line feed.
    fn line(self, text: &str) -> String {
        match self {
            Self::Text => format!("{:.0} moorline: {text}\n", now()),
            Self::Plain => format!("moorline: {text}\n"),
            Self::Clef => format!("{}\n", Value::Object(object(level_name(Level::Info), text))),
        }
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}

/// A line of moorline in a log file of its own, with its line feed.
#[must_use]
pub fn note(text: &str) -> String {
    Format::current().line(text)
}

/// A line for the container's log from a command whose own stderr is another file, with its line feed.
#[must_use]
pub fn line_of_container(text: &str) -> String {
    Format::in_environment().unwrap_or(Format::Text).line(text)
}

/// A line of the log with its line feed; `None` for an event in the text log. Control characters are escaped, so that
/// a file name cannot forge a second line, and secret keys are removed.
#[must_use]
pub fn line(record: &Record<'_>) -> Option<String> {
    let text = record.args().to_string();
    let is_event = record.target() == events::LOG_TARGET;
    match Format::current() {
        Format::Clef if is_event => Some(format!("{text}\n")),
        Format::Clef => Some(format!("{}\n", Value::Object(object(level_name(record.level()), &text)))),
        _ if is_event => None,
        words => Some(words.line(&format!("{}{}", prefix(record.level()), printable(&text)))),
    }
}

/// The lines of an error and its hint, each with a line feed.
#[must_use]
pub fn failure(error: &Error) -> String {
    let format = Format::current();
    if format == Format::Clef {
        let mut object = object(level_name(Level::Error), error.message());
        object.insert("Code".to_owned(), error.code().to_string().into());
        object.insert("Exit".to_owned(), error.code().exit().into());
        if let Some(hint) = error.advice() {
            object.insert("Hint".to_owned(), without_keys(hint).into());
        }
        return format!("{}\n", Value::Object(object));
    }
    let hint = error.advice().map(|hint| format.line(&format!("hint: {}", printable(hint))));
    format.line(&format!("error: {}", printable(error.message()))) + &hint.unwrap_or_default()
}

/// A usage error that clap has formatted: unchanged for a person, each line with its origin in the text log, one object in
/// CLEF.
#[must_use]
pub fn usage(text: String) -> String {
    match Format::current() {
        Format::Plain => text,
        Format::Text => text.lines().filter(|line| !line.is_empty()).map(|line| Format::Text.line(line)).collect(),
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
        Format::Clef => format!("{}\n", Value::Object(object("Fatal", &text))),
        words => words.line(&printable(&text)),
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
    let fields = [("@t", now().to_string()), ("@l", level.to_owned()), ("@m", without_keys(text))];
    fields.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect()
}
