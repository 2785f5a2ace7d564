//! The command line: one file a verb, arguments in and words out.
//!
//! stdout carries the answer and nothing else; all else goes to stderr. With `--json` the answer is one object, and so
//! is an error. `docs/cli.md` is the contract.

mod after_start;
mod apps;
mod backup;
mod bare;
mod confirm;
mod container;
pub mod environment;
mod extract;
mod hash_password;
mod health;
mod in_script;
mod init;
mod inspect;
mod key;
mod list;
mod log_format;
mod output;
mod preview;
mod profile;
mod profiles;
mod progress;
mod progress_lines;
mod restore;
mod rollback;
mod run;
mod serve;
mod shell;
mod show_key;
mod status;
mod supervision;
mod verify;

use std::{
    ffi::{OsStr, OsString},
    io::{Read, Write},
    os::fd::FromRawFd,
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use zeroize::Zeroizing;

pub use self::{
    log_format::{Format, bug, line},
    output::{StandardError, fail, printable},
};
use crate::{
    entrypoint,
    error::{Code, Error, Result},
    key::without_keys,
    process::{ARGUMENTS_FD, signals},
    profile::{Choice, Profile, choice},
    volume::Volume,
};

#[derive(Debug, Parser)]
#[command(
    name = "moorline",
    version,
    about = "A container entrypoint that makes a stateful server recoverable",
    after_help = "A first argument that is no verb is a command: it is executed as it is, without init.",
    disable_help_subcommand = false
)]
struct Cli<V: Subcommand> {
    /// The storage root: where the volume is mounted
    #[arg(long, global = true, env = "MOORLINE_STORAGE", default_value = "/data", value_name = "DIR")]
    storage: PathBuf,
    /// What the server's state and its apps are: a profile that is built in, or a file
    #[arg(long, global = true, env = choice::VARIABLE, value_name = "NAME|FILE")]
    profile: Option<OsString>,
    /// How the log on stderr is written: in words, or one JSON object a line
    #[arg(long, global = true, env = "MOORLINE_LOG_FORMAT", default_value = "text", value_name = "text|clef")]
    #[arg(hide_possible_values = true)]
    log_format: Format,
    #[command(subcommand)]
    verb: V,
}

/// The one verb that a container is started with. To know all of them takes clap longer than all the rest of a start.
#[derive(Debug, Subcommand)]
enum Start {
    Run(run::Run),
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Serve(serve::Serve),
    Init(init::Init),
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
    Health(health::Health),
    Shell(shell::Shell),
    HashPassword(hash_password::HashPassword),
    #[command(name = "after-start", hide = true)]
    AfterStart(after_start::AfterStart),
}

/// What every verb is given: the storage root, its profile and the settings from the environment.
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
        self.profile.load(volume.root())
    }
}

impl Verb {
    fn run(self, context: &Context) -> Result<ExitCode> {
        match self {
            Self::Run(_) | Self::Init(_) => refuse_in_a_script()?,
            Self::Shell(_) | Self::AfterStart(_) => {
                refuse_in_a_script()?;
                signals::release();
            }
            // Once it listens to them itself.
            Self::Serve(_) => refuse_in_a_script()?,
            _ => signals::release(),
        }
        match self {
            Self::Run(verb) => verb.run(context),
            Self::Serve(verb) => verb.run(context),
            Self::Init(verb) => verb.run(context),
            Self::Backup(verb) => verb.run(context),
            Self::List(verb) => verb.run(context),
            Self::Verify(verb) => verb.run(context),
            Self::Inspect(verb) => verb.run(context),
            Self::Extract(verb) => verb.run(context),
            Self::Restore(verb) => verb.run(context),
            Self::Rollback(verb) => verb.run(context),
            Self::Apps(verb) => verb.run(context),
            Self::Status(verb) => verb.run(context),
            Self::Profiles(verb) => verb.run(),
            Self::Profile(verb) => verb.run(context),
            Self::ShowKey(verb) => verb.run(context),
            Self::Health(verb) => verb.run(context),
            Self::Shell(verb) => verb.run(context),
            Self::HashPassword(verb) => verb.run(),
            Self::AfterStart(verb) => verb.run(context),
        }
    }

    /// Whether it is a command that replaces the state, and not one that only looks.
    fn replacing(&self) -> Option<in_script::Replacing> {
        match self {
            Self::Restore(verb) => verb.replacing(),
            Self::Rollback(verb) => verb.replacing(),
            _ => None,
        }
    }

    /// Whether the caller wants its errors as an object too.
    fn json(&self) -> bool {
        match self {
            Self::Apps(verb) => verb.json,
            Self::Backup(verb) => verb.json,
            Self::Health(verb) => verb.json,
            Self::Inspect(verb) => verb.json,
            Self::List(verb) => verb.json,
            Self::Restore(verb) => verb.json,
            Self::Rollback(verb) => verb.json,
            Self::Status(verb) => verb.json,
            Self::Profiles(verb) => verb.json,
            Self::Profile(verb) => verb.json(),
            Self::Verify(verb) => verb.json,
            Self::AfterStart(_)
            | Self::Extract(_)
            | Self::HashPassword(_)
            | Self::Init(_)
            | Self::Run(_)
            | Self::Serve(_)
            | Self::Shell(_)
            | Self::ShowKey(_) => false,
        }
    }
}

/// An init script that ran the init scripts would never end.
fn refuse_in_a_script() -> Result<()> {
    if std::env::var_os(crate::init::SCRIPT).is_none() {
        return Ok(());
    }
    Err(Error::new(Code::ScriptUnrunnable, "an init script cannot run init, a server or a shell of moorline")
        .hint("it runs before the server, which is started when all of them are done"))
}

/// What was typed: the process's arguments, or those that the parent wrote into [`ARGUMENTS_FD`].
///
/// # Errors
/// Where that descriptor cannot be read.
pub fn arguments() -> Result<Vec<OsString>> {
    progress_lines::take_over();
    let Some(fd) = std::env::var_os(ARGUMENTS_FD) else { return Ok(std::env::args_os().collect()) };
    let unreadable = || Error::usage(format!("{ARGUMENTS_FD} names no descriptor with arguments in it"));
    let fd: i32 = fd.to_str().and_then(|fd| fd.parse().ok()).filter(|fd| *fd > 2).ok_or_else(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    // SAFETY: the parent left this descriptor to us by name; reading one that is not open fails with EBADF.
    let mut file = unsafe { std::fs::File::from_raw_fd(fd) };
    file.read_to_end(&mut bytes).map_err(|_| unreadable())?;
    // SAFETY: no other thread has been started. Children of ours are not to look for arguments there.
    unsafe { std::env::remove_var(ARGUMENTS_FD) };
    let given = bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec()));
    let mut arguments: Vec<OsString> = given.collect();
    arguments.pop();
    Ok(std::env::args_os().take(1).chain(arguments).collect())
}

/// Runs the verb that was typed.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if entrypoint::server_runs() {
        return run::look_after(arguments, &environment::Environment::of_process())
            .unwrap_or_else(|error| fail(&error, false));
    }
    if let Some(cli) = start(&arguments) {
        return carry_out(cli, false);
    }
    let verbs: Vec<String> = Cli::<Verb>::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let verbs = [verbs, vec!["help".to_owned()]].concat();
    if let Some(bare) = bare::recognise(&arguments, &verbs) {
        let nearest = nearest_verb(bare.first());
        return bare
            .run(&environment::Environment::of_process(), nearest.as_deref())
            .unwrap_or_else(|error| fail(&error, false));
    }
    let parsed = Cli::<Verb>::command().try_get_matches_from(&arguments).and_then(|matches| {
        let named = matches.value_source("storage") == Some(ValueSource::CommandLine);
        Cli::<Verb>::from_arg_matches(&matches).map(|cli| (cli, named))
    });
    match parsed {
        Ok((cli, named)) => carry_out(cli, named),
        Err(error) => {
            if error.use_stderr() {
                in_script::not_understood(&arguments);
            }
            answer_of_clap(&error)
        }
    }
}

/// What `run` was given, where that is the verb. Anything else, and every error, is for the whole command line.
fn start(arguments: &[OsString]) -> Option<Cli<Verb>> {
    let mut ours = arguments.iter().take_while(|argument| *argument != "--");
    if !ours.any(|argument| argument == "run") {
        return None;
    }
    let Cli { storage, profile, log_format, verb: Start::Run(run) } = Cli::<Start>::try_parse_from(arguments).ok()?;
    Some(Cli { storage, profile, log_format, verb: Verb::Run(run) })
}

fn carry_out(cli: Cli<Verb>, storage_named: bool) -> ExitCode {
    let Cli { storage, profile, log_format, verb } = cli;
    log_format.choose();
    let json = verb.json();
    let in_script = in_script::InScript::begin(verb.replacing());
    let done = Choice::of(&profile.unwrap_or_default()).and_then(|profile| {
        let environment = environment::Environment::of_process();
        verb.run(&Context { storage, storage_named, profile, environment })
    });
    match done {
        Ok(code) => {
            in_script.succeeded();
            code
        }
        Err(error) => {
            in_script.failed(&error);
            fail(&error, json)
        }
    }
}

/// The verb that clap would suggest for this word.
fn nearest_verb(word: &OsStr) -> Option<String> {
    let error = Cli::<Verb>::try_parse_from([OsStr::new("moorline"), word]).err()?;
    match error.get(ContextKind::SuggestedSubcommand)? {
        ContextValue::String(verb) => Some(verb.clone()),
        ContextValue::Strings(verbs) => verbs.first().cloned(),
        _ => None,
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
