//! `/seqinit`, the second source of scripts: each is copied into `Init/`, unless it has run there already.
//!
//! `<name>.done` keeps it out for good; `<name>.failed` keeps the same content out, and changed content replaces it.

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use super::{
    End, Settings,
    broken::{self, Broken, Rejected},
    ledger::{Ledger, Outcome},
    redact,
    scan::{self, Script, Skipped},
    stage::Stage,
};
use seqbac_header::RelPath;
use volume::{
    durable,
    error::{IoContext, Result},
    presence,
};

/// Copies the scripts that are still to run. An unreadable entry may end the start.
pub(super) fn from(settings: &Settings<'_>, ledger: &mut Ledger) -> Result<End> {
    let (source, init) = (&settings.seqinit, &settings.volume.init());
    let names = scan::names(source)?;
    names.log_ignored(source);
    for name in names.scripts {
        if Stage::is_folder(&name) && presence::is_dir(&name.under(source))? {
            log::info!(
                "skipping {}: this folder is supported only in {}",
                name.under(source).display(),
                init.display()
            );
            continue;
        }
        match find(&name, source, init, ledger) {
            Ok(mut script) if hash_of(init, &name)?.is_none_or(|hash| hash != script.hash) => copy(&mut script, init)?,
            Ok(_) => {}
            Err(Rejected::Skipped(skipped)) => skipped.log(),
            Err(Rejected::Broken(broken)) => match broken::fail(settings, &broken, ledger)? {
                End::Ready => {}
                end => return Ok(end),
            },
        }
    }
    Ok(End::Ready)
}

/// Opens a script of the second source that is still to run; else the reason why not.
pub fn find(name: &RelPath, source: &Path, init: &Path, ledger: &Ledger) -> std::result::Result<Script, Rejected> {
    match scan::open(source, name) {
        Ok(script) => match check(&script, init, ledger) {
            Ok(None) => Ok(script),
            Ok(Some(skipped)) => Err(skipped.into()),
            Err(error) => Err(Broken::unknown(&script.path, &script.name, error)),
        },
        Err(Rejected::Broken(broken)) => Err(broken.in_second_source().unless_concluded(init, ledger)),
        Err(skipped) => Err(skipped),
    }
}

/// The reason why a script of the second source does not run again; `None` if it does.
fn check(script: &Script, init: &Path, ledger: &Ledger) -> Result<Option<Skipped>> {
    let name = &script.name;
    let path = script.path.display();
    if scan::is_marked(init, name, Outcome::Done)? {
        return Ok(Some(if ledger.find(name).is_some_and(|entry| entry.hash != script.hash) {
            changed(script)
        } else {
            Skipped::debug(format!("{path} does not run, because {} exists", name.with_suffix(".done")))
        }));
    }
    if has_failed(script, init)? {
        return Ok(Some(Skipped::info(format!(
            "{path} does not run, because it has failed: see {}",
            name.with_suffix(".log")
        ))));
    }
    Ok(None)
}

/// A script that was changed after it had run does not run again by itself.
#[must_use]
pub fn changed(script: &Script) -> Skipped {
    Skipped::warning(format!(
        "{} has changed since it ran, and does not run again: rename it, or remove {}",
        script.path.display(),
        script.name.with_suffix(".done")
    ))
}

/// Whether this content has failed. The failed copy may lack a secret key that was removed from it.
fn has_failed(script: &Script, init: &Path) -> Result<bool> {
    let failed = script.name.with_suffix(Outcome::Failed.suffix());
    let redacted = || blake3::hash(&redact::redact(&script.text).text).to_hex().to_string();
    Ok(hash_of(init, &failed)?.is_some_and(|hash| hash == script.hash || hash == redacted()))
}

fn hash_of(init: &Path, name: &RelPath) -> Result<Option<String>> {
    if !scan::is_there(&name.under(init))? {
        return Ok(None);
    }
    Ok(scan::open(init, name).ok().map(|script| script.hash))
}

fn copy(script: &mut Script, init: &Path) -> Result<()> {
    let content = content(&mut script.file, &script.path)?;
    // Private: it may hold a secret key.
    durable::write(&script.name.under(init), &content, 0o700)?;
    log::info!("copied {} to {}", script.path.display(), init.display());
    let failed = scan::marked(init, &script.name, Outcome::Failed);
    if scan::is_there(&failed)? {
        log::info!("removing {}, because the script has changed", failed.display());
        durable::remove_file(&failed)?;
    }
    Ok(())
}

fn content(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).on("read", path)?;
    Ok(content)
}
