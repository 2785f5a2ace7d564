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
    held::Held,
    ledger::{Ledger, Outcome},
    redact,
    scan::{self, Script, Skipped},
    stage::Stage,
};
use seqbac_header::RelPath;
use volume::{
    Instance, durable,
    error::{Code, Error, IoContext, Result},
    presence,
};

/// The folder of the second source, unless `MOORLINE_SEQINIT` names another one.
pub const SEQINIT: &str = "/seqinit";

/// Copies the scripts that are still to run. An unreadable entry may end the start.
pub(super) fn from(settings: &Settings<'_>, ledger: &mut Ledger) -> Result<End> {
    let (source, init) = (&settings.seqinit, &settings.volume.init());
    if let Some(end) = missing(settings, ledger)? {
        return Ok(end);
    }
    let names = match scan::names(source) {
        Ok(names) => names,
        Err(error) => return broken::fail_folder(settings, Broken::folder(source, error)?.in_second_source(), ledger),
    };
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

/// How the copying ends if the source does not exist; `None` if it does. If the environment or a link names it, a mount is
/// probably missing, and on a new and empty volume that ends the start.
fn missing(settings: &Settings<'_>, ledger: &mut Ledger) -> Result<Option<End>> {
    let source = &settings.seqinit;
    let why = match presence::entry(source)? {
        None if source == Path::new(SEQINIT) => return Ok(Some(End::Ready)),
        None => format!("MOORLINE_SEQINIT names {}, which does not exist", source.display()),
        Some(meta) if meta.is_symlink() && presence::target(source)?.is_none() => {
            format!("{} is a link to a folder that does not exist", source.display())
        }
        Some(_) => return Ok(None),
    };
    let error = Error::new(Code::ScriptUnrunnable, why)
        .hint("mount the folder of scripts there, or remove MOORLINE_SEQINIT or the link");
    if !settings.allow_empty && Instance::load(settings.volume)?.is_none() {
        ledger.look_for_state(settings.holds_state)?;
        if ledger.empty_volume() {
            return Ok(Some(End::Failed {
                exit: error.code().exit(),
                error: error.context("the volume holds no state"),
            }));
        }
    }
    log::warn!("{error}");
    Ok(Some(End::Ready))
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
    let target = script.name.under(init);
    durable::write(Held::of(&target).on("access", &target)?.path(), &content, 0o700)?;
    log::info!("copied {} to {}", script.path.display(), init.display());
    let failed = scan::marked(init, &script.name, Outcome::Failed);
    if scan::is_there(&failed)? {
        log::info!("removing {}, because the script has changed", failed.display());
        durable::remove_file(Held::of(&failed).on("access", &failed)?.path())?;
    }
    Ok(())
}

fn content(file: &mut File, path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut content)).on("read", path)?;
    Ok(content)
}
