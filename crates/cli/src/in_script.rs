//! Reports to PID 1 that a `restore` or `rollback` inside an init script failed, because a script can ignore exit
//! codes.

use std::{ffi::OsString, path::PathBuf};

use moorline::command::environment::Environment;
use moorline::init::Reporter;
use volume::{
    Volume,
    error::{Code, Error},
};

#[derive(Debug, Clone, Copy)]
pub struct Replacing {
    pub command: &'static str,
    /// `--may-fail`: the script handles a failure itself.
    pub may_fail: bool,
}

/// Reports the outcome of a command to the `run` or `init` that executes the script. Does nothing outside a script.
#[derive(Debug)]
pub struct InScript {
    reporter: Option<Reporter>,
    may_fail: bool,
}

impl InScript {
    /// Call it before the command runs: a command that is killed then counts as failed.
    pub fn begin(replacing: Option<Replacing>) -> Self {
        let may_fail = replacing.is_some_and(|replacing| replacing.may_fail);
        let reporter = replacing.and_then(|replacing| reporter(replacing.command));
        if let Some(reporter) = reporter.as_ref().filter(|_| !may_fail) {
            reporter.begins();
        }
        Self { reporter, may_fail }
    }

    pub fn succeeded(&self) {
        self.reporter.iter().for_each(Reporter::succeeded);
    }

    /// Reports a failure. `--may-fail` does not cover usage errors, because a script does not expect its own typing
    /// errors.
    pub fn failed(&self, error: &Error) {
        let Some(reporter) = &self.reporter else { return };
        if !self.may_fail || error.code() == Code::Usage {
            reporter.failed(error.code().exit(), error.message());
        }
    }
}

/// Reports a command line that clap rejected, if its command is `restore` or `rollback` and would change the state.
pub fn report_usage_error(arguments: &[OsString]) {
    let words = || arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    let changes_nothing = words().any(|word| matches!(word, "--dry-run" | "--list" | "--discard"));
    let Some(command) = command_of(words()).filter(|_| !changes_nothing) else { return };
    if let Some(reporter) = reporter(command) {
        reporter.failed(Code::Usage.exit(), "invalid command line");
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

/// Uses the volume of the start that runs the script, even if the command's `--storage` names another one, because that
/// start waits for the report.
fn reporter(command: &'static str) -> Option<Reporter> {
    let environment = Environment::of_process();
    let step = environment.script_step().ok().flatten()?;
    let root = std::env::var_os("DATA_DIR").map(PathBuf::from)?;
    Reporter::find(&Volume::open_in(&root, &environment.places().ok()?).ok()?, &step, command)
}
