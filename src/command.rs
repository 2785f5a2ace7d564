//! The command line of `moorline`. It carries out `run`, `init`, `health` and `shell` itself and executes the engine for
//! every other command.
//!
//! Only results go to stdout; everything else goes to stderr. `docs/cli.md` is the contract.

mod after_start;
mod bare;
pub mod container;
pub mod engine;
pub mod environment;
mod health;
mod init;
mod install;
mod known_variables;
pub mod log_format;
pub mod options;
pub mod output;
pub(crate) mod parse;
mod run;
mod shell;
mod supervision;

use std::{
    ffi::OsString,
    fs::File,
    io::{Read, Write},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    process::ExitCode,
};

use log::LevelFilter;
use process::{ARGUMENTS_FD, Variables, fd, signals};
use profile::{Choice, choice};
use volume::{
    Volume,
    error::{Code, Error, Result},
};
use zeroize::Zeroizing;

use self::{environment::Environment, log_format::Format, output::StandardError, parse::Parsed};
use crate::init::SCRIPT;

/// The settings that every command shares.
#[derive(Debug)]
pub(crate) struct Context {
    pub storage: PathBuf,
    pub profile: Choice,
    pub environment: Environment,
}

impl Context {
    fn of(parsed: &Parsed, environment: Environment) -> Result<Self> {
        let named = |option: &'static str, variable| {
            Ok::<_, Error>(match parsed.value(option) {
                Some(value) => Some(value.to_owned()),
                None => environment.setting(&[variable])?.map(|(_, value)| value),
            })
        };
        let storage = named("storage", options::STORAGE_VARIABLE)?.filter(|root| !root.is_empty());
        let profile = Choice::of(&named("profile", choice::VARIABLE)?.unwrap_or_default())?;
        Ok(Self {
            storage: storage.map_or_else(|| options::DEFAULT_STORAGE.into(), PathBuf::from),
            profile,
            environment,
        })
    }

    pub fn volume(&self) -> Result<Volume> {
        let volume = Volume::open_in(&self.storage, &self.environment.places()?)?;
        volume.refuse_other_home()?;
        Ok(volume)
    }

    /// Whether a configured key may differ from the recorded one: `--accept-new-key` or its variable.
    pub fn accepts_new_key(&self, flag: bool) -> Result<bool> {
        Ok(flag || self.environment.switch("MOORLINE_ACCEPT_NEW_KEY")?)
    }
}

/// Starts the log on stderr, in the format that the environment names. A panic becomes one line of that log.
pub fn start_log() {
    Format::of_environment();
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let message = info.payload_as_str().unwrap_or("no message");
        let _ = StandardError.write_all(log_format::bug(&format!("{message}{place}")).as_bytes());
        std::process::exit(i32::from(Code::Bug.exit()));
    }));
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_env("MOORLINE_LOG")
        .target(env_logger::Target::Pipe(Box::new(StandardError)))
        .format(|out, record| log_format::line(record).map_or(Ok(()), |line| out.write_all(line.as_bytes())))
        .init();
}

/// The command line: the process's arguments, or the ones that the parent wrote into [`ARGUMENTS_FD`].
pub fn arguments() -> Result<Vec<OsString>> {
    let Some(named) = std::env::var_os(ARGUMENTS_FD) else { return Ok(std::env::args_os().collect()) };
    let unreadable = || Error::usage(format!("{ARGUMENTS_FD} does not name an open descriptor that holds arguments"));
    let fd = named.to_str().and_then(|fd| fd.parse().ok()).and_then(fd::take).ok_or_else(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    File::from(fd).read_to_end(&mut bytes).map_err(|_| unreadable())?;
    // Children of this process must not look for arguments there.
    process::environment::remove(ARGUMENTS_FD);
    let given = bytes.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec()));
    let mut arguments: Vec<OsString> = given.collect();
    arguments.pop();
    Ok(std::env::args_os().take(1).chain(arguments).collect())
}

/// Carries out the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    arguments().and_then(|arguments| dispatch(&arguments)).unwrap_or_else(|error| output::fail(&error, false))
}

fn dispatch(arguments: &[OsString]) -> Result<ExitCode> {
    match parse::recognise(arguments) {
        parse::Recognised::Version => {
            output::answer(&format!("moorline {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
        parse::Recognised::CheckInstall => engine::check_install(),
        parse::Recognised::Own(command) => {
            if ["run", "init", "after-start"].contains(&command.name) {
                Format::default_of_log();
            }
            carry_out(&parse::parse(command, arguments)?)
        }
        parse::Recognised::Engine => {
            signals::release();
            engine::become_engine(arguments)
        }
        parse::Recognised::Bare { storage, first } => {
            bare::Bare { storage, command: arguments[first..].to_vec() }.run(&Environment::of_process())
        }
    }
}

fn carry_out(parsed: &Parsed) -> Result<ExitCode> {
    if let Some(format) = parsed.text("log-format")? {
        Format::parse(format)?.choose();
    }
    let context = Context::of(parsed, Environment::of_process())?;
    match parsed.command.name {
        "health" | "install" => signals::release(),
        "shell" | "after-start" => {
            refuse_in_a_script()?;
            signals::release();
        }
        _ => refuse_in_a_script()?,
    }
    match parsed.command.name {
        "run" => run::run(parsed, &context),
        "init" => init::init(parsed, &context),
        "health" => health::health(parsed, &context),
        "install" => install::install(parsed, &context),
        "shell" => shell::shell(parsed, &context),
        _ => after_start::after_start(parsed, &context),
    }
}

/// Fails inside an init script, because a script that runs all init scripts would never end.
pub fn refuse_in_a_script() -> Result<()> {
    if std::env::var_os(SCRIPT).is_none() {
        return Ok(());
    }
    Err(Error::new(Code::ScriptUnrunnable, "an init script cannot call `run`, `init` or `shell`")
        .hint("remove the command: the server starts by itself when all scripts are done"))
}

/// The variables of this process.
#[must_use]
pub fn variables() -> Variables {
    Variables::of_process()
}
