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
mod look;
mod mark;
mod outcome;
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

use nix::sys::signal::Signal;

pub use self::{
    attempt::SCRIPT,
    look::{Report, report},
};
use self::{
    attempt::{Attempt, Ran},
    ledger::{Ledger, State},
    output::Output,
    policy::OnFailure,
    recognise::{Kind, recognise},
    scan::Script,
};
use crate::{
    error::{Code, Error, IoContext, Result},
    process::{Own, Signals, Variables},
    volume::{Lock, Volume},
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
        let end = match look::find(&name, &folder, &ledger)? {
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
            let mut attempt = Attempt { settings, script: &mut script, run: entry.run, output: &mut output, signals };
            attempt.run(kind, ledger)?
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
