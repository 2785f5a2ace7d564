//! Reports to PID 1 that a `restore` or `rollback` inside an init script failed, because a script can ignore exit
//! codes.

use std::{ffi::OsString, path::PathBuf};

use moorline::command::options;
use moorline::init::{REPORT, Reporter};
use volume::error::{Code, Error};

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

/// Reports a command line that clap rejected, if it names `restore` or `rollback` and would change the state, or if no
/// command can be recognised in it.
pub fn report_usage_error(arguments: &[OsString]) {
    let words = || arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default());
    let changes_nothing = words().any(|word| matches!(word, "--dry-run" | "--list" | "--discard"));
    let replacing = words().find_map(|word| ["restore", "rollback"].into_iter().find(|command| word == *command));
    let is_known = words().any(|word| options::OF_ENGINE.contains(&word) || options::find(word).is_some());
    let Some(command) = replacing.or((!is_known).then_some("command")).filter(|_| !changes_nothing) else { return };
    if let Some(reporter) = reporter(command) {
        reporter.failed(Code::Usage.exit(), "invalid command line");
    }
}

fn reporter(command: &'static str) -> Option<Reporter> {
    Reporter::find(&PathBuf::from(std::env::var_os(REPORT)?), command)
}
