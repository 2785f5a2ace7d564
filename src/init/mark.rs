//! Marking a script `.done` or `.failed`: durable, never over an older mark, and finished after a crash.
//!
//! ```text
//! ledger: marking as NAME → (a secret in it: NAME is written without it, 0600 → the original is removed)
//!                            (no secret: the original is renamed to NAME)               → ledger: marked
//! ```
//! Where nothing can be renamed in `Init/` (a ConfigMap, a read-only mount, a file that is a mount of its own), the
//! ledger's entry is the mark.

use std::{fs, path::Path};
use volume::error::IoContext;
use volume::presence;

use jiff::Timestamp;
use nix::unistd::{AccessFlags, access};

use super::{
    broken::Rejected,
    ledger::{Ledger, Outcome, State},
    redact,
    scan::{self, Script, is_there},
};
use seqbac_header::RelPath;
use volume::{
    durable::{self, Renamed},
    error::{Code, Error, Result},
};

/// Marks a script.
///
/// # Errors
/// Where the disk fails or is full. The ledger knows by then: the next start goes on with it.
pub fn mark(folder: &Path, script: &Script, outcome: Outcome, ledger: &mut Ledger) -> Result<()> {
    let marked_itself = !is_there(&script.path)? && scan::is_marked(folder, &script.name, outcome)?;
    if marked_itself {
        return settle(&script.name, outcome, false, ledger);
    }
    with_a_free_name(folder, &script.name, outcome, ledger, |name| rename(folder, script, name))
}

/// Marks a file `.failed` whose content could not be read.
///
/// # Errors
/// As [`mark`].
pub fn set_aside(folder: &Path, script: &RelPath, path: &Path, ledger: &mut Ledger) -> Result<()> {
    with_a_free_name(folder, script, Outcome::Failed, ledger, |name| {
        durable::rename_new_if_allowed(path, &name.under(folder))
    })
}

fn with_a_free_name(
    folder: &Path,
    script: &RelPath,
    outcome: Outcome,
    ledger: &mut Ledger,
    rename: impl Fn(&RelPath) -> Result<Renamed>,
) -> Result<()> {
    for name in names(script, outcome) {
        if is_there(&name.under(folder))? {
            continue;
        }
        ledger.change(script, |entry| entry.state = State::Marking { outcome, name: name.clone() })?;
        match rename(&name)? {
            Renamed::Taken => {}
            done => return settle(script, outcome, done == Renamed::Refused, ledger),
        }
    }
    Err(Error::new(
        Code::Unexpected,
        format!("{} cannot be marked: every name is taken", script.under(folder).display()),
    ))
}

/// Finishes what a crash interrupted.
///
/// # Errors
/// As [`mark`].
pub fn finish(folder: &Path, ledger: &mut Ledger) -> Result<()> {
    let interrupted = ledger.entries().iter().filter_map(|entry| match &entry.state {
        State::Marking { outcome, name } => Some((entry.script.clone(), entry.hash.clone(), *outcome, name.clone())),
        _ => None,
    });
    for (script, hash, outcome, name) in interrupted.collect::<Vec<_>>() {
        log::info!("{script} had run when the container was stopped: it is marked {} now", &outcome.suffix()[1..]);
        let original = match scan::open(folder, &script) {
            Ok(found) => Some(found).filter(|found| found.hash == hash),
            // It has run, and cannot be read for now: the ledger alone can keep it from running again.
            Err(Rejected::Broken(_)) => {
                settle(&script, outcome, true, ledger)?;
                continue;
            }
            Err(Rejected::Skipped(_)) => None,
        };
        let Some(original) = original else {
            settle(&script, outcome, false, ledger)?;
            continue;
        };
        let marked = name.under(folder);
        let copy = match is_there(&marked)? {
            true => presence::unless_absent(fs::read(&marked)).on("read", &marked)?,
            false => None,
        };
        if copy.is_some_and(|copy| copy == redact::redact(&original.text).text) {
            let removed = durable::remove_file_if_allowed(&original.path)?;
            settle(&script, outcome, !removed, ledger)?;
        } else {
            mark(folder, &original, outcome, ledger)?;
        }
    }
    Ok(())
}

fn settle(script: &RelPath, outcome: Outcome, in_place: bool, ledger: &mut Ledger) -> Result<()> {
    if in_place {
        log::info!("{script} cannot be renamed: that it is {} is remembered in the ledger", &outcome.suffix()[1..]);
    }
    ledger.change(script, |entry| entry.state = State::Marked { outcome, in_place })
}

/// The plain name, then names with the time in them.
fn names(script: &RelPath, outcome: Outcome) -> impl Iterator<Item = RelPath> {
    let now = Timestamp::now();
    let (whole, exact) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.as_nanosecond());
    let suffix = outcome.suffix();
    [suffix.to_owned(), format!(".{whole}{suffix}"), format!(".{exact}{suffix}")]
        .into_iter()
        .map(|suffix| script.with_suffix(&suffix))
}

fn rename(folder: &Path, script: &Script, name: &RelPath) -> Result<Renamed> {
    let redaction = redact::redact(&script.text);
    // One that has removed itself gets its mark all the same: the second source would bring it back.
    let as_it_is = (redaction.secrets.is_empty() && is_there(&script.path)?) || !script.whole;
    if as_it_is {
        return durable::rename_new_if_allowed(&script.path, &name.under(folder));
    }
    // The temporary name is a little longer than the name.
    let target = name.under(folder);
    if !target.parent().is_some_and(may_change) || name.as_bytes().len() > 230 {
        return Ok(Renamed::Refused);
    }
    if !durable::write_new(&target, &redaction.text, 0o600)? {
        return Ok(Renamed::Taken);
    }
    give_to_owner_of(script, &target);
    if fs::symlink_metadata(&script.path).is_ok_and(|meta| meta.is_symlink()) {
        log::warn!("{} is a link: the secret key stays in the file that it leads to", script.path.display());
    }
    Ok(if durable::remove_file_if_allowed(&script.path)? { Renamed::Yes } else { Renamed::Refused })
}

/// Whether names can be added to a folder.
fn may_change(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Who could read the script can read its mark.
fn give_to_owner_of(script: &Script, target: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    if nix::unistd::geteuid().is_root() {
        let _ = chown(target, Some(script.meta.uid()), Some(script.meta.gid()));
    }
}
