//! From container start to server. Each step is one function, in this order:
//!
//! ```text
//! prepare        block signals, open the storage root, take the lock
//! recover        finish or undo a restore that a crash interrupted (engine)
//! scripts        copy from /seqinit, run the scripts of Init/, then the scripts of Init/start.d/
//! quarantine     switch off or release apps, if something is pending (engine)
//! ensure_key     create a secret key if none exists
//! back_up        take a backup if the newest one is older than a day (engine)
//! serve          the server replaces this process, or becomes its child
//! ```
//! A stop signal before the server runs stops the current step, and the server does not start. This process never opens
//! a database: only children do.

pub mod console;
mod engine_steps;
mod first_line;
pub mod health;
mod lock;
mod newer;
pub mod ownership;
mod quarantine;
pub mod ready;
mod scripts;
mod state;
pub mod supervise;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    ops::ControlFlow,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
    path::PathBuf,
    time::Duration,
};

use nix::sys::signal::Signal;

use self::{
    engine_steps::{MissingEngine, back_up, ensure_key, missing_engine, recover},
    first_line::Mode,
    ownership::{ChownPlan, ChownVolume},
    quarantine::ServerAdditions,
};
pub use self::{health::Health, supervise::Supervision};
use crate::{
    command::log_format::{self, Format},
    init::{self, policy::OnFailure},
};
use process::{
    Ended, NotExecuted, Own, Routes, Signals, User, Variables,
    exec::{self, Prepared},
    fd, signals,
};
use profile::{Choice, choice};
use volume::{
    Instance, Lock, Places, Volume,
    error::{Code, Error, Result},
    events::{self, Event, Kind},
    key::Sources,
    lock::LOCK_FD,
    script_lock,
};

/// The settings of a container start.
#[derive(Debug)]
pub struct Settings {
    pub storage: PathBuf,
    /// The folders that the environment names.
    pub places: Places,
    pub profile: Choice,
    /// `run` or `init`, for the record of who holds the lock.
    pub command: &'static str,
    /// The variables of this process, unchanged.
    pub environment: Variables,
    pub own: Own,
    /// The number of the lock's descriptor that this process inherited.
    pub inherited_lock: Option<RawFd>,
    /// How long to wait while another container holds the lock.
    pub lock_wait: Duration,
    pub log: BorrowedFd<'static>,
    /// The variable that passes arguments to a child of this program.
    pub arguments_variable: &'static str,
    /// The user of the server and the scripts, if it differs from this process's user.
    pub user: Option<User>,
    /// Whether that user becomes the owner of the volume.
    pub chown_volume: ChownVolume,
    /// `None` if scripts are skipped.
    pub scripts: Option<Scripts>,
    /// The rewritten signals, which may include the image's STOPSIGNAL.
    pub stop_signals: Routes,
    /// The configured health check; if `None`, the profile's.
    pub health: Option<Health>,
}

#[derive(Debug)]
pub struct Scripts {
    /// The folder of the second source of scripts.
    pub seqinit: PathBuf,
    /// The time between a stop signal and SIGKILL for a script.
    pub grace: Duration,
    /// How long a script may run, if that is limited.
    pub timeout: Option<Duration>,
    /// Overrides the failure table.
    pub on_failure: Option<OnFailure>,
    /// Whether a volume without state is intended.
    pub allow_empty: bool,
    /// Whether a script that every user can write is refused.
    pub strict_permissions: bool,
}

/// The secret key.
#[derive(Debug)]
pub struct KeySettings {
    pub sources: Sources,
    /// Whether a configured key may differ from the recorded one.
    pub accept_new: bool,
}

/// The server, and the last steps before it starts.
#[derive(Debug)]
pub struct Server {
    /// Its program and arguments; `None` if the console is the server.
    pub command: Option<Vec<OsString>>,
    /// Variables that are removed from its environment.
    pub hidden: Vec<&'static str>,
    pub key: KeySettings,
    pub boot_backup: bool,
    /// The signal that this process gets when its parent ends. The server keeps it after exec.
    pub parent_death_signal: Option<i32>,
    /// `None` if the server replaces this process.
    pub supervision: Option<Supervision>,
    /// Whether the console runs beside a supervised server that is not the console itself.
    pub console: bool,
}

impl Server {
    const fn mode(&self) -> Mode {
        match (&self.command, &self.supervision) {
            (None, _) => Mode::Console,
            (Some(_), Some(_)) => Mode::Supervise,
            (Some(_), None) => Mode::Exec,
        }
    }
}

/// How a container start ended.
#[derive(Debug)]
pub enum End {
    /// All scripts are done, and the command starts no server.
    Ready,
    /// A stop signal arrived.
    Stopped(Signal),
    /// The server ended; its exit code, as mapped by `--exit-code-map`.
    Served(u8),
    /// A step failed with an exit code of its own.
    Failed { exit: u8, error: Error },
}

impl Settings {
    /// The inherited lock, if it belongs to this volume.
    fn inherited_lock(&self, volume: &Volume) -> Option<OwnedFd> {
        fd::take_file(self.inherited_lock?, &volume.own().join("lock"))
    }
}

impl From<NotExecuted> for End {
    fn from(server: NotExecuted) -> Self {
        Self::Failed { exit: server.exit, error: server.error.context("cannot start the server") }
    }
}

impl End {
    /// A failed child ends the start with the child's exit code.
    fn of_child(ended: Ended, message: &str) -> Self {
        let exit = ended.code();
        let code = Code::from_exit(exit).unwrap_or(Code::Unexpected);
        Self::Failed {
            exit,
            error: Error::new(code, message).hint("the lines above say why; the next start tries again"),
        }
    }
}

/// The steps up to the secret key: the command `init`.
pub fn init(settings: &Settings, key: &KeySettings) -> Result<End> {
    let mut signals = Signals::hold(&settings.stop_signals)?;
    exec::close_on_exec_except(&[]);
    let first_line = |volume: &Volume| first_line::log(settings, &key.sources, volume, Mode::Init);
    let volume = match open(settings)? {
        Opened::Prepared(volume, missing) => prepared_with(volume, missing, first_line),
        Opened::Refused(volume, end) => {
            first_line(&volume);
            return Ok(end);
        }
        Opened::Newer(volume, refusal) => return newer::init(&volume, refusal),
    };
    let lock = match prepare(settings, &volume, &mut signals)? {
        ControlFlow::Continue(lock) => lock,
        ControlFlow::Break(end) => return Ok(end),
    };
    if let ControlFlow::Break(end) = quarantine::apply_pending(settings, &volume, &lock, &mut signals)? {
        return Ok(end);
    }
    init::server_starts(&volume)?;
    if let ControlFlow::Break(end) = ensure_key(settings, key, &volume, &mut signals)? {
        return Ok(end);
    }
    volume::other_server::record(&volume)?;
    Ok(End::Ready)
}

/// All steps: the command `run`. Without supervision, it returns only if the server does not start.
pub fn run(settings: &Settings, server: &Server) -> Result<End> {
    let mut signals = Signals::hold(&settings.stop_signals)?;
    server.parent_death_signal.into_iter().for_each(signals::when_parent_ends);
    let sockets = activated(&settings.environment);
    exec::close_on_exec_except(&[]);
    let first_line = |volume: &Volume| first_line::log(settings, &server.key.sources, volume, server.mode());
    let volume = match open(settings)? {
        Opened::Prepared(volume, missing) => prepared_with(volume, missing, first_line),
        Opened::Refused(volume, end) => {
            first_line(&volume);
            return Ok(end);
        }
        Opened::Newer(volume, refusal) => {
            return newer::run(settings, server, &volume, refusal, &sockets, &mut signals);
        }
    };
    let lock = match prepare(settings, &volume, &mut signals)? {
        ControlFlow::Continue(lock) => lock,
        ControlFlow::Break(end) => return Ok(end),
    };
    if server.supervision.is_none() {
        ready::refuse_without_supervisor(settings, &volume)?;
    }
    let variables = match scripts::run_at_start(settings, &volume, &lock, &mut signals)? {
        ControlFlow::Continue(variables) => variables,
        ControlFlow::Break(end) => return Ok(end),
    };
    let additions = match quarantine::apply_pending(settings, &volume, &lock, &mut signals)? {
        ControlFlow::Continue(additions) => additions,
        ControlFlow::Break(end) => return Ok(end),
    };
    init::server_starts(&volume)?;
    volume::other_server::forget(&volume)?;
    let instance = match ensure_key(settings, &server.key, &volume, &mut signals)? {
        ControlFlow::Continue(instance) => instance,
        ControlFlow::Break(end) => return Ok(end),
    };
    if let Some(end) = back_up(settings, server, &volume, &instance, &mut signals) {
        return Ok(end);
    }
    ownership::warn_if_unwritable(settings, &volume)?;
    serve(
        settings,
        &Serving { server, instance: &instance, variables: &variables, additions: &additions, sockets: &sockets },
        &volume,
        &lock,
        &mut signals,
    )
}

enum Opened {
    /// With moorline's folders. The error says that the engine is missing, which this start does not need.
    Prepared(Volume, Option<Error>),
    /// This start needs the engine, which is missing. Nothing was written.
    Refused(Volume, End),
    /// A newer moorline has used the volume, so this one must not write to it.
    Newer(Volume, Error),
}

fn open(settings: &Settings) -> Result<Opened> {
    let volume = Volume::open_in(&settings.storage, &settings.places)?;
    if init::trust::distrusts(settings.user.as_ref()) {
        init::trust::refuse_links(&volume)?;
        init::held::distrust(&volume);
    }
    let missing = missing_engine(settings, &volume)?;
    if let Some(MissingEngine::Refusal(end)) = missing {
        return Ok(match volume::format::refuse_newer(&volume) {
            Err(refusal) if refusal.code() == Code::UnsupportedVersion => Opened::Newer(volume, refusal),
            other => other.map(|_| Opened::Refused(volume, end))?,
        });
    }
    let missing = missing.and_then(MissingEngine::warning);
    match volume.prepare() {
        Err(refusal) if refusal.code() == Code::UnsupportedVersion => Ok(Opened::Newer(volume, refusal)),
        prepared => {
            prepared?;
            volume.refuse_home_on_other_mount()?;
            Ok(Opened::Prepared(volume, missing))
        }
    }
}

/// The volume of a start that goes on, after the log's first line and the warning that the engine is missing.
fn prepared_with(volume: Volume, missing: Option<Error>, first_line: impl FnOnce(&Volume)) -> Volume {
    first_line(&volume);
    if let Some(error) = missing {
        log::warn!("no backups are taken: {error}");
        error.advice().into_iter().for_each(|hint| log::info!("hint: {hint}"));
    }
    volume
}

/// The lock, an interrupted restore, the scripts of `Init/`.
fn prepare(settings: &Settings, volume: &Volume, signals: &mut Signals) -> Result<ControlFlow<End, Lock>> {
    let Some(lock) = lock::wait_for(volume, settings, signals)? else {
        return Ok(ControlFlow::Break(stopped(signals)));
    };
    if !scripts::wait_for_earlier(settings, volume, signals)? {
        return Ok(ControlFlow::Break(stopped(signals)));
    }
    if let Some(user) = &settings.user
        && let Err(error) = volume.let_traverse(user.uid(), user.gid())
    {
        log::warn!("scripts that run as user {} cannot read the volume's backups: {error}", user.spec());
    }
    let owner = ChownPlan::of(settings, volume)?;
    if let Some(end) = recover(settings, volume, &lock, signals)? {
        return Ok(ControlFlow::Break(end));
    }
    let ran = match scripts::run_once(settings, volume, &lock, &owner, signals)? {
        ControlFlow::Continue(ran) => ran,
        ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
    };
    // A script may continue after its restore was killed, so the state may be half old and half new again.
    if ran && let Some(end) = recover(settings, volume, &lock, signals)? {
        return Ok(ControlFlow::Break(end));
    }
    owner.apply()?;
    Ok(ControlFlow::Continue(lock))
}

/// The environment with `seqsvr` and `moorline` on PATH, both meaning this program and this volume.
#[must_use]
pub fn with_commands(environment: Variables, own: &Own, volume: &Volume, profile: &Choice) -> Variables {
    // If links cannot be created, at least this program's own folder is on PATH. Scripts get links in a temporary folder.
    let links = state::links(volume, own)
        .inspect_err(|cause| log::debug!("cannot create links in {}: {cause}", volume.own().display()));
    let folder = links.ok().or_else(|| own.path().parent().map(PathBuf::from));
    child_environment(environment.with_path(folder.as_slice()).with("DATA_DIR", volume.root()), volume, profile)
}

/// The environment with the variables that lead a child of this program to the same volume, profile and log format.
fn child_environment(environment: Variables, volume: &Volume, profile: &Choice) -> Variables {
    let environment = environment.with("MOORLINE_STORAGE", volume.root());
    let environment = environment.with(log_format::VARIABLE, Format::current().name());
    match profile.variable_value() {
        Some(profile) => environment.with(choice::VARIABLE, profile),
        None => environment,
    }
}

struct Serving<'a> {
    server: &'a Server,
    instance: &'a Instance,
    /// Variables that scripts hand to the server.
    variables: &'a BTreeMap<String, String>,
    additions: &'a ServerAdditions,
    sockets: &'a [RawFd],
}

fn serve(
    settings: &Settings,
    serving: &Serving<'_>,
    volume: &Volume,
    lock: &Lock,
    signals: &mut Signals,
) -> Result<End> {
    let Serving { server, sockets, .. } = serving;
    let prepared = match prepared(settings, serving, volume) {
        Ok(prepared) => prepared,
        Err(error) => return Ok(error.into()),
    };
    signals.poll();
    if signals.stop().is_some() {
        return Ok(stopped(signals));
    }
    lock.server_starts();
    // From here on, the server may replace the folder.
    let of_events = if init::held::is_distrusted() { volume.holding_own()? } else { volume.clone() };
    let Some(supervision) = &server.supervision else { return Ok(become_server(&prepared, lock, sockets, signals)) };
    let after = ready::child(settings, volume, lock)?;
    let console = (server.console && server.command.is_some())
        .then(|| console::beside(&settings.own, &console::environment(settings, volume)))
        .transpose();
    let console =
        console.inspect_err(|refused| log::error!("cannot start the console: {}", refused.error)).ok().flatten();
    let program = supervise::Program {
        prepared: &prepared,
        lock: Some(lock.fd()),
        sockets,
        after_start: after.as_ref(),
        companion: console.as_ref(),
    };
    Ok(match supervise::run(&program, supervision, signals)? {
        Ok((ended, stopped)) => {
            record_end(&of_events, ended, stopped);
            End::Served(supervision.exits.of(ended.code()))
        }
        Err(error) => error.into(),
    })
}

/// The server with its environment and user. A console keeps the key's variables and moorline's own user, because it
/// belongs to moorline.
fn prepared(settings: &Settings, serving: &Serving<'_>, volume: &Volume) -> std::result::Result<Prepared, NotExecuted> {
    let Serving { server, instance, variables, additions, .. } = serving;
    let Some(command) = &server.command else {
        let environment = additions.environment(console::environment(settings, volume), instance);
        return console::prepared(&settings.own, console::SERVER, &environment);
    };
    let internal = [LOCK_FD, script_lock::TOKEN, init::SCRIPT, init::REPORT, settings.arguments_variable];
    let environment = at_home(settings.environment.clone(), settings).without(&server.hidden).without(&internal);
    let environment = variables.iter().fold(environment, |all, (name, value)| all.with(name, value));
    let environment = additions.environment(environment, instance);
    Ok(exec::prepare(&additions.command(command), environment)?.as_user(settings.user.clone()))
}

/// Records the server's exit as an event. The console has ended by then and reports it after the next start.
fn record_end(volume: &Volume, ended: Ended, stopped: bool) {
    let kind = if stopped { Kind::ServerStopped } else { Kind::ServerExited };
    events::record(volume, &Event::new(kind).with("ExitCode", ended.code()));
}

fn become_server(prepared: &Prepared, lock: &Lock, sockets: &[RawFd], signals: &mut Signals) -> End {
    exec::close_on_exec_except(&[&lock.fds(), sockets].concat());
    signals.poll();
    if signals.stop().is_some() {
        return stopped(signals);
    }
    signals.restore();
    prepared.exec().into()
}

/// The environment with `HOME` of the configured user.
fn at_home(environment: Variables, settings: &Settings) -> Variables {
    match &settings.user {
        Some(user) => environment.with("HOME", user.home()),
        None => environment,
    }
}

/// Sockets of systemd's socket activation (podman uses it, too), which the server inherits. Call it before any
/// descriptor is marked close-on-exec.
fn activated(environment: &Variables) -> Vec<RawFd> {
    let number = |name: &str| environment.get(name)?.to_str()?.parse::<i32>().ok();
    let ours = number("LISTEN_PID") == i32::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0);
    // Our own descriptors are all close-on-exec, so any other one was opened by the parent.
    (3..3_i32.saturating_add(count.clamp(0, 1024))).filter(|fd| exec::outlives_exec(*fd)).collect()
}

fn stopped(signals: &Signals) -> End {
    End::Stopped(signals.stop().unwrap_or(Signal::SIGTERM))
}
