//! The command line of the engine: one file a command, arguments in and words out.
//!
//! stdout carries the answer only; everything else goes to stderr. With `--json` the answer is one object, and so is an
//! error. `docs/cli.md` is the contract.
//!
//! - a file per command (`restore.rs`, `show_key.rs` …): its options, and its answer in words
//! - `generate.rs`: completions and man pages; `recover.rs`, `holds_state.rs`: what PID 1 asks for
//! - `key.rs`: `--secret-key[-file]`; `confirm.rs`: confirmations; `preview.rs`: `--dry-run` as a table
//! - `output.rs`: tables and sizes; `progress.rs`: the progress bar, and stopping on a signal; `progress_lines.rs`: the
//!   same for a program

mod apps;
mod backup;
mod confirm;
mod extract;
mod generate;
mod hash_password;
mod holds_state;
mod in_script;
mod inspect;
mod key;
mod list;
mod output;
mod preview;
mod profile;
mod profiles;
mod progress;
mod progress_lines;
mod recover;
mod restore;
mod rollback;
mod serve;
mod show_key;
mod status;
mod verify;

use std::{ffi::OsString, io::Write, os::fd::OwnedFd, path::PathBuf, process::ExitCode};

use ::process::{ARGUMENTS_FD, fd, signals};
use ::profile::{Choice, Profile, choice};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource};
use moorline::command::{
    self, engine, environment,
    log_format::{self, Format},
    options,
    output::StandardError,
};
use seqbac_header::without_keys;
use volume::{
    Volume,
    error::{Code, Error, Result},
};

#[derive(Debug, Parser)]
#[command(
    name = "moorline",
    version,
    about = "A container entrypoint that makes a stateful server recoverable",
    after_help = "If the first argument is not a moorline command, it is run as a program, without init."
)]
struct Cli {
    /// The storage root: where the volume is mounted
    #[arg(long, global = true, env = "MOORLINE_STORAGE", default_value = "/data", value_name = "DIR")]
    storage: PathBuf,
    /// The profile that describes the server's state and its apps: a built-in one, or a file
    #[arg(long, global = true, env = choice::VARIABLE, value_name = "NAME|FILE")]
    profile: Option<OsString>,
    /// Format of the log on stderr: text, or one JSON object per line
    #[arg(long, global = true, env = "MOORLINE_LOG_FORMAT", default_value = "text", value_name = "text|clef")]
    #[arg(value_parser = Format::parse)]
    log_format: Format,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Backup(backup::Backup),
    List(list::List),
    Verify(verify::Verify),
    Inspect(inspect::Inspect),
    Extract(extract::Extract),
    Restore(restore::Restore),
    Rollback(rollback::Rollback),
    Apps(apps::Apps),
    Status(status::Status),
    Profiles(profiles::Profiles),
    Profile(profile::Profile),
    ShowKey(show_key::ShowKey),
    HashPassword(hash_password::HashPassword),
    Completions(generate::Completions),
    #[command(hide = true)]
    Man(generate::Man),
    #[command(hide = true)]
    Recover(recover::Recover),
    #[command(name = "holds-state", hide = true)]
    HoldsState(holds_state::HoldsState),
}

/// What every command is given: the storage root, its profile and the settings from the environment.
#[derive(Debug)]
struct Context {
    storage: PathBuf,
    /// Whether it was said on the command line which volume is meant.
    storage_named: bool,
    profile: Choice,
    environment: environment::Environment,
}

impl Context {
    fn volume(&self) -> Result<Volume> {
        Volume::open(&self.storage)?.with_backups_in(self.environment.backup_location()?)
    }

    /// Whether a configured key that is not the recorded one is accepted: by a flag, or by the variable.
    fn accepts_new_key(&self, flag: bool) -> Result<bool> {
        Ok(flag || self.environment.switch("MOORLINE_ACCEPT_NEW_KEY")?)
    }

    /// The volume's profile.
    fn profile(&self, volume: &Volume) -> Result<Profile> {
        ::engine::finds::load(&self.profile, volume.root())
    }
}

impl Context {
    /// The volume's lock that a parent left to this process.
    fn inherited_lock(&self, volume: &Volume) -> Option<OwnedFd> {
        fd::take_file(self.environment.inherited_lock()?, &volume.own().join("lock"))
    }
}

impl Command {
    fn run(self, context: &Context) -> Result<ExitCode> {
        // `serve` takes over the held signals once it listens to them.
        match self {
            Self::Serve(_) => command::refuse_in_a_script()?,
            _ => signals::release(),
        }
        match self {
            Self::Serve(command) => command.run(context),
            Self::Backup(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Verify(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
            Self::Extract(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Rollback(command) => command.run(context),
            Self::Apps(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::Profiles(command) => command.run(),
            Self::Profile(command) => command.run(context),
            Self::ShowKey(command) => command.run(context),
            Self::HashPassword(command) => command.run(),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
            Self::Recover(command) => command.run(context),
            Self::HoldsState(command) => command.run(context),
        }
    }

    /// Whether it is a command that replaces the state, and not one that only looks.
    fn replacing(&self) -> Option<in_script::Replacing> {
        match self {
            Self::Restore(command) => command.replacing(),
            Self::Rollback(command) => command.replacing(),
            _ => None,
        }
    }

    /// Whether the caller wants its errors as an object too.
    fn json(&self) -> bool {
        match self {
            Self::Apps(command) => command.json,
            Self::Backup(command) => command.json,
            Self::Inspect(command) => command.json,
            Self::List(command) => command.json,
            Self::Restore(command) => command.json,
            Self::Rollback(command) => command.json,
            Self::Status(command) => command.json,
            Self::Profiles(command) => command.json,
            Self::Profile(command) => command.json(),
            Self::Verify(command) => command.json,
            Self::Completions(_)
            | Self::Extract(_)
            | Self::HashPassword(_)
            | Self::HoldsState(_)
            | Self::Man(_)
            | Self::Recover(_)
            | Self::Serve(_)
            | Self::ShowKey(_) => false,
        }
    }
}

/// The whole command line, with the commands that `moorline` carries out itself.
fn whole_command_line() -> clap::Command {
    let own = options::COMMANDS.iter().map(generate::command_of);
    own.fold(Cli::command(), clap::Command::subcommand)
}

/// Runs the command that was typed.
#[must_use]
pub fn main() -> ExitCode {
    progress_lines::take_over();
    match refuse_other_version().and_then(|()| command::arguments()) {
        Ok(arguments) => parse_and_run(arguments),
        Err(error) => output::fail(&error, false),
    }
}

/// Both programs write to the same volume: this one does not work for another version of `moorline`.
fn refuse_other_version() -> Result<()> {
    let Some(started_by) = std::env::var_os(engine::STARTED_BY) else { return Ok(()) };
    // Children of this process are not started by PID 1.
    ::process::environment::remove(engine::STARTED_BY);
    let text = started_by.to_string_lossy();
    let (version, path) = text.split_once(' ').unwrap_or((&text, "moorline"));
    if version == engine::VERSION {
        return Ok(());
    }
    let own = std::env::current_exe().unwrap_or_else(|_| engine::PROGRAM.into());
    let message = format!("{} is version {}, and {path} is version {version}", own.display(), engine::VERSION);
    Err(Error::new(Code::Unexpected, message).hint("copy both programs from the same release"))
}

fn parse_and_run(arguments: Vec<OsString>) -> ExitCode {
    let parsed = whole_command_line().try_get_matches_from(&arguments).and_then(|matches| {
        let named = matches.value_source("storage") == Some(ValueSource::CommandLine);
        if let Some(own) = matches.subcommand_name().and_then(options::find) {
            return Ok(Err(of_moorline(own.name)));
        }
        Cli::from_arg_matches(&matches).map(|cli| Ok((cli, named)))
    });
    match parsed {
        Ok(Ok((cli, named))) => carry_out(cli, named),
        Ok(Err(error)) => output::fail(&error, false),
        Err(error) => {
            if error.use_stderr() {
                in_script::not_understood(&arguments);
            }
            answer_of_clap(&error)
        }
    }
}

fn of_moorline(command: &str) -> Error {
    Error::usage(format!("`{command}` is a command of moorline, not of {}", engine::PROGRAM))
        .hint(format!("run `moorline {command}`"))
}

fn carry_out(cli: Cli, storage_named: bool) -> ExitCode {
    let Cli { storage, profile, log_format, command } = cli;
    log_format.choose();
    let json = command.json();
    let in_script = in_script::InScript::begin(command.replacing());
    let done = Choice::of(&profile.unwrap_or_default()).and_then(|profile| {
        let environment = environment::Environment::of_process();
        command.run(&Context { storage, storage_named, profile, environment })
    });
    match done {
        Ok(code) => {
            in_script.succeeded();
            code
        }
        Err(error) => {
            in_script.failed(&error);
            output::fail(&error, json)
        }
    }
}

/// Help and version are answers; everything else is a usage error, in clap's words.
fn answer_of_clap(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let said = log_format::usage(without_keys(&text));
    // Printed by clap it has colours, where they are wanted.
    let _ = if said == text { error.print() } else { StandardError.write_all(said.as_bytes()) };
    ExitCode::from(Code::Usage.exit())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn moorline_hands_over_every_command() {
        let cli = Cli::command();
        let commands: BTreeSet<&str> = cli.get_subcommands().map(clap::Command::get_name).chain(["help"]).collect();
        assert_eq!(commands, options::OF_ENGINE.iter().copied().collect());
    }
}
