//! Marking a script `.done` or `.failed`. Marks are durable, never overwrite an older mark, and are finished after a crash.
//!
//! ```text
//! ledger: marking as NAME → (with a secret: write NAME without it, mode 0600 → remove the original)
//!                           (without a secret: rename the original to NAME)               → ledger: marked
//! ```
//! If a file in `Init/` cannot be renamed (a ConfigMap, a read-only mount, a file that is a mount of its own), the ledger's
//! entry is the only mark.

use std::{fs, path::Path};
use volume::presence;

use jiff::Timestamp;
use nix::unistd::{AccessFlags, access};

use super::{
    broken::Rejected,
    held::Held,
    ledger::{Ledger, Outcome, RunState},
    redact,
    scan::{self, Script, is_there},
};
use seqbac_header::RelPath;
use volume::{
    durable::{self, Renamed},
    error::{Code, Error, IoContext, Result},
};

/// Marks a script. If this fails, the ledger holds the intended mark, and the next start finishes it.
pub fn mark(folder: &Path, script: &Script, outcome: Outcome, ledger: &mut Ledger) -> Result<()> {
    let marked_itself = !is_there(&script.path)? && scan::is_marked(folder, &script.name, outcome)?;
    if marked_itself {
        return record_mark(&script.name, outcome, false, ledger);
    }
    with_a_free_name(folder, &script.name, outcome, ledger, |name| rename(script, name))
}

/// Marks a file `.failed` whose content could not be read.
pub fn mark_failed(folder: &Path, script: &RelPath, path: &Path, ledger: &mut Ledger) -> Result<()> {
    with_a_free_name(folder, script, Outcome::Failed, ledger, |name| {
        let held = Held::of(path).on("access", path)?;
        durable::rename_new_if_allowed(held.path(), &held.beside(name))
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
        ledger.change(script, |entry| entry.state = RunState::Marking { outcome, name: name.clone() })?;
        match rename(&name)? {
            Renamed::Taken => {}
            done => return record_mark(script, outcome, done == Renamed::Refused, ledger),
        }
    }
    Err(Error::new(
        Code::Unexpected,
        format!("{} cannot be marked: every name is taken", script.under(folder).display()),
    ))
}

/// Finishes the marks that a crash interrupted.
pub fn finish(folder: &Path, ledger: &mut Ledger) -> Result<()> {
    let interrupted = ledger.entries().iter().filter_map(|entry| match &entry.state {
        RunState::Marking { outcome, name } => Some((entry.script.clone(), entry.hash.clone(), *outcome, name.clone())),
        _ => None,
    });
    for (script, hash, outcome, name) in interrupted.collect::<Vec<_>>() {
        log::info!("{script} had run when the container was stopped; marking it {}", &outcome.suffix()[1..]);
        let original = match scan::open(folder, &script) {
            Ok(found) => Some(found).filter(|found| found.hash == hash),
            // It has run and cannot be read at the moment, so only the ledger can keep it from running again.
            Err(Rejected::Broken(_)) => {
                record_mark(&script, outcome, true, ledger)?;
                continue;
            }
            Err(Rejected::Skipped(_)) => None,
        };
        let Some(original) = original else {
            record_mark(&script, outcome, false, ledger)?;
            continue;
        };
        let marked = name.under(folder);
        let copy = match is_there(&marked)? {
            true => presence::read(Held::of(&marked).on("access", &marked)?.path())?,
            false => None,
        };
        if copy.is_some_and(|copy| copy == redact::redact(&original.text).text) {
            let held = Held::of(&original.path).on("access", &original.path)?;
            let removed = durable::remove_file_if_allowed(held.path())?;
            record_mark(&script, outcome, !removed, ledger)?;
        } else {
            mark(folder, &original, outcome, ledger)?;
        }
    }
    Ok(())
}

fn record_mark(script: &RelPath, outcome: Outcome, in_place: bool, ledger: &mut Ledger) -> Result<()> {
    if in_place {
        log::info!("{script} cannot be renamed; the ledger records it as {}", &outcome.suffix()[1..]);
    }
    ledger.change(script, |entry| entry.state = RunState::Marked { outcome, in_place })
}

/// The names to try: the plain one, then names with the time.
fn names(script: &RelPath, outcome: Outcome) -> impl Iterator<Item = RelPath> {
    let now = Timestamp::now();
    let (whole, exact) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.as_nanosecond());
    let suffix = outcome.suffix();
    [suffix.to_owned(), format!(".{whole}{suffix}"), format!(".{exact}{suffix}")]
        .into_iter()
        .map(|suffix| script.with_suffix(&suffix))
}

fn rename(script: &Script, name: &RelPath) -> Result<Renamed> {
    let held = Held::of(&script.path).on("access", &script.path)?;
    let target = held.beside(name);
    let redaction = redact::redact(&script.text);
    // A script that has removed itself is marked, too; otherwise it would be copied from /seqinit again.
    let as_it_is = (redaction.secrets.is_empty() && is_there(&script.path)?) || !script.whole;
    if as_it_is {
        return durable::rename_new_if_allowed(held.path(), &target);
    }
    // The temporary name is a little longer than the final name.
    if !target.parent().is_some_and(may_change) || name.as_bytes().len() > 230 {
        return Ok(Renamed::Refused);
    }
    if !durable::write_new(&target, &redaction.text, 0o600)? {
        return Ok(Renamed::Taken);
    }
    give_to_owner_of(script, &target);
    if fs::symlink_metadata(held.path()).is_ok_and(|meta| meta.is_symlink()) {
        log::warn!("{} is a link, so the secret key stays in the file that it leads to", script.path.display());
    }
    Ok(if durable::remove_file_if_allowed(held.path())? { Renamed::Yes } else { Renamed::Refused })
}

/// Whether names can be added to a folder.
fn may_change(folder: &Path) -> bool {
    access(folder, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

/// Gives the mark the script's owner, so that the same user can read it.
fn give_to_owner_of(script: &Script, target: &Path) {
    use std::os::unix::fs::{MetadataExt, lchown};
    if nix::unistd::geteuid().is_root() {
        let _ = lchown(target, Some(script.meta.uid()), Some(script.meta.gid()));
    }
}
