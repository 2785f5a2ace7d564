//! What an attempt comes to: the mark, the ledger, the container's exit, and the words for it.

use std::path::Path;

use jiff::Timestamp;

use super::{
    End, Settings,
    attempt::Ran,
    broken::Broken,
    ledger::{Entry, Ledger, Outcome, State},
    mark,
    output::Output,
    policy::{self, Failure},
    recognise::Kind,
    scan::Script,
};
use seqbac_header::{RelPath, without_keys};
use volume::{
    error::{Code, Error, Result},
    events::{Event, Kind as EventKind, record},
};

/// A crash cut it off: that is reported, and counts. Whether it has been set aside for that.
pub(super) fn cut_off(
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
    if !verdict(settings, failure, &script.name, ledger)?.set_aside {
        return Ok(false);
    }
    log::error!("init script {} is set aside: it was cut off {} times", script.name, entry.attempts);
    failed(settings, &script.name, &Error::new(Code::Unexpected, "it was cut off by a crash each time"));
    mark::mark(&settings.volume.init(), script, Outcome::Failed, ledger)?;
    Ok(true)
}

fn verdict(settings: &Settings<'_>, failure: Failure, key: &RelPath, ledger: &Ledger) -> Result<policy::Verdict> {
    let now = Timestamp::now();
    let entry = ledger.find(key);
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
            // That the container is stopped is not the script's failure.
            ledger.change(&script.name, |entry| {
                entry.attempts = entry.attempts.saturating_sub(1);
                entry.state = State::Waiting;
            })?;
            return Ok(End::Stopped(signal));
        }
        Ran::Failed { failure, exit, reason } => (failure, exit, reason),
    };
    let failing = Failing { key: &script.name, path: &script.path, failure, exit, reason: &reason, renamed: true };
    fail(settings, &failing, output, ledger, |ledger| mark::mark(&folder, script, Outcome::Failed, ledger))
}

/// A failed attempt at a script, or at what cannot be read as one.
pub(super) struct Failing<'a> {
    /// Its name in the ledger.
    pub key: &'a RelPath,
    /// Where it is.
    pub path: &'a Path,
    /// What failed.
    pub failure: Failure,
    /// The exit code that says so.
    pub exit: u8,
    /// Why.
    pub reason: &'a Error,
    /// Whether it is renamed when it is set aside.
    pub renamed: bool,
}

/// Decides what follows a failed attempt. `set_aside` marks the script.
///
/// # Errors
/// Where the ledger cannot be written, or the script not be marked.
pub(super) fn fail(
    settings: &Settings<'_>,
    failing: &Failing<'_>,
    mut output: Output,
    ledger: &mut Ledger,
    set_aside: impl FnOnce(&mut Ledger) -> Result<()>,
) -> Result<End> {
    ledger.change(failing.key, |entry| {
        entry.first_failure.get_or_insert(Timestamp::now());
        entry.reason = Some(failing.reason.message().to_owned());
        entry.state = State::Waiting;
    })?;
    failed(settings, failing.key, failing.reason);
    let verdict = verdict(settings, failing.failure, failing.key, ledger)?;
    let error = explain(failing, verdict, ledger);
    output.note(error.message());
    output.close();
    if verdict.set_aside {
        set_aside(ledger)?;
    }
    if verdict.exits {
        return Ok(End::Failed { exit: failing.exit, error });
    }
    log::error!("{}", error.message());
    Ok(End::Ready)
}

/// The same at every start: a failure ends this one, and leaves nothing behind.
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

/// An entry of `Init/start.d/` that cannot be read as a script fails as one does.
pub(super) fn broken_at_start(settings: &Settings<'_>, broken: &Broken) -> Result<End> {
    let reason = broken.reason();
    failed(settings, &broken.name, reason);
    end_at_start(settings, reason.code().exit(), reason.clone().context("a start script failed"))
}

fn end_at_start(settings: &Settings<'_>, exit: u8, error: Error) -> Result<End> {
    // As with scripts that run once, an empty volume is never started on by accident.
    let go_on = settings.on_failure == Some(policy::OnFailure::Continue);
    if go_on && (settings.allow_empty || (settings.holds_state)()?) {
        log::error!("{}", error.message());
        return Ok(End::Ready);
    }
    Ok(End::Failed { exit, error })
}

fn failed(settings: &Settings<'_>, script: &RelPath, reason: &Error) {
    let event = Event::new(EventKind::ScriptFailed).with("Script", script.to_string());
    record(settings.volume, &event.with("Error", without_keys(reason.message())));
}

/// What failed, and what happens to it: whoever reads the log has to know how to get out.
fn explain(failing: &Failing<'_>, verdict: policy::Verdict, ledger: &Ledger) -> Error {
    let (path, reason) = (failing.path.display(), failing.reason);
    let attempts = ledger.find(failing.key).map_or(1, |entry| entry.attempts);
    let next = match verdict {
        policy::Verdict { set_aside: true, .. } if !failing.renamed => "the next start goes on without it",
        policy::Verdict { set_aside: true, .. } => "it is set aside as .failed, and the next start goes on without it",
        policy::Verdict { guarded: true, .. } => {
            "the volume holds no state yet, so no server starts until script or backup is mended or the script removed \
             (MOORLINE_ALLOW_EMPTY=1 starts one all the same)"
        }
        _ => "it is kept, and the next start tries it again",
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
