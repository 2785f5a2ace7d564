//! Parsing a command line with the tables of [`super::options`].

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use lexopt::Arg;
use volume::error::{Error, Result};

use super::options::{COMMANDS, Definition, GLOBAL, OF_ENGINE, Opt, Rest, find};

/// Which program carries out a command line.
#[derive(Debug)]
pub enum Recognised {
    /// `--version`.
    Version,
    /// `--check-install`.
    CheckInstall,
    /// A command of this program.
    Own(&'static Definition),
    /// A command of the engine, or help.
    Engine,
    /// Another program, to be executed as it is.
    Bare {
        /// The value of `--storage`, if it was passed.
        storage: Option<PathBuf>,
        /// The index of the argument that names the program.
        first: usize,
    },
}

/// Decides by the first argument that is not a global option.
#[must_use]
pub fn recognise(arguments: &[OsString]) -> Recognised {
    let mut storage = None;
    let mut at = 1;
    while let Some(argument) = arguments.get(at) {
        let text = argument.to_string_lossy();
        match text.strip_prefix("--").map(|option| option.split_once('=').unwrap_or((option, ""))) {
            Some(("version", "")) => return Recognised::Version,
            Some(("check-install", "")) => return Recognised::CheckInstall,
            Some((name, _)) if GLOBAL.iter().any(|option| option.name == name) => {
                let value = match text.contains('=') {
                    true => OsString::from(&text[name.len() + 3..]),
                    false => {
                        at += 1;
                        arguments.get(at).cloned().unwrap_or_default()
                    }
                };
                if name == "storage" {
                    storage = Some(PathBuf::from(value));
                }
                at += 1;
            }
            None if text == "-V" => return Recognised::Version,
            Some(_) => return Recognised::Engine,
            None if text.starts_with('-') => return Recognised::Engine,
            None => return of_word(&text, arguments, at, storage),
        }
    }
    Recognised::Engine
}

fn of_word(word: &str, arguments: &[OsString], at: usize, storage: Option<PathBuf>) -> Recognised {
    let asks_for_help = || {
        let options = arguments[at..].iter().take_while(|argument| *argument != "--");
        options.into_iter().any(|argument| argument == "--help" || argument == "-h")
    };
    match find(word) {
        Some(command) if command.rest == Rest::Arguments || !asks_for_help() => Recognised::Own(command),
        Some(_) => Recognised::Engine,
        None if OF_ENGINE.contains(&word) => Recognised::Engine,
        None => Recognised::Bare { storage, first: at },
    }
}

/// A parsed command line of this program.
#[derive(Debug)]
pub struct Parsed {
    pub command: &'static Definition,
    options: Vec<(&'static str, OsString)>,
    pub rest: Vec<OsString>,
}

/// Parses the options and the rest of a command line.
pub fn parse(command: &'static Definition, arguments: &[OsString]) -> Result<Parsed> {
    let dashes = match command.rest {
        Rest::AfterDashes => arguments.iter().position(|argument| argument == "--"),
        Rest::Nothing | Rest::Arguments => None,
    };
    let mut parsed = Parsed { command, options: Vec::new(), rest: Vec::new() };
    let ours = arguments.get(1..dashes.unwrap_or(arguments.len())).unwrap_or_default();
    let mut parser = lexopt::Parser::from_args(ours.iter().cloned());
    let mut is_named = false;
    while let Some(argument) = parser.next().map_err(|error| usage(command, &error))? {
        match argument {
            Arg::Long(name) => {
                let option = parsed.option(name)?;
                let value = match option.value {
                    Some(_) => parser.value().map_err(|error| usage(command, &error))?,
                    None => OsString::new(),
                };
                parsed.add(option, value)?;
            }
            Arg::Value(word) if !is_named && word == command.name => {
                is_named = true;
                if command.rest == Rest::Arguments {
                    parsed.rest = parser.raw_args().map_err(|error| usage(command, &error))?.collect();
                    parsed.rest.first().is_some_and(|first| first == "--").then(|| parsed.rest.remove(0));
                    break;
                }
            }
            Arg::Value(word) => return Err(parsed.stray(&word)),
            Arg::Short(letter) => return Err(parsed.unknown(&format!("-{letter}"))),
        }
    }
    if let Some(dashes) = dashes {
        parsed.rest = arguments[dashes + 1..].to_vec();
    }
    Ok(parsed)
}

impl Parsed {
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    #[must_use]
    pub fn value(&self, name: &str) -> Option<&OsStr> {
        self.options.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_os_str())
    }

    /// The value of an option, which must be UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>> {
        let not_text = || Error::usage(format!("--{name} is not UTF-8 text"));
        self.value(name).map(|value| value.to_str().ok_or_else(not_text)).transpose()
    }

    /// All values of a repeatable option, with lists split at commas.
    pub fn list(&self, name: &str) -> Result<Vec<String>> {
        let mut list = Vec::new();
        for (_, value) in self.options.iter().filter(|(given, _)| *given == name) {
            let text = value.to_str().ok_or_else(|| Error::usage(format!("--{name} is not UTF-8 text")))?;
            list.extend(text.split(',').map(str::to_owned));
        }
        Ok(list)
    }

    fn option(&self, name: &str) -> Result<&'static Opt> {
        let mut known = self.command.options.iter().chain(GLOBAL);
        known.find(|option| option.name == name).ok_or_else(|| self.unknown(&format!("--{name}")))
    }

    fn add(&mut self, option: &'static Opt, value: OsString) -> Result<()> {
        if !option.many && self.has(option.name) {
            return Err(Error::usage(format!("--{} was passed more than once", option.name)).hint("pass it once"));
        }
        self.options.push((option.name, value));
        Ok(())
    }

    fn unknown(&self, option: &str) -> Error {
        let name = option.trim_start_matches('-');
        let known = self.command.options.iter().chain(GLOBAL).map(|known| known.name);
        let hint = match nearest(name, known) {
            Some(nearest) => format!("did you mean --{nearest}?"),
            None => format!("`moorline {} --help` lists its options", self.command.name),
        };
        Error::usage(format!("`moorline {}` has no option {option}", self.command.name)).hint(hint)
    }

    fn stray(&self, word: &OsStr) -> Error {
        let error =
            Error::usage(format!("unexpected argument `{}` for `moorline {}`", word.display(), self.command.name));
        match self.command.rest {
            Rest::AfterDashes => {
                error.hint("put the server and its arguments behind `--`: run -- my-server --its-flag")
            }
            Rest::Nothing | Rest::Arguments => {
                error.hint(format!("`moorline {} --help` lists its options", self.command.name))
            }
        }
    }
}

fn usage(command: &Definition, error: &lexopt::Error) -> Error {
    Error::usage(format!("`moorline {}`: {error}", command.name))
        .hint(format!("`moorline {} --help` lists its options", command.name))
}

/// The command with the most similar name, for "did you mean".
#[must_use]
pub fn nearest_command(word: &str) -> Option<&'static str> {
    let own = COMMANDS.iter().filter(|command| !command.hidden).map(|command| command.name);
    nearest(word, own.chain(OF_ENGINE.iter().copied()))
}

/// The most similar of these words.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// The threshold that clap uses.
    const ALIKE: f64 = 0.7;
    let scored = known.map(|known| (strsim::jaro(word, known), known)).filter(|(score, _)| *score > ALIKE);
    scored.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, known)| known)
}
