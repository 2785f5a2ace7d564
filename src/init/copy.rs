//! `/seqinit`, the second source of scripts: each is copied into `Init/`, unless it has run there already.
//!
//! `<name>.done` keeps it out for good; `<name>.failed` keeps the same content out, and changed content replaces it.

use std::{
    fs::{self, File},
    io::{Read, Seek},
    path::Path,
};

use super::{
    ledger::{Ledger, Outcome},
    redact,
    scan::{self, Script},
};
use crate::{
    error::{IoContext, Result},
    volume::{RelPath, durable},
};

/// Copies what is to be run.
///
/// # Errors
/// Where a script cannot be read, or `Init/` cannot be written.
pub fn from(source: &Path, init: &Path, ledger: &Ledger) -> Result<()> {
    for name in scan::names(source)? {
        let Some(mut script) = scan::open(source, &name)? else { continue };
        if is_wanted(&script, init, ledger) {
            copy(&mut script, init)?;
        }
    }
    Ok(())
}

/// Whether a script of the second source is still to be run, and is not in `Init/` as it stands.
#[must_use]
pub fn is_wanted(script: &Script, init: &Path, ledger: &Ledger) -> bool {
    let name = &script.name;
    if scan::is_marked(init, name, Outcome::Done) {
        warn_if_changed(script, ledger);
        return false;
    }
    if has_failed(script, init) {
        log::info!("{} is not run: it failed, see {}", script.path.display(), name.with_suffix(".log"));
        return false;
    }
    hash_of(init, name).is_none_or(|hash| hash != script.hash)
}

/// A secret key was taken out of the copy that failed.
fn has_failed(script: &Script, init: &Path) -> bool {
    let failed = script.name.with_suffix(Outcome::Failed.suffix());
    let redacted = || blake3::hash(&redact::redact(&script.text).text).to_hex().to_string();
    hash_of(init, &failed).is_some_and(|hash| hash == script.hash || hash == redacted())
}

fn hash_of(init: &Path, name: &RelPath) -> Option<String> {
    fs::symlink_metadata(name.under(init)).ok()?;
    scan::open(init, name).ok()?.map(|script| script.hash)
}

/// What has run and was changed afterwards does not run again by itself: that is said.
pub fn warn_if_changed(script: &Script, ledger: &Ledger) {
    if ledger.find(&script.name).is_some_and(|entry| entry.hash != script.hash) {
        log::warn!(
            "{} has changed since it ran; it is not run again: give it another name, or remove {}",
            script.path.display(),
            script.name.with_suffix(".done")
        );
    }
}

fn copy(script: &mut Script, init: &Path) -> Result<()> {
    let content = content(&mut script.file, &script.path)?;
    // Private: it may hold a secret key.
    durable::write(&script.name.under(init), &content, 0o700)?;
    log::info!("{} is copied to {}", script.path.display(), init.display());
    let failed = scan::marked(init, &script.name, Outcome::Failed);
    if failed.symlink_metadata().is_ok() {
        log::info!("{} is replaced: the script has changed", failed.display());
        durable::remove_file(&failed)?;
    }
    Ok(())
}

fn content(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).on("read", path)?;
    Ok(content)
}
