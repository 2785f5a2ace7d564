//! `restore` and `rollback` inside an init script: PID 1 learns that they failed, even if the script ignores it.

use std::{ffi::OsString, path::PathBuf};

use moorline::command::environment::Environment;
use moorline::init::Reporter;
use volume::{
    Volume,
    error::{Code, Error},
};

/// A command that replaces the state.
#[derive(Debug, Clone, Copy)]
pub struct Replacing {
    /// Its name.
    pub command: &'static str,
    /// Whether the script handles its failure: `--may-fail`.
    pub may_fail: bool,
}

/// Reports how a command ends to the script that called it.
#[derive(Debug)]
pub struct InScript {
    reporter: Option<Reporter>,
    may_fail: bool,
}

impl InScript {
    /// Before the command runs.
    pub fn begin(replacing: Option<Replacing>) -> Self {
        let may_fail = replacing.is_some_and(|replacing| replacing.may_fail);
        let reporter = replacing.and_then(|replacing| reporter(replacing.command));
        if let Some(reporter) = reporter.as_ref().filter(|_| !may_fail) {
            reporter.begins();
        }
        Self { reporter, may_fail }
    }

    /// It succeeded.
    pub fn succeeded(&self) {
        self.reporter.iter().for_each(Reporter::succeeded);
    }

    /// It failed. A command line that makes no sense is never what a script meant to handle.
    pub fn failed(&self, error: &Error) {
        let Some(reporter) = &self.reporter else { return };
        if !self.may_fail || error.code() == Code::Usage {
            reporter.failed(error.code().exit(), error.message());
        }
    }
}

/// Reports a command line that could not be understood, if it is one of these commands.
pub fn not_understood(arguments: &[OsString]) {
    let words = || arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    let changes_nothing = words().any(|word| matches!(word, "--dry-run" | "--list" | "--discard"));
    let Some(command) = command_of(words()).filter(|_| !changes_nothing) else { return };
    if let Some(reporter) = reporter(command) {
        reporter.failed(Code::Usage.exit(), "its command line makes no sense");
    }
}

fn command_of<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    loop {
        match words.next()? {
            "--storage" | "--profile" | "--log-format" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return ["restore", "rollback"].into_iter().find(|command| word == *command),
        }
    }
}

/// The volume of the start that the script belongs to, whatever `--storage` of the command says.
fn reporter(command: &'static str) -> Option<Reporter> {
    let step = Environment::of_process().script_step().ok().flatten()?;
    let root = std::env::var_os("DATA_DIR").map(PathBuf::from)?;
    Reporter::find(&Volume::open(&root).ok()?, &step, command)
}
