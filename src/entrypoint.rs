//! From container start to server: one straight line, each step one function, in this order.
//!
//! ```text
//! prepare        hold signals, open the storage root, take the lock
//! recover        finish or undo a restore that a crash interrupted (engine)
//! scripts        copy from /seqinit, run the scripts of Init/; then those of Init/start.d/
//! quarantine     switch off or release apps, if something is pending (engine)
//! ensure_key     create a secret key if none exists
//! back_up        a backup, if the newest is older than a day (engine)
//! serve          the server replaces this process, or becomes its child
//! ```
//! A signal to stop before the server is there stops whatever runs, and the server does not start. This process never
//! opens a database: whatever does is a child.

pub mod console;
pub mod health;
mod lock;
mod quarantine;
pub mod ready;
mod scripts;
mod state;
pub mod supervise;

use std::{
    ffi::OsString,
    ops::ControlFlow,
    os::fd::{BorrowedFd, OwnedFd, RawFd},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::sys::signal::Signal;

use self::quarantine::ServerAdditions;
pub use self::{health::Health, state::holds_state, supervise::Supervision};
use crate::{
    command::{engine, output},
    init::{self, policy::OnFailure},
};
use process::{
    Ended, Isolation, NotExecuted, Own, Signals, User, Variables, child,
    exec::{self, Prepared},
    fd, signals,
};
use profile::{Choice, choice};
use volume::{
    Instance, Lock, Volume, backups,
    error::{Code, Error, Result},
    events::{self, Event, Kind},
    key::Sources,
    lock::LOCK_FD,
    quarantine::QuarantineStatus,
    restores,
};

/// A backup that is no older makes one before the server starts superfluous. The child is told the same.
const BOOT_BACKUP_AGE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What a container start is told.
#[derive(Debug)]
pub struct Settings {
    /// The storage root.
    pub storage: PathBuf,
    /// What the volume's profile is.
    pub profile: Choice,
    /// `run` or `init`, as the lock's holder is shown.
    pub verb: &'static str,
    /// This process's environment, as it was found.
    pub environment: Variables,
    /// This program.
    pub own: Own,
    /// A descriptor of the lock that a parent left to this process.
    pub inherited_lock: Option<RawFd>,
    /// How long another one is waited for.
    pub lock_wait: Duration,
    /// The container's log.
    pub log: BorrowedFd<'static>,
    /// The variable through which a child of this program is given its arguments.
    pub arguments_variable: &'static str,
    /// Whose processes the server and scripts are, where not this process's user's.
    pub user: Option<User>,
    /// How scripts are run; `None` where they are not.
    pub scripts: Option<Scripts>,
    /// How it is told that the server is healthy, where somebody has said it.
    pub health: Option<Health>,
}

/// How scripts are run.
#[derive(Debug)]
pub struct Scripts {
    /// The second source of scripts.
    pub seqinit: PathBuf,
    /// How long a script has between a signal to stop and KILL.
    pub grace: Duration,
    /// Instead of the failure table.
    pub on_failure: Option<OnFailure>,
    /// A volume without state is what is wanted.
    pub allow_empty: bool,
    /// A script that others can write is refused.
    pub strict_permissions: bool,
}

/// The server, and what is done for it at last.
#[derive(Debug)]
pub struct Server {
    /// Its program and arguments; `None` where it is the console.
    pub command: Option<Vec<OsString>>,
    /// Variables that it does not get to see.
    pub hidden: Vec<&'static str>,
    /// Where the secret key comes from.
    pub keys: Sources,
    /// A configured key that is not the recorded one is accepted.
    pub accept_new_key: bool,
    /// Whether a backup is taken first.
    pub boot_backup: bool,
    /// The signal that this process, and the server that it becomes, gets when its parent ends.
    pub parent_death_signal: Option<i32>,
    /// How it is looked after; `None` where it replaces this process.
    pub supervision: Option<Supervision>,
    /// Whether the console runs beside it, where it is looked after and is not the console itself.
    pub console: bool,
}

/// How a container start ended.
#[derive(Debug)]
pub enum End {
    /// All scripts are done, and no server was asked for.
    Ready,
    /// It was asked to stop.
    Stopped(Signal),
    /// The server ended, and this is the exit code that stands for its own.
    Served(u8),
    /// A step failed, and has an exit code of its own.
    Failed {
        /// The exit code.
        exit: u8,
        /// What failed.
        error: Error,
    },
}

impl Settings {
    /// The lock that a parent left to this process, if it is this volume's.
    fn inherited_lock(&self, volume: &Volume) -> Option<OwnedFd> {
        fd::take_file(self.inherited_lock?, &volume.own().join("lock"))
    }
}

impl From<NotExecuted> for End {
    fn from(server: NotExecuted) -> Self {
        Self::Failed { exit: server.exit, error: server.error.context("the server cannot be started") }
    }
}

impl End {
    /// What a child of ours that failed means for the start: its own exit code.
    fn of_child(ended: Ended, message: &str) -> Self {
        let exit = ended.code();
        let code = Code::from_exit(exit).unwrap_or(Code::Unexpected);
        Self::Failed {
            exit,
            error: Error::new(code, message).hint("the lines above say why; the next start tries again"),
        }
    }
}

/// The steps up to quarantine: the command `init`.
///
/// # Errors
/// Where a step fails that has no exit code of its own.
pub fn init(settings: &Settings) -> Result<End> {
    let mut signals = Signals::hold()?;
    let (volume, lock) = match prepare(settings, &mut signals)? {
        ControlFlow::Continue(prepared) => prepared,
        ControlFlow::Break(end) => return Ok(end),
    };
    if let ControlFlow::Break(end) = quarantine::settle(settings, &volume, &lock, &mut signals)? {
        return Ok(end);
    }
    init::server_starts(&volume)?;
    Ok(End::Ready)
}

/// All steps: the command `run`. Where the server replaces this process and all goes well, it does not return.
///
/// # Errors
/// As [`init()`].
pub fn run(settings: &Settings, server: &Server) -> Result<End> {
    let mut signals = Signals::hold()?;
    server.parent_death_signal.into_iter().for_each(signals::when_parent_ends);
    let sockets = activated(&settings.environment);
    let (volume, lock) = match prepare(settings, &mut signals)? {
        ControlFlow::Continue(prepared) => prepared,
        ControlFlow::Break(end) => return Ok(end),
    };
    if server.supervision.is_none() {
        ready::refuse_without_supervisor(settings, &volume)?;
    }
    if let Some(end) = scripts::run_at_start(settings, &volume, &lock, &mut signals)? {
        return Ok(end);
    }
    let given = match quarantine::settle(settings, &volume, &lock, &mut signals)? {
        ControlFlow::Continue(given) => given,
        ControlFlow::Break(end) => return Ok(end),
    };
    init::server_starts(&volume)?;
    let instance = match ensure_key(settings, server, &volume, &mut signals)? {
        ControlFlow::Continue(instance) => instance,
        ControlFlow::Break(end) => return Ok(end),
    };
    if let Some(end) = back_up(settings, server, &volume, &instance, &mut signals) {
        return Ok(end);
    }
    serve(
        settings,
        &Serving { server, instance: &instance, given: &given, sockets: &sockets },
        &volume,
        &lock,
        &mut signals,
    )
}

fn prepare(settings: &Settings, signals: &mut Signals) -> Result<ControlFlow<End, (Volume, Lock)>> {
    exec::close_on_exec_except(&[]);
    let volume = Volume::open(&settings.storage)?;
    volume.prepare()?;
    let Some(lock) = lock::wait_for(&volume, settings, signals)? else {
        return Ok(ControlFlow::Break(stopped(signals)));
    };
    if let Some(end) = refuse_without_engine(settings, &volume)? {
        return Ok(ControlFlow::Break(end));
    }
    if let Some(user) = &settings.user
        && let Err(error) = volume.let_pass(user.uid(), user.gid())
    {
        log::warn!("scripts of user {} may not find `seqsvr`: {error}", user.spec());
    }
    if let Some(end) = recover(settings, &volume, &lock, signals)? {
        return Ok(ControlFlow::Break(end));
    }
    if let Some(end) = scripts::run_once(settings, &volume, &lock, signals)? {
        return Ok(ControlFlow::Break(end));
    }
    // A script may have gone on after its restore was killed: no server may find the state half old and half new.
    if let Some(end) = recover(settings, &volume, &lock, signals)? {
        return Ok(ControlFlow::Break(end));
    }
    Ok(ControlFlow::Continue((volume, lock)))
}

/// Without the engine, no backup is taken: a warning at each start. A start that needs it fails here, before it has
/// changed anything.
fn refuse_without_engine(settings: &Settings, volume: &Volume) -> Result<Option<End>> {
    let Err(missing) = engine::find(&settings.own, settings.environment.get("PATH")) else { return Ok(None) };
    let script = match &settings.scripts {
        Some(scripts) => init::report(volume, &scripts.seqinit)?.waiting.into_iter().next(),
        None => None,
    };
    let needs_it = if Instance::load(volume)?.is_none() {
        "the first start of a volume needs the engine".to_owned()
    } else if restores::need_recovery(volume)? {
        "an interrupted restore has to be finished or undone".to_owned()
    } else if QuarantineStatus::load(volume)?.is_some_and(|status| status.needs_engine()) {
        "apps have to be switched off or released".to_owned()
    } else if let Some(script) = script {
        format!("the init script {script} has to run")
    } else {
        log::warn!("no backups: {}", missing.error);
        return Ok(None);
    };
    Ok(Some(End::Failed { exit: missing.exit, error: missing.error.context(needs_it) }))
}

/// Has the engine finish or undo a restore that a crash interrupted. The journals say whether that is needed.
fn recover(settings: &Settings, volume: &Volume, lock: &Lock, signals: &mut Signals) -> Result<Option<End>> {
    if !restores::need_recovery(volume)? {
        return Ok(None);
    }
    let failed = "an interrupted restore could not be finished or undone, so the server is not started";
    Ok(match own_command(settings, volume, &["recover"], Some(lock), signals)? {
        Ended::Exited(0) => None,
        Ended::Stopped(signal) => Some(End::Stopped(signal)),
        other => Some(End::of_child(other, failed)),
    })
}

/// The same environment, in which `seqsvr` and `moorline` are this program and use this volume.
#[must_use]
pub fn with_commands(environment: Variables, own: &Own, volume: &Volume, profile: &Choice) -> Variables {
    // Where links are not possible, this program is found under its own name at least.
    let folder = state::links(volume, own).or_else(|| own.path().parent().map(PathBuf::from));
    child_environment(environment.with_path(folder.as_slice()).with("DATA_DIR", volume.root()), volume, profile)
}

/// The same environment, in which a child of this program finds the same volume and the same profile.
fn child_environment(environment: Variables, volume: &Volume, profile: &Choice) -> Variables {
    let environment = environment.with("MOORLINE_STORAGE", volume.root());
    match profile.variable_value() {
        Some(profile) => environment.with(choice::VARIABLE, profile),
        None => environment,
    }
}

/// A provider is a program of somebody else: it runs in a child, so that a signal to stop is heard meanwhile.
fn ensure_key(
    settings: &Settings,
    server: &Server,
    volume: &Volume,
    signals: &mut Signals,
) -> Result<ControlFlow<End, Instance>> {
    if server.keys.provider.is_none() {
        let instance = Instance::load(volume)?;
        return Ok(ControlFlow::Continue(server.keys.ensure_for(volume, instance, server.accept_new_key)?.1));
    }
    let accept = server.accept_new_key.then_some("--accept-new-key");
    let verb: Vec<&str> = ["show-key"].into_iter().chain(accept).collect();
    Ok(match own_command(settings, volume, &verb, None, signals)? {
        Ended::Exited(0) => ControlFlow::Continue(Instance::ensure(volume)?),
        Ended::Stopped(signal) => ControlFlow::Break(End::Stopped(signal)),
        other => {
            ControlFlow::Break(End::of_child(other, "the secret key provider gave no key that this volume can use"))
        }
    })
}

/// A stopped server is the best moment for a backup; that it fails never keeps the server down.
fn back_up(
    settings: &Settings,
    server: &Server,
    volume: &Volume,
    instance: &Instance,
    signals: &mut Signals,
) -> Option<End> {
    // Where one is there, which is nearly always so, no child is needed to see it.
    if !server.boot_backup
        || backups::has_one_since(volume, Some(instance), BOOT_BACKUP_AGE, jiff::Timestamp::now()).unwrap_or(false)
    {
        return None;
    }
    match own_command(settings, volume, &["backup", "--if-older", "24h", "--scheduled"], None, signals) {
        Ok(Ended::Exited(0)) => None,
        Ok(Ended::Stopped(signal)) => Some(End::Stopped(signal)),
        Ok(other) => {
            log::warn!("no backup was made before the server starts (exit {})", other.code());
            None
        }
        Err(error) => {
            log::warn!("no backup was made before the server starts: {error}");
            None
        }
    }
}

/// A command of the engine as a child; only what it logs is shown. One that changes the state inherits the lock.
fn own_command(
    settings: &Settings,
    volume: &Volume,
    command: &[&str],
    lock: Option<&Lock>,
    signals: &mut Signals,
) -> Result<Ended> {
    let mut child = match engine_command(settings, volume, command) {
        Ok(child) => child,
        Err(missing) => {
            output::report(&missing.error);
            return Ok(Ended::Exited(missing.exit));
        }
    };
    if let Some(lock) = lock {
        child.env(LOCK_FD, lock.fd().to_string());
    }
    let isolation = Isolation { keep: lock.map(Lock::fd).into_iter().collect(), ..Isolation::default() };
    match child::run(child, None, isolation, Duration::from_secs(5), signals) {
        Ok(done) => Ok(done.ended),
        Err(child::Failure::NotStarted(cause)) => Err(Error::io("start", Path::new(engine::PROGRAM), &cause)),
        Err(child::Failure::Lost(error)) => Err(error),
    }
}

/// A command of the engine that finds the same volume and profile.
fn engine_command(settings: &Settings, volume: &Volume, command: &[&str]) -> std::result::Result<Command, NotExecuted> {
    let engine = engine::find(&settings.own, settings.environment.get("PATH"))?;
    let environment = engine::environment(&settings.own, settings.environment.clone());
    let environment = child_environment(environment.without(&[LOCK_FD]), volume, &settings.profile);
    let mut child = Command::new(engine);
    child.args(command).env_clear().envs(environment.pairs()).stdout(child::unheard());
    Ok(child)
}

/// What is started, and what it is given.
struct Serving<'a> {
    server: &'a Server,
    instance: &'a Instance,
    given: &'a ServerAdditions,
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
    signals.look();
    if signals.stop().is_some() {
        return Ok(stopped(signals));
    }
    lock.server_starts();
    let Some(supervision) = &server.supervision else { return Ok(become_server(&prepared, lock, sockets, signals)) };
    let after = ready::child(settings, volume, lock)?;
    let console = (server.console && server.command.is_some())
        .then(|| console::beside(&settings.own, &console::environment(settings, volume)))
        .transpose();
    let console = console.inspect_err(|refused| log::error!("there is no console: {}", refused.error)).ok().flatten();
    let program = supervise::Program {
        prepared: &prepared,
        lock: Some(lock.fd()),
        sockets,
        after_start: after.as_ref(),
        companion: console.as_ref(),
    };
    Ok(match supervise::run(&program, supervision, signals)? {
        Ok((ended, stopped)) => {
            tell_end(volume, ended, stopped);
            End::Served(supervision.exits.of(ended.code()))
        }
        Err(error) => error.into(),
    })
}

/// The server with all that it is given. The console keeps what is moorline's: the key's variables, and its user.
fn prepared(settings: &Settings, serving: &Serving<'_>, volume: &Volume) -> std::result::Result<Prepared, NotExecuted> {
    let Serving { server, instance, given, .. } = serving;
    let Some(command) = &server.command else {
        let environment = given.environment(console::environment(settings, volume), instance);
        return console::prepared(&settings.own, console::SERVER, &environment);
    };
    let internal = [LOCK_FD, init::SCRIPT, settings.arguments_variable];
    let environment = at_home(settings.environment.clone(), settings).without(&server.hidden).without(&internal);
    let environment = given.environment(environment, instance);
    Ok(exec::prepare(&given.command(command), &environment)?.as_user(settings.user.clone()))
}

/// The last that is done: what the server could do no more than PID 1 could, the console says when it is there again.
fn tell_end(volume: &Volume, ended: Ended, stopped: bool) {
    let kind = if stopped { Kind::ServerStopped } else { Kind::ServerExited };
    events::record(volume, &Event::new(kind).with("ExitCode", ended.code()));
}

fn become_server(prepared: &Prepared, lock: &Lock, sockets: &[RawFd], signals: &mut Signals) -> End {
    exec::close_on_exec_except(&[&[lock.fd()], sockets].concat());
    signals.look();
    if signals.stop().is_some() {
        return stopped(signals);
    }
    signals.give_back();
    prepared.exec().into()
}

/// The environment of a process of the user that was asked for.
fn at_home(environment: Variables, settings: &Settings) -> Variables {
    match &settings.user {
        Some(user) => environment.with("HOME", user.home()),
        None => environment,
    }
}

/// Sockets that were opened for this process by number (systemd's protocol, podman): they are the server's.
/// Asked before anything of theirs is marked.
fn activated(environment: &Variables) -> Vec<RawFd> {
    let number = |name: &str| environment.get(name)?.to_str()?.parse::<i32>().ok();
    let ours = number("LISTEN_PID") == i32::try_from(std::process::id()).ok();
    let count = number("LISTEN_FDS").filter(|_| ours).unwrap_or(0);
    // Our own descriptors are all closed at exec, so one that is not was opened by somebody else.
    (3..3_i32.saturating_add(count.clamp(0, 1024))).filter(|fd| exec::outlives_exec(*fd)).collect()
}

fn stopped(signals: &Signals) -> End {
    End::Stopped(signals.stop().unwrap_or(Signal::SIGTERM))
}
