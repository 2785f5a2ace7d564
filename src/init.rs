//! Init scripts: found in `Init/` and `/seqinit`, recognised by content, run once each before the server.
//!
//! ```text
//! finish marks that a crash interrupted → copy from /seqinit → for each script, bytewise by name:
//!   ledger: running (attempt n) → run → ledger: marking → rename .done → ledger: marked
//! ```
//! A script is run to effect once: what a crash cuts off between effect and mark, the ledger and the restore's journal
//! finish. An arbitrary program cannot be promised that; it is run again, and that is said. Failure follows
//! [`policy`]. While a script runs, a signal to stop reaches it, and nothing is marked.

mod attempt;
mod commands;
mod copy;
mod ledger;
mod mark;
mod output;
pub mod policy;
mod private_copy;
mod recognise;
mod redact;
mod scan;

use std::{
    fmt,
    os::{fd::BorrowedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use nix::sys::signal::Signal;

pub use self::{attempt::SCRIPT, redact::redact};
use self::{
    attempt::{Attempt, Ran},
    ledger::{Entry, Ledger, Outcome, State},
    output::Output,
    policy::{Failure, OnFailure},
    recognise::{Kind, recognise},
    scan::{Script, Skipped},
};
use crate::{
    error::{Code, Error, IoContext, Result},
    process::{Own, Signals, Variables},
    volume::{Lock, RelPath, Volume},
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
    /// The environment of scripts, but for what says which script it is.
    pub environment: Variables,
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
    copy::from(&settings.seqinit, &folder, &ledger)?;
    let names = scan::names(&folder)?;
    for name in names.unfinished {
        log::info!("{} is skipped: it looks like a file that is being edited", name.under(&folder).display());
    }
    if !names.scripts.is_empty() {
        check_folder(settings, &folder)?;
    }
    for name in names.scripts {
        if let Some(signal) = signals.stop() {
            return Ok(End::Stopped(signal));
        }
        let end = match find(&name, &folder, &ledger)? {
            Ok(script) => one(settings, script, &mut ledger, signals)?,
            Err(skipped) => {
                skipped.say();
                continue;
            }
        };
        if !matches!(end, End::Ready) {
            return Ok(end);
        }
    }
    Ok(signals.stop().map_or(End::Ready, End::Stopped))
}

/// The server is about to start: what the ledger says of an empty volume is over.
///
/// # Errors
/// Where the ledger cannot be read or written.
pub fn server_starts(volume: &Volume) -> Result<()> {
    Ledger::load(volume)?.server_starts()
}

/// What there is to say about the scripts of a volume.
#[derive(Debug, Default)]
pub struct Report {
    /// The next start runs these.
    pub waiting: Vec<RelPath>,
    /// These are done: the names of their marks, or their own where nothing could be renamed.
    pub done: Vec<RelPath>,
    /// These were set aside.
    pub failed: Vec<RelPath>,
}

/// Looks at the scripts of a volume, and changes nothing.
///
/// # Errors
/// Where a folder or the ledger cannot be read.
pub fn report(volume: &Volume, seqinit: &Path) -> Result<Report> {
    let folder = volume.init();
    let ledger = Ledger::load(volume)?;
    let names = scan::names(&folder)?;
    let mut report = Report::default();
    for name in names.scripts {
        if find(&name, &folder, &ledger)?.is_ok() {
            report.waiting.push(name);
        } else if let Some(Entry { state: State::Marked { outcome, in_place: true }, .. }) = ledger.find(&name) {
            report.list(*outcome).push(name);
        }
    }
    for name in scan::names(seqinit)?.scripts {
        let wanted = scan::open(seqinit, &name)?.and_then(|script| copy::check(&script, &folder, &ledger));
        if wanted.is_ok() && !report.waiting.contains(&name) {
            report.waiting.push(name);
        }
    }
    for name in names.marked {
        let ends_in = |outcome: &Outcome| name.as_bytes().ends_with(outcome.suffix().as_bytes());
        if let Some(outcome) = [Outcome::Done, Outcome::Failed].into_iter().find(ends_in) {
            report.list(outcome).push(name);
        }
    }
    report.waiting.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    Ok(report)
}

impl Report {
    fn list(&mut self, outcome: Outcome) -> &mut Vec<RelPath> {
        match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Failed => &mut self.failed,
        }
    }
}

/// A script of `Init/` that is waiting, or why it is not run.
fn find(name: &RelPath, folder: &Path, ledger: &Ledger) -> Result<std::result::Result<Script, Skipped>> {
    let script = match scan::open(folder, name)? {
        Ok(script) => script,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let entry = ledger.find(&script.name);
    let changed = entry.is_some_and(|entry| entry.hash != script.hash);
    let path = script.path.display();
    if let Some(State::Marked { outcome, in_place: true }) = entry.map(|entry| &entry.state) {
        return Ok(match (outcome, changed) {
            (Outcome::Failed, true) => Ok(script),
            (Outcome::Done, true) => Err(copy::changed(&script)),
            (_, false) => {
                let what = &outcome.suffix()[1..];
                Err(Skipped::info(format!("{path} is not run again: the ledger says that it is {what}")))
            }
        });
    }
    if !scan::is_marked(folder, &script.name, Outcome::Done) {
        return Ok(Ok(script));
    }
    let and_changed = if changed { " (and it has changed since it was done)" } else { "" };
    Ok(Err(Skipped::warning(format!(
        "{path} is not run, because {} is there{and_changed}: remove or rename that to run it again, or give the script another name",
        script.name.with_suffix(".done"),
    ))))
}

/// Who can write into `Init/` can run code as this user.
fn check_folder(settings: &Settings<'_>, folder: &Path) -> Result<()> {
    let meta = std::fs::metadata(folder).on("look at", folder)?;
    let open = nix::unistd::geteuid().is_root() && meta.mode() & 0o002 != 0;
    if open { complain(settings, folder) } else { Ok(()) }
}

fn complain(settings: &Settings<'_>, path: &Path) -> Result<()> {
    let what = format!("everybody can write to {}, and what is in it is run as root", path.display());
    if settings.strict_permissions {
        return Err(Error::new(Code::ScriptUnrunnable, what).hint(format!("chmod o-w {}", path.display())));
    }
    log::warn!("{what}: chmod o-w it");
    Ok(())
}

fn one(settings: &Settings<'_>, mut script: Script, ledger: &mut Ledger, signals: &mut Signals) -> Result<End> {
    if nix::unistd::geteuid().is_root() && script.others_may_write() {
        complain(settings, &script.path)?;
    }
    let kind = recognise(&script.text, script.whole);
    let entry = ledger.open(&script.name, &script.hash, !(settings.holds_state)()?)?;
    if entry.state == State::Running && cut_off(settings, &script, &kind, &entry, ledger)? {
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
            let mut attempt = Attempt { settings, script: &mut script, run: entry.run, output: &mut output, signals };
            attempt.run(kind, ledger)?
        }
        Err(error) => Ran::unrunnable(error.clone()),
    };
    conclude(settings, &script, ran, output, ledger)
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
}

/// Keys on its command lines, however they are quoted.
fn secrets(script: &Script, kind: &Result<Kind>) -> Vec<Vec<u8>> {
    let mut secrets = redact(&script.text).secrets;
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

/// A crash cut it off: that is reported, and counts. Whether it has been set aside for that.
fn cut_off(
    settings: &Settings<'_>,
    script: &Script,
    kind: &Result<Kind>,
    entry: &Entry,
    ledger: &mut Ledger,
) -> Result<bool> {
    log::warn!("init script {} was cut off by a crash (attempt {})", script.name, entry.attempts);
    let failure = if matches!(kind, Ok(Kind::BuiltIn(_))) { Failure::Passing } else { Failure::Program };
    let now = Timestamp::now();
    ledger.change(&script.name, |entry| {
        entry.first_failure.get_or_insert(now);
        entry.reason = Some("was cut off by a crash".to_owned());
    })?;
    if !verdict(settings, failure, script, ledger)?.set_aside {
        return Ok(false);
    }
    log::error!("init script {} is set aside: it was cut off {} times", script.name, entry.attempts);
    mark::mark(&settings.volume.init(), script, Outcome::Failed, ledger)?;
    Ok(true)
}

fn verdict(settings: &Settings<'_>, failure: Failure, script: &Script, ledger: &Ledger) -> Result<policy::Verdict> {
    let now = Timestamp::now();
    let entry = ledger.find(&script.name);
    let empty = entry.is_some_and(|entry| entry.empty_volume) || !(settings.holds_state)()?;
    let attempt = policy::Attempt {
        failure,
        attempts: entry.map_or(1, |entry| entry.attempts),
        first_failure: entry.and_then(|entry| entry.first_failure).unwrap_or(now),
        guard_empty: empty && !settings.allow_empty,
        on_failure: settings.on_failure,
    };
    Ok(attempt.judge(now))
}

fn conclude(
    settings: &Settings<'_>,
    script: &Script,
    ran: Ran,
    mut output: Output,
    ledger: &mut Ledger,
) -> Result<End> {
    let folder = settings.volume.init();
    let (failure, exit, reason) = match ran {
        Ran::Succeeded => {
            output.close();
            mark::mark(&folder, script, Outcome::Done, ledger)?;
            log::info!("init script {} is done", script.name);
            return Ok(End::Ready);
        }
        Ran::Stopped(signal) => {
            output.note(&format!("stopped by {signal}"));
            output.close();
            // That the container is stopped is not the script's failure.
            ledger.change(&script.name, |entry| {
                entry.attempts = entry.attempts.saturating_sub(1);
                entry.state = State::Waiting;
            })?;
            return Ok(End::Stopped(signal));
        }
        Ran::Failed { failure, exit, reason } => (failure, exit, reason),
    };
    ledger.change(&script.name, |entry| {
        entry.first_failure.get_or_insert(Timestamp::now());
        entry.reason = Some(reason.message().to_owned());
        entry.state = State::Waiting;
    })?;
    let verdict = verdict(settings, failure, script, ledger)?;
    let error = explain(script, &reason, verdict, ledger);
    output.note(error.message());
    output.close();
    if verdict.set_aside {
        mark::mark(&folder, script, Outcome::Failed, ledger)?;
    }
    if verdict.exits {
        return Ok(End::Failed { exit, error });
    }
    log::error!("{}", error.message());
    Ok(End::Ready)
}

/// What failed, and what happens to it: whoever reads the log has to know how to get out.
fn explain(script: &Script, reason: &Error, verdict: policy::Verdict, ledger: &Ledger) -> Error {
    let attempts = ledger.find(&script.name).map_or(1, |entry| entry.attempts);
    let next = match verdict {
        policy::Verdict { set_aside: true, .. } => "it is set aside as .failed, and the next start goes on without it",
        policy::Verdict { guarded: true, .. } => {
            "the volume holds no state yet, so no server starts until script or backup is mended or the script removed \
             (MOORLINE_ALLOW_EMPTY=1 starts one all the same)"
        }
        _ => "it is kept, and the next start tries it again",
    };
    let error = Error::new(
        reason.code(),
        format!("init script {} failed (attempt {attempts}): {}; {next}", script.path.display(), reason.message()),
    );
    match reason.advice() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
