//! The command line of `moorline-engine`: parses options, calls the `engine` or `console` crate, and prints the result.
//! It contains no backup or restore logic. `run`, `init`, `health` and `shell` belong to the package `moorline`.
//!
//! stdout carries only the result; everything else goes to stderr. With `--json` the result is one object, and so is an
//! error. `docs/cli.md` is the contract, and the doc comments of the options are the `--help` texts.
//!
//! - `main.rs`: the entry point of the program; `lib.rs` (this file): global options, dispatch, usage errors, and the
//!   check that `moorline` has the same version
//! - one file per command, with its options and its output: `apps.rs`, `backup.rs`, `console.rs` (`console
//!   reset-password`), `extract.rs`, `hash_password.rs`, `inspect.rs`, `list.rs`, `profile.rs` (`profile show`, `profile
//!   check`), `profiles.rs`, `restore.rs`, `rollback.rs`, `serve.rs` (settings and first-run variables of the console),
//!   `show_key.rs`, `status.rs`, `verify.rs`
//! - `hidden.rs`: `recover` and `holds-state`, which PID 1 starts, `capture-guard` and `finish-captures`; `generate.rs`: shell completions and man pages
//! - `trust.rs`: the private CAs of TLS connections
//! - `key.rs`: `--secret-key`, `--secret-key-file` and `--accept-new-key`
//! - `confirm.rs`: the prompt that `-y` skips; `container_log.rs`: the container's log, for a command that a person runs in it
//! - `in_script.rs`: tells PID 1 that a `restore` or `rollback` inside an init script failed
//! - `owners.rs`: the options `--owner` and `--owner-map`
//! - `output.rs`: tables, sizes and the exit code after an error
//! - `progress.rs`: the progress bar, and stopping on SIGTERM or SIGINT; `progress_lines.rs`: progress as lines of JSON
//!   on `MOORLINE_PROGRESS_FD`

mod apps;
mod backup;
mod confirm;
mod console;
mod container_log;
mod extract;
mod generate;
mod hash_password;
mod hidden;
mod in_script;
mod inspect;
mod instance;
mod key;
mod list;
mod output;
mod owners;
mod profile;
mod profiles;
mod progress;
mod progress_lines;
mod restore;
mod rollback;
mod serve;
mod show_key;
mod status;
mod trust;
mod verify;

use std::{ffi::OsString, io::Write, os::fd::OwnedFd, path::PathBuf, process::ExitCode};

use ::process::{ARGUMENTS_FD, fd, signals};
use ::profile::{Choice, Profile, choice};
use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource,
};
use moorline::command::{
    self, engine, environment,
    log_format::{self, Format},
    options,
    output::StandardError,
};
use moorline::init::SCRIPT;
use seqbac_header::without_keys;
use volume::{
    Lock, Volume,
    error::{Code, Error, Result},
    other_server, script_lock,
};

#[derive(Parser)]
#[command(
    name = "moorline",
    version,
    about = "A container entrypoint that makes a stateful server recoverable",
    after_help = "If the first argument is not a moorline command, it is run as a program, without init."
)]
struct Cli {
    /// Storage root: the folder where the volume is mounted
    #[arg(long, global = true, env = "MOORLINE_STORAGE", default_value = "/data", value_name = "DIR")]
    storage: PathBuf,
    /// Profile that describes the server's state and apps: the name of a built-in one, or a file
    #[arg(long, global = true, env = choice::VARIABLE, value_name = "NAME|FILE")]
    profile: Option<OsString>,
    /// Format of the log on stderr: text with time stamps, text without (plain), or one JSON object per line (clef)
    #[arg(long, global = true, env = log_format::VARIABLE, value_name = "text|plain|clef")]
    #[arg(value_parser = Format::parse)]
    log_format: Option<Format>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
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
    Instance(instance::Instance),
    Status(status::Status),
    Profiles(profiles::Profiles),
    Profile(profile::Profile),
    ShowKey(show_key::ShowKey),
    HashPassword(hash_password::HashPassword),
    Console(console::Console),
    Completions(generate::Completions),
    #[command(hide = true)]
    Man(generate::Man),
    #[command(hide = true)]
    Recover(hidden::Recover),
    #[command(name = "holds-state", hide = true)]
    HoldsState(hidden::HoldsState),
    #[command(name = "capture-guard", hide = true)]
    CaptureGuard(hidden::CaptureGuard),
    #[command(name = "finish-captures", hide = true)]
    FinishCaptures(hidden::FinishCaptures),
}

/// The global options and the settings from the environment, which every command gets.
#[derive(Debug)]
struct Context {
    storage: PathBuf,
    /// Whether `--storage` was on the command line, as opposed to the variable or the default.
    storage_named: bool,
    profile: Choice,
    environment: environment::Environment,
}

/// What the caller says of a server that may run without the volume's lock, because only `init` prepared the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerIs {
    Stopped,
    Unknown,
}

#[derive(Debug, Clone, Copy, Args)]
struct ServerStopped {
    /// The server is stopped: for a volume that `moorline init` prepared, whose server holds no lock
    #[arg(long)]
    server_is_stopped: bool,
}

impl ServerStopped {
    const fn answer(self) -> ServerIs {
        if self.server_is_stopped { ServerIs::Stopped } else { ServerIs::Unknown }
    }
}

impl Context {
    fn volume(&self) -> Result<Volume> {
        let volume = Volume::open_in(&self.storage, &self.environment.places()?)?;
        volume.refuse_other_home()?;
        Ok(volume)
    }

    /// Whether `--accept-new-key` or its variable accepts a configured key that differs from the recorded one.
    fn accepts_new_key(&self, flag: bool) -> Result<bool> {
        Ok(flag || self.environment.switch("MOORLINE_ACCEPT_NEW_KEY")?)
    }

    fn profile(&self, volume: &Volume) -> Result<Profile> {
        ::engine::finds::load(&self.profile, volume.root())
    }

    /// Takes the volume's lock, for this command or for the script that calls it, then finishes or undoes a restore that a crash interrupted.
    fn lock_and_recover(&self, volume: &Volume, command: &str, server: ServerIs) -> Result<Lock> {
        let token = self.environment.text(&[script_lock::TOKEN])?.map(|(_, token)| token);
        let inherited = self.inherited_lock(volume);
        let of_start = token.is_some() || inherited.is_some();
        let lock = Lock::take_in_script(volume, command, inherited, token)?;
        // The start that calls this command runs before the server.
        if server == ServerIs::Unknown && !of_start {
            other_server::refuse(volume)?;
        }
        for line in ::engine::restore::recover(volume)? {
            log::info!("{line}");
        }
        Ok(lock)
    }

    /// The volume's lock, if a parent process passed it to this one.
    fn inherited_lock(&self, volume: &Volume) -> Option<OwnedFd> {
        fd::take_file(self.environment.inherited_lock()?, &volume.own().join("lock"))
    }
}

impl Command {
    fn run(self, context: &Context) -> Result<ExitCode> {
        // PID 1 may have blocked signals before it started us. `serve` unblocks them itself, once its handlers exist.
        match self {
            Self::Serve(_) => command::refuse_in_a_script()?,
            _ => signals::release(),
        }
        match self {
            Self::Backup(command) => return command.run(context),
            Self::Verify(command) => return command.run(context),
            Self::Profile(command) => return command.run(context),
            Self::HoldsState(command) => return command.run(context),
            Self::Serve(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Inspect(command) => command.run(context),
            Self::Extract(command) => command.run(context),
            Self::Restore(command) => command.run(context),
            Self::Rollback(command) => command.run(context),
            Self::Apps(command) => command.run(context),
            Self::Instance(command) => command.run(context),
            Self::Status(command) => command.run(context),
            Self::Profiles(command) => command.run(),
            Self::ShowKey(command) => command.run(context),
            Self::HashPassword(command) => command.run(),
            Self::Console(command) => command.run(context),
            Self::Completions(command) => command.run(),
            Self::Man(command) => command.run(),
            Self::Recover(command) => command.run(context),
            Self::CaptureGuard(command) => command.run(),
            Self::FinishCaptures(command) => command.run(context),
        }
        .map(|()| ExitCode::SUCCESS)
    }

    /// The command as PID 1 tracks it, if it replaces the state. `None` for read-only commands and options.
    fn replacing(&self) -> Option<in_script::Replacing> {
        match self {
            Self::Restore(command) => command.replacing(),
            Self::Rollback(command) => command.replacing(),
            _ => None,
        }
    }
}

/// Whether the command has `--json`, so that errors are printed as JSON objects too.
fn wants_json(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one("json").ok().flatten().is_some_and(|json| *json);
    here || matches.subcommand().is_some_and(|(_, below)| wants_json(below))
}

/// The command line of both programs, so that help and completions also cover the commands of `moorline`.
fn whole_command_line() -> clap::Command {
    let own = options::COMMANDS.iter().map(generate::command_of);
    own.fold(Cli::command(), clap::Command::subcommand)
}

/// Parses the arguments, runs the command and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    progress_lines::take_over();
    ::process::limits::raise_open_files();
    match refuse_other_version().and_then(|()| command::arguments()) {
        Ok(arguments) => parse_and_run(arguments),
        Err(error) => output::fail(&error, false),
    }
}

/// Refuses to work for a `moorline` of another version, because both programs write to the same volume.
fn refuse_other_version() -> Result<()> {
    let Some(started_by) = std::env::var_os(engine::STARTED_BY) else { return Ok(()) };
    // `moorline` did not start the children of this process, so they must not inherit its mark.
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

/// `help --help` is help, too; clap takes it for the name of a command.
fn without_help_of_help(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let asks_twice = arguments.get(1).is_some_and(|word| word == "help")
        && arguments.get(2).is_some_and(|word| word == "--help" || word == "-h");
    if asks_twice {
        arguments.truncate(2);
    }
    arguments
}

fn parse_and_run(arguments: Vec<OsString>) -> ExitCode {
    let arguments = without_help_of_help(arguments);
    let parsed = whole_command_line().try_get_matches_from(&arguments).and_then(|matches| {
        let named = matches.value_source("storage") == Some(ValueSource::CommandLine);
        if let Some(own) = matches.subcommand_name().and_then(options::find) {
            return Ok(Err(belongs_to_moorline(own.name)));
        }
        Cli::from_arg_matches(&matches).map(|cli| Ok((cli, named, wants_json(&matches))))
    });
    match parsed {
        Ok(Ok((cli, named, json))) => run(cli, named, json),
        Ok(Err(error)) => output::fail(&error, false),
        Err(error) => {
            if error.use_stderr() {
                in_script::report_usage_error(&arguments);
            }
            print_clap_error(&error)
        }
    }
}

fn belongs_to_moorline(command: &str) -> Error {
    Error::usage(format!("`{command}` is a command of moorline, not of {}", engine::PROGRAM))
        .hint(format!("run `moorline {command}`"))
}

fn run(cli: Cli, storage_named: bool, json: bool) -> ExitCode {
    let Cli { storage, profile, log_format, command } = cli;
    match log_format {
        Some(format) => format.choose(),
        None if matches!(command, Command::Serve(_)) => Format::Text.choose(),
        None => {}
    }
    let in_script = in_script::InScript::begin(command.replacing());
    let result = Choice::of(&profile.unwrap_or_default()).and_then(|profile| {
        let environment = environment::Environment::of_process();
        command.run(&Context { storage, storage_named, profile, environment })
    });
    match result {
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

/// Prints help and version to stdout and exits 0. Everything else is a usage error, in clap's words.
fn print_clap_error(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // In the container's log, each line of moorline says so. `args:` of a container replaces `run --`.
    let starts_container = std::process::id() == 1;
    if starts_container || std::env::var_os(SCRIPT).is_some() {
        let what = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ").replace('\n', " ");
        let hint = match starts_container {
            true => {
                "a container's command begins with `run --`: run -- my-server --its-flag; `moorline help` lists commands"
            }
            false => "`moorline help COMMAND` lists its options",
        };
        return output::fail(&Error::usage(without_keys(&what)).hint(hint), false);
    }
    let clean = log_format::usage(without_keys(&text));
    // An unchanged text is printed by clap, because clap adds colours on a terminal.
    let _ = if clean == text { error.print() } else { StandardError.write_all(clean.as_bytes()) };
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
