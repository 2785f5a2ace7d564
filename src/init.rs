//! Init scripts: found in `Init/` and `/seqinit`, recognised by content, run once each before the server; those of
//! `Init/start.d/` at every start, and those of `Init/ready.d/` once, beside it.
//!
//! ```text
//! finish marks that a crash interrupted → copy from /seqinit → for each script, bytewise by name:
//!   ledger: running (attempt n) → run → ledger: marking → rename .done → ledger: marked
//! ```
//! A script is run to effect once: what a crash cuts off between effect and mark, the ledger and the restore's journal
//! finish. An arbitrary program cannot be promised that; it is run again, and that is said. Failure follows
//! [`policy`]. While a script runs, a signal to stop reaches it, and nothing is marked.

mod attempt;
mod broken;
mod commands;
mod copy;
mod hashbang;
mod ledger;
mod look;
mod mark;
mod outcome;
mod output;
pub mod policy;
mod private_copy;
mod recognise;
mod redact;
mod scan;
mod script_report;
mod stage;

use std::{
    fmt,
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;

pub use self::{
    attempt::SCRIPT,
    look::{Report, report},
    script_report::Reporter,
};
use self::{
    attempt::{Attempt, Ran},
    broken::Rejected,
    ledger::{Ledger, State},
    output::Output,
    policy::OnFailure,
    recognise::{Kind, recognise},
    scan::Script,
    stage::Stage,
};
use process::{Own, Signals, User, Variables};
use seqbac_header::{Id, RelPath};
use volume::{
    Lock, Volume,
    error::{Code, Error, IoContext, Result},
};

/// What scripts are run with.
pub struct Settings<'a> {
    /// The volume.
    pub volume: &'a Volume,
    /// Its lock: scripts inherit it.
    pub lock: &'a Lock,
    /// This program: built-in commands are children of it.
    pub own: &'a Own,
    /// The variable through which a child of this program is given its arguments.
    pub arguments_variable: &'static str,
    /// The second source of scripts.
    pub seqinit: PathBuf,
    /// The environment of scripts, but for what says which script it is: made once there is one.
    pub environment: &'a dyn Fn() -> Variables,
    /// Whose processes scripts are; but for built-in commands, which need the volume.
    pub user: Option<&'a User>,
    /// The container's log.
    pub log: BorrowedFd<'a>,
    /// How long a script has between a signal to stop and KILL.
    pub grace: Duration,
    /// Instead of the failure table.
    pub on_failure: Option<OnFailure>,
    /// A volume without state is what is wanted.
    pub allow_empty: bool,
    /// A script that others can write is refused.
    pub strict_permissions: bool,
    /// Whether the volume holds state.
    pub holds_state: &'a dyn Fn() -> Result<bool>,
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("volume", &self.volume).finish_non_exhaustive()
    }
}

/// What came of all scripts.
#[derive(Debug)]
pub enum End {
    /// The server can start.
    Ready,
    /// This process was asked to stop.
    Stopped(Signal),
    /// A script failed, and the container exits with this code.
    Failed {
        /// The exit code.
        exit: u8,
        /// Which, and why.
        error: Error,
    },
}

/// Runs the scripts that are waiting.
///
/// # Errors
/// Where the ledger or `Init/` cannot be read or written.
pub fn run(settings: &Settings<'_>, signals: &mut Signals) -> Result<End> {
    let folder = settings.volume.init();
    let mut ledger = Ledger::load(settings.volume)?;
    mark::finish(&folder, &mut ledger)?;
    match copy::from(settings, &mut ledger)? {
        End::Ready => {}
        end => return Ok(end),
    }
    once(settings, Stage::Once, &mut ledger, signals)
}

/// Runs the scripts of `Init/ready.d/` that are waiting.
///
/// # Errors
/// As [`run`].
pub fn run_after_start(settings: &Settings<'_>, signals: &mut Signals) -> Result<End> {
    let mut ledger = Ledger::load(settings.volume)?;
    once(settings, Stage::AfterStart, &mut ledger, signals)
}

/// The scripts of `Init/ready.d/` that are waiting. Where there is no such folder this costs one look.
///
/// # Errors
/// Where the folder or the ledger cannot be read.
pub fn waiting_after_start(volume: &Volume) -> Result<Vec<RelPath>> {
    let folder = volume.init();
    let mut names = scan::names_of(Stage::AfterStart, &folder)?.scripts;
    if names.is_empty() {
        return Ok(names);
    }
    let ledger = Ledger::load(volume)?;
    let mut waiting = Vec::new();
    for name in names.drain(..) {
        if !matches!(look::find(&name, &folder, &ledger), Err(Rejected::Skipped(_))) {
            waiting.push(name);
        }
    }
    Ok(waiting)
}

/// Runs the scripts of `Init/start.d/`, all of them, at every start. Nothing is marked.
///
/// # Errors
/// Where the folder cannot be read, or a child cannot be waited for.
pub fn run_at_start(settings: &Settings<'_>, signals: &mut Signals) -> Result<End> {
    let folder = settings.volume.init();
    each(settings, Stage::EveryStart, signals, |name, signals| {
        Ok(match scan::open(&folder, name) {
            Ok(script) => Ok(at_start(settings, script, signals)?),
            Err(Rejected::Broken(broken)) => Ok(outcome::broken_at_start(settings, &broken)?),
            Err(Rejected::Skipped(skipped)) => Err(skipped),
        })
    })
}

/// A stage's scripts one after the other, until one of them ends the start or this process is asked to stop.
fn each(
    settings: &Settings<'_>,
    stage: Stage,
    signals: &mut Signals,
    mut run: impl FnMut(&RelPath, &mut Signals) -> Result<std::result::Result<End, scan::Skipped>>,
) -> Result<End> {
    for name in names(settings, stage)? {
        if let Some(signal) = signals.stop() {
            return Ok(End::Stopped(signal));
        }
        match run(&name, signals)? {
            Ok(End::Ready) => {}
            Ok(end) => return Ok(end),
            Err(skipped) => skipped.say(),
        }
    }
    Ok(signals.stop().map_or(End::Ready, End::Stopped))
}

/// The names of a stage's scripts, when they are about to be run.
fn names(settings: &Settings<'_>, stage: Stage) -> Result<Vec<RelPath>> {
    let folder = settings.volume.init();
    let names = scan::names_of(stage, &folder)?;
    names.log_ignored(&folder);
    if !names.scripts.is_empty() {
        check_folder(settings, &stage.folder().map_or(folder.clone(), |below| folder.join(below)))?;
    }
    Ok(names.scripts)
}

fn once(settings: &Settings<'_>, stage: Stage, ledger: &mut Ledger, signals: &mut Signals) -> Result<End> {
    let folder = settings.volume.init();
    each(settings, stage, signals, |name, signals| {
        Ok(match look::find(name, &folder, ledger) {
            Ok(script) => Ok(one(settings, stage, script, ledger, signals)?),
            Err(Rejected::Broken(broken)) => Ok(broken::fail(settings, &broken, ledger)?),
            Err(Rejected::Skipped(skipped)) => Err(skipped),
        })
    })
}

/// The server is about to start: what the ledger says of an empty volume is over.
///
/// # Errors
/// Where the ledger cannot be read or written.
pub fn server_starts(volume: &Volume) -> Result<()> {
    Ledger::load(volume)?.server_starts()
}

/// Who can write into `Init/` can run code as this user.
fn check_folder(settings: &Settings<'_>, folder: &Path) -> Result<()> {
    let meta = std::fs::metadata(folder).on("look at", folder)?;
    let open = nix::unistd::geteuid().is_root() && meta.mode() & 0o002 != 0;
    if open { complain(settings, folder) } else { Ok(()) }
}

fn check_file(settings: &Settings<'_>, script: &Script) -> Result<()> {
    if nix::unistd::geteuid().is_root() && script.others_may_write() {
        complain(settings, &script.path)?;
    }
    Ok(())
}

fn complain(settings: &Settings<'_>, path: &Path) -> Result<()> {
    let what = format!("everybody can write to {}, and what is in it is run as root", path.display());
    if settings.strict_permissions {
        return Err(Error::new(Code::ScriptUnrunnable, what).hint(format!("chmod o-w {}", path.display())));
    }
    log::warn!("{what}: chmod o-w it");
    Ok(())
}

fn at_start(settings: &Settings<'_>, mut script: Script, signals: &mut Signals) -> Result<End> {
    check_file(settings, &script)?;
    let kind = recognise(&script.text, script.whole);
    announce(&script, &kind, 1);
    let mut output = Output::open(&settings.volume.init(), &script.name, secrets(&script, &kind));
    let ran = match &kind {
        Ok(kind) => {
            let (stage, run) = (Stage::EveryStart, Id::random()?);
            Attempt { settings, script: &mut script, run, output: &mut output, signals, stage }.run(kind, None)?
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
    let entry = ledger.open(&script.name, &script.hash, !(settings.holds_state)()?)?;
    if entry.state == State::Running && outcome::cut_off(settings, &script, &kind, &entry, ledger)? {
        return Ok(End::Ready);
    }
    ledger.change(&script.name, |entry| {
        entry.attempts += 1;
        entry.state = State::Running;
    })?;
    announce(&script, &kind, entry.attempts + 1);
    let folder = settings.volume.init();
    let mut output = Output::open(&folder, &script.name, secrets(&script, &kind));
    let ran = match &kind {
        Ok(kind) => {
            let run = entry.run;
            Attempt { settings, script: &mut script, run, output: &mut output, signals, stage }
                .run(kind, Some(ledger))?
        }
        Err(error) => Ran::unrunnable(error.clone()),
    };
    outcome::conclude(settings, &script, ran, output, ledger)
}

fn announce(script: &Script, kind: &Result<Kind>, attempt: u32) {
    let what = match kind {
        Ok(Kind::BuiltIn(_)) => "built-in",
        Ok(Kind::Image | Kind::Interpreted { .. }) => "program",
        Ok(Kind::ShellText) => "shell text",
        Err(_) => return,
    };
    let again = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    log::info!("running init script {} ({what}{again})", script.name);
    if let Some(warning) = hashbang::lead_warning(&script.text, &script.path) {
        log::warn!("{warning}");
    }
}

/// Keys on its command lines, however they are quoted.
fn secrets(script: &Script, kind: &Result<Kind>) -> Vec<Vec<u8>> {
    let mut secrets = redact::redact(&script.text).secrets;
    let Ok(Kind::BuiltIn(commands)) = kind else { return secrets };
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
