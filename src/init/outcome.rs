//! The consequences of an attempt: mark, ledger, event, log line and the container's exit code.

use std::path::Path;

use jiff::Timestamp;

use super::{
    End, Settings,
    attempt::Ran,
    broken::Broken,
    ledger::{Entry, Ledger, Outcome, RunState},
    mark,
    output::Output,
    policy::{self, Failure},
    recognise::ScriptKind,
    scan::Script,
};
use seqbac_header::{RelPath, without_keys};
use volume::{
    error::{Code, Error, Result},
    events::{Event, Kind as EventKind, record},
};

/// Counts an attempt that a crash interrupted as failed. Returns whether the script was marked failed because of it.
pub(super) fn interrupted(
    settings: &Settings<'_>,
    script: &Script,
    kind: &Result<ScriptKind>,
    entry: &Entry,
    ledger: &mut Ledger,
) -> Result<bool> {
    log::warn!("a crash interrupted init script {} (attempt {})", script.name, entry.attempts);
    let failure = if matches!(kind, Ok(ScriptKind::BuiltIn(_))) { Failure::Transient } else { Failure::Program };
    let now = Timestamp::now();
    ledger.change(&script.name, |entry| {
        entry.first_failure.get_or_insert(now);
        entry.reason = Some("interrupted by a crash".to_owned());
    })?;
    if !verdict(settings, failure, &script.name, ledger)?.marks_failed {
        return Ok(false);
    }
    log::error!("marking init script {} as failed: crashes interrupted it {} times", script.name, entry.attempts);
    failed(settings, &script.name, &Error::new(Code::Unexpected, "a crash interrupted every attempt"));
    mark::mark(&settings.volume.init(), script, Outcome::Failed, ledger)?;
    Ok(true)
}

fn verdict(settings: &Settings<'_>, failure: Failure, key: &RelPath, ledger: &Ledger) -> Result<policy::Verdict> {
    let now = Timestamp::now();
    let entry = ledger.find(key);
    let empty = ledger.empty_volume() || !(settings.holds_state)()?;
    let attempt = policy::Attempt {
        failure,
        attempts: entry.map_or(1, |entry| entry.attempts),
        first_failure: entry.and_then(|entry| entry.first_failure).unwrap_or(now),
        guard_empty: empty && !settings.allow_empty,
        on_failure: settings.on_failure,
    };
    Ok(attempt.judge(now))
}

pub(super) fn conclude(
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
            record(settings.volume, &Event::new(EventKind::ScriptRan).with("Script", script.name.to_string()));
            log::info!("init script {} is done", script.name);
            return Ok(End::Ready);
        }
        Ran::Stopped(signal) => {
            output.note(&format!("stopped by {signal}"));
            output.close();
            // A stop of the container is not a failure of the script.
            ledger.change(&script.name, |entry| {
                entry.attempts = entry.attempts.saturating_sub(1);
                entry.state = RunState::Waiting;
            })?;
            return Ok(End::Stopped(signal));
        }
        Ran::Failed { failure, exit, reason } => (failure, exit, reason),
    };
    let failing = Failing { key: &script.name, path: &script.path, failure, exit, reason: &reason, renamed: true };
    fail(settings, &failing, output, ledger, |ledger| mark::mark(&folder, script, Outcome::Failed, ledger))
}

/// A failed attempt to run a script or a broken entry.
pub(super) struct Failing<'a> {
    /// Its name in the ledger.
    pub key: &'a RelPath,
    pub path: &'a Path,
    pub failure: Failure,
    /// The exit code of the container for this failure.
    pub exit: u8,
    pub reason: &'a Error,
    /// Whether it is renamed when it is marked failed.
    pub renamed: bool,
}

/// Applies the failure table to a failed attempt. `mark_failed` marks the script.
pub(super) fn fail(
    settings: &Settings<'_>,
    failing: &Failing<'_>,
    mut output: Output,
    ledger: &mut Ledger,
    mark_failed: impl FnOnce(&mut Ledger) -> Result<()>,
) -> Result<End> {
    ledger.change(failing.key, |entry| {
        entry.first_failure.get_or_insert(Timestamp::now());
        entry.reason = Some(failing.reason.message().to_owned());
        entry.state = RunState::Waiting;
    })?;
    failed(settings, failing.key, failing.reason);
    let verdict = verdict(settings, failing.failure, failing.key, ledger)?;
    let error = explain(failing, verdict, ledger);
    output.note(error.message());
    output.close();
    if verdict.marks_failed {
        mark_failed(ledger)?;
    }
    if verdict.exits {
        return Ok(End::Failed { exit: failing.exit, error });
    }
    log::error!("{}", error.message());
    Ok(End::Ready)
}

/// The consequences for a script of `Init/start.d/`: a failure ends this start, and nothing is marked or recorded.
pub(super) fn conclude_at_start(settings: &Settings<'_>, script: &Script, ran: Ran, mut output: Output) -> Result<End> {
    let (exit, reason) = match ran {
        Ran::Succeeded => {
            output.close();
            return Ok(End::Ready);
        }
        Ran::Stopped(signal) => {
            output.note(&format!("stopped by {signal}"));
            output.close();
            return Ok(End::Stopped(signal));
        }
        Ran::Failed { exit, reason, .. } => (exit, reason),
    };
    failed(settings, &script.name, &reason);
    let error = reason.context(format!("start script {} failed", script.path.display()));
    output.note(error.message());
    output.close();
    end_at_start(settings, exit, error)
}

/// Handles a broken entry of `Init/start.d/` like a failed script.
pub(super) fn broken_at_start(settings: &Settings<'_>, broken: &Broken) -> Result<End> {
    let reason = broken.reason();
    failed(settings, &broken.name, reason);
    end_at_start(settings, reason.code().exit(), reason.clone().context("a start script failed"))
}

fn end_at_start(settings: &Settings<'_>, exit: u8, error: Error) -> Result<End> {
    // As with scripts that run once, a server never starts on an empty volume by accident.
    let continues = settings.on_failure == Some(policy::OnFailure::Continue);
    let began_empty = || Ok::<_, Error>(Ledger::load(settings.volume)?.empty_volume() || !(settings.holds_state)()?);
    if continues && (settings.allow_empty || !began_empty()?) {
        log::error!("{}", error.message());
        return Ok(End::Ready);
    }
    Ok(End::Failed { exit, error })
}

fn failed(settings: &Settings<'_>, script: &RelPath, reason: &Error) {
    let event = Event::new(EventKind::ScriptFailed).with("Script", script.to_string());
    record(settings.volume, &event.with("Error", without_keys(reason.message())));
}

/// The error for the log: what failed, why, and what happens next, because the reader has to know how to recover.
fn explain(failing: &Failing<'_>, verdict: policy::Verdict, ledger: &Ledger) -> Error {
    let (path, reason) = (failing.path.display(), failing.reason);
    let attempts = ledger.find(failing.key).map_or(1, |entry| entry.attempts);
    let next = match verdict {
        policy::Verdict { marks_failed: true, .. } if !failing.renamed => "the next start skips it",
        policy::Verdict { marks_failed: true, .. } => "it is renamed to .failed, and the next start skips it",
        policy::Verdict { guarded: true, .. } => {
            "the volume held no state before its init scripts, so the server will not start until you fix the script or the \
             backup, or remove the script (or set MOORLINE_ALLOW_EMPTY=1)"
        }
        _ => "the next start tries it again",
    };
    let error = Error::new(
        reason.code(),
        format!("init script {path} failed (attempt {attempts}): {}; {next}", reason.message()),
    );
    match reason.advice() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
