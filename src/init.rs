//! Init scripts. Scripts in `Init/` and `/seqinit` run once before the server, scripts in `Init/start.d/` at every start,
//! and scripts in `Init/ready.d/` once, beside the server.
//!
//! ```text
//! finish marks that a crash interrupted → copy from /seqinit → for each script, bytewise by name:
//!   ledger: running (attempt n) → run → ledger: marking → rename .done → ledger: marked
//! ```
//! A built-in script takes effect exactly once: after a crash, the ledger and the restore's journal show which of its
//! commands are done. Any other program runs again after a crash, and the log says so. Failures follow `policy.rs`. A stop
//! signal is forwarded to the running script. That script is not marked, and runs again at the next start.

mod arguments;
mod attempt;
mod broken;
mod commands;
mod copy;
mod hashbang;
pub(crate) mod held;
mod inspect;
mod ledger;
mod mark;
mod outcome;
mod output;
pub(crate) mod policy;
mod private_copy;
mod recognise;
mod redact;
mod scan;
mod script_folder;
mod script_report;
pub(crate) mod server_env;
mod stage;
pub(crate) mod trust;
mod typography;

use std::{
    collections::BTreeMap,
    fmt,
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::Signal,
    unistd::{AccessFlags, access},
};

pub use self::{
    attempt::SCRIPT,
    copy::SEQINIT,
    inspect::{Report, report},
    script_report::{REPORT, Reporter},
    stage::Stage,
};
use self::{
    attempt::{Attempt, Ran},
    broken::Rejected,
    ledger::{Ledger, RunState},
    output::Output,
    policy::OnFailure,
    recognise::{ScriptKind, recognise},
    scan::{Names, Script},
};
use process::{Own, Signals, User, Variables};
use seqbac_header::{Id, RelPath};
use volume::{
    Lock, Volume,
    error::{Code, Error, IoContext, Result},
};

/// Takes the variables of a script and its stage.
pub(crate) type ForServer<'a> = dyn Fn(Stage, &RelPath, BTreeMap<String, String>) -> Result<()> + 'a;

/// The settings for a run of all scripts.
pub(crate) struct Settings<'a> {
    pub volume: &'a Volume,
    /// The volume's lock, which scripts inherit.
    pub lock: &'a Lock,
    /// This program, which built-in commands are started with.
    pub own: &'a Own,
    /// The variable that passes arguments to a child of this program.
    pub arguments_variable: &'static str,
    pub seqinit: PathBuf,
    /// Builds the environment of scripts, without the variable that names the script. Called only if a script runs.
    pub environment: &'a dyn Fn() -> Variables,
    /// Called before a script runs as that user.
    pub before_user: &'a dyn Fn() -> Result<()>,
    /// Takes the variables that a script hands to the server.
    pub for_server: &'a ForServer<'a>,
    /// The token with which commands of scripts may change the volume without the lock's descriptor.
    pub token: &'a dyn Fn() -> Result<String>,
    /// The user of scripts. Built-in commands keep moorline's user, because they need the whole volume.
    pub user: Option<&'a User>,
    pub log: BorrowedFd<'a>,
    /// The time between a stop signal and SIGKILL.
    pub grace: Duration,
    /// How long a script may run, if that is limited.
    pub timeout: Option<Duration>,
    /// Overrides the failure table.
    pub on_failure: Option<OnFailure>,
    /// Whether a volume without state is intended.
    pub allow_empty: bool,
    /// Whether a script that every user can write is refused.
    pub strict_permissions: bool,
    pub holds_state: &'a dyn Fn() -> Result<bool>,
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("volume", &self.volume).finish_non_exhaustive()
    }
}

/// How a run of all scripts ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The server can start.
    Ready,
    /// A stop signal arrived.
    Stopped(Signal),
    /// A script failed, so the container exits.
    Failed { exit: u8, error: Error },
}

/// Runs the waiting scripts of `/seqinit` and `Init/`. Sets `ran` before the first one.
pub(crate) fn run(settings: &Settings<'_>, signals: &mut Signals, ran: &mut bool) -> Result<End> {
    let folder = settings.volume.init();
    let mut ledger = Ledger::load(settings.volume)?;
    mark::finish(&folder, &mut ledger)?;
    scan::warn_of_other_case(settings.volume)?;
    match copy::from(settings, &mut ledger)? {
        End::Ready => {}
        end => return Ok(end),
    }
    let end = once(settings, Stage::Once, &mut ledger, signals, ran)?;
    if *ran && matches!(end, End::Ready) {
        ledger.forget_empty()?;
    }
    Ok(end)
}

/// Runs the waiting scripts of `Init/ready.d/`.
pub(crate) fn run_after_start(settings: &Settings<'_>, signals: &mut Signals) -> Result<End> {
    let mut ledger = Ledger::load(settings.volume)?;
    once(settings, Stage::AfterStart, &mut ledger, signals, &mut false)
}

/// The waiting scripts of `Init/ready.d/`; none if the folder cannot be listed. Without that folder, this costs one system
/// call.
pub(crate) fn waiting_after_start(volume: &Volume) -> Result<Vec<RelPath>> {
    let folder = volume.init();
    let mut names = scan::listed(scan::names_of(Stage::AfterStart, &folder)).scripts;
    if names.is_empty() {
        return Ok(names);
    }
    let ledger = Ledger::load(volume)?;
    let mut waiting = Vec::new();
    for name in names.drain(..) {
        if !matches!(inspect::find(&name, &folder, &ledger), Err(Rejected::Skipped(_))) {
            waiting.push(name);
        }
    }
    Ok(waiting)
}

/// Runs all scripts of `Init/start.d/` and marks none, because they run at every start.
pub(crate) fn run_at_start(settings: &Settings<'_>, signals: &mut Signals) -> Result<End> {
    let folder = settings.volume.init();
    let names = match scan::names_of(Stage::EveryStart, &folder) {
        Ok(names) => names,
        // That was the failure of `Init/` itself.
        Err(error) if access(&folder, AccessFlags::X_OK).is_err() => scan::listed(Err(error)),
        Err(error) => {
            return outcome::broken_at_start(settings, &*broken::Broken::folder(&folder.join("start.d"), error)?);
        }
    };
    each(settings, (Stage::EveryStart, names), signals, |name, signals| {
        if settings.on_failure == Some(OnFailure::Continue) {
            Ledger::load(settings.volume)?.record_empty(settings.holds_state)?;
        }
        Ok(match scan::open(&folder, name) {
            Ok(script) => Ok(at_start(settings, script, signals)?),
            Err(Rejected::Broken(broken)) => Ok(outcome::broken_at_start(settings, &broken)?),
            Err(Rejected::Skipped(skipped)) => Err(skipped),
        })
    })
}

/// Runs a stage's scripts one after the other until one of them ends the start or a stop signal arrives.
fn each(
    settings: &Settings<'_>,
    (stage, names): (Stage, Names),
    signals: &mut Signals,
    mut run: impl FnMut(&RelPath, &mut Signals) -> Result<std::result::Result<End, scan::Skipped>>,
) -> Result<End> {
    let folder = settings.volume.init();
    names.log_ignored(&folder);
    if !names.scripts.is_empty() {
        check_folder(settings, &stage.folder().map_or(folder.clone(), |below| folder.join(below)))?;
    }
    for name in names.scripts {
        if let Some(signal) = signals.stop() {
            return Ok(End::Stopped(signal));
        }
        match run(&name, signals)? {
            Ok(End::Ready) => {}
            Ok(end) => return Ok(end),
            Err(skipped) => skipped.log(),
        }
    }
    Ok(signals.stop().map_or(End::Ready, End::Stopped))
}

fn once(
    settings: &Settings<'_>,
    stage: Stage,
    ledger: &mut Ledger,
    signals: &mut Signals,
    ran: &mut bool,
) -> Result<End> {
    let folder = settings.volume.init();
    let names = match scan::names_of(stage, &folder) {
        Ok(names) => names,
        Err(error) => {
            let path = stage.folder().map_or(folder.clone(), |below| folder.join(below));
            return broken::fail_folder(settings, broken::Broken::folder(&path, error)?, ledger);
        }
    };
    each(settings, (stage, names), signals, |name, signals| {
        Ok(match inspect::find(name, &folder, ledger) {
            Ok(script) => {
                *ran = true;
                Ok(one(settings, stage, script, ledger, signals)?)
            }
            Err(Rejected::Broken(broken)) => Ok(broken::fail(settings, &broken, ledger)?),
            Err(Rejected::Skipped(skipped)) => Err(skipped),
        })
    })
}

/// Clears the ledger's note that the volume was empty, because the server is about to start.
pub(crate) fn server_starts(volume: &Volume) -> Result<()> {
    Ledger::load(volume)?.forget_empty()
}

/// Checks the mode of the folder, because any user who can write to it can run code as root.
fn check_folder(settings: &Settings<'_>, folder: &Path) -> Result<()> {
    let meta = std::fs::metadata(folder).on("access", folder)?;
    let open = nix::unistd::geteuid().is_root() && meta.mode() & 0o002 != 0;
    if open { report_writable(settings, folder) } else { Ok(()) }
}

fn check_file(settings: &Settings<'_>, script: &Script) -> Result<()> {
    if nix::unistd::geteuid().is_root() && script.others_may_write() {
        report_writable(settings, &script.path)?;
    }
    Ok(())
}

fn report_writable(settings: &Settings<'_>, path: &Path) -> Result<()> {
    let what = format!("every user can write to {}, which moorline runs as root", path.display());
    if settings.strict_permissions {
        return Err(Error::new(Code::ScriptUnrunnable, what).hint(format!("chmod o-w {}", path.display())));
    }
    log::warn!("{what}; run: chmod o-w {}", path.display());
    Ok(())
}

fn at_start(settings: &Settings<'_>, mut script: Script, signals: &mut Signals) -> Result<End> {
    check_file(settings, &script)?;
    let kind = recognise(&script.text, script.whole);
    announce(&script, &kind, 1);
    let mut output = Output::open(&settings.volume.init(), &script.name, secrets(&script, &kind));
    let began = Instant::now();
    let ran = match &kind {
        Ok(kind) => {
            let (stage, run) = (Stage::EveryStart, Id::random()?);
            Attempt { settings, script: &mut script, run, output: &mut output, signals, stage, began }
                .run(kind, None)?
        }
        Err(error) => Ran::unrunnable(error.clone()),
    };
    outcome::conclude_at_start(settings, &script, ran, output)
}

fn one(
    settings: &Settings<'_>,
    stage: Stage,
    mut script: Script,
    ledger: &mut Ledger,
    signals: &mut Signals,
) -> Result<End> {
    check_file(settings, &script)?;
    let kind = recognise(&script.text, script.whole).and_then(|kind| stage.refuse(kind));
    ledger.look_for_state(settings.holds_state)?;
    let entry = ledger.open(&script.name, &script.hash)?;
    if entry.state == RunState::Running && outcome::interrupted(settings, &script, &kind, &entry, ledger)? {
        return Ok(End::Ready);
    }
    ledger.change(&script.name, |entry| {
        entry.attempts += 1;
        entry.state = RunState::Running;
    })?;
    announce(&script, &kind, entry.attempts + 1);
    let folder = settings.volume.init();
    let mut output = Output::open(&folder, &script.name, secrets(&script, &kind));
    let began = Instant::now();
    let ran = match &kind {
        Ok(kind) => {
            let run = entry.run;
            Attempt { settings, script: &mut script, run, output: &mut output, signals, stage, began }
                .run(kind, Some(ledger))?
        }
        Err(error) => Ran::unrunnable(error.clone()),
    };
    outcome::conclude(settings, &script, ran, output, ledger)
}

fn announce(script: &Script, kind: &Result<ScriptKind>, attempt: u32) {
    let what = match kind {
        Ok(ScriptKind::BuiltIn(_)) => "built-in",
        Ok(ScriptKind::Image | ScriptKind::Interpreted { .. }) => "program",
        Ok(ScriptKind::ShellText) => "shell text",
        Err(_) => return,
    };
    let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    log::info!("running init script {} ({what}{again})", script.name);
    let misspelt = held::is_distrusted().then(|| trust::misspelt_request(script)).flatten();
    let warnings = [hashbang::lead_warning(&script.text, &script.path), misspelt];
    warnings.iter().flatten().for_each(|warning| log::warn!("{warning}"));
}

/// The secret keys in a script: in its text, and in its commands after quotes are removed.
fn secrets(script: &Script, kind: &Result<ScriptKind>) -> Vec<Vec<u8>> {
    let mut secrets = redact::redact(&script.text).secrets;
    let Ok(ScriptKind::BuiltIn(commands)) = kind else { return secrets };
    for command in commands {
        let mut arguments = command.arguments.iter();
        while let Some(argument) = arguments.next() {
            let value = match argument.strip_prefix("--secret-key") {
                Some("") => arguments.next().map(String::as_str),
                Some(rest) => rest.strip_prefix('='),
                None => None,
            };
            secrets.extend(value.map(|value| value.as_bytes().to_vec()));
        }
    }
    secrets
}
