//! Whether the volume holds state, and the folder `.moorline/bin/` with links to this program.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{Settings, engine_steps::engine_command};
use process::{Isolation, Own};
use volume::{
    OWN_NAMES, Volume,
    error::{Code, Error, Result},
    listing,
};

/// Whether the storage root holds nothing but moorline's own folders. Then the engine need not look for state.
pub fn is_bare(volume: &Volume) -> Result<bool> {
    let is_own = |entry: &listing::Entry| OWN_NAMES.iter().any(|own| entry.name == *own);
    Ok(listing::entries(volume.root())?.is_none_or(|entries| entries.iter().all(is_own)))
}

/// Whether the volume holds a file that belongs to a store of the profile. The engine decides, because it has the globs.
pub fn holds_state(settings: &Settings, volume: &Volume) -> Result<bool> {
    if is_bare(volume)? {
        return Ok(false);
    }
    let mut child = engine_command(settings, volume, &["holds-state"]).map_err(|missing| missing.error)?;
    // The child ends as soon as it finds one path, so a stop signal can wait for it.
    Isolation::default().apply(&mut child);
    let status = child.status().map_err(|cause| Error::io("start", child.get_program().as_ref(), &cause))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(exit) if exit == i32::from(Code::NotFound.exit()) => Ok(false),
        other => {
            let exit = other.and_then(|exit| u8::try_from(exit).ok());
            let code = exit.and_then(Code::from_exit).unwrap_or(Code::Unexpected);
            Err(Error::new(code, "cannot determine whether the volume holds state").hint("the lines above say why"))
        }
    }
}

/// The names of this program in scripts.
const NAMES: [&str; 2] = ["seqsvr", "moorline"];

/// The folder in which `seqsvr` and `moorline` are: this program's own, if it holds both, else `.moorline/bin/`, where links
/// are created. Links work on a `noexec` volume, too, because only the mount of their target counts. Some volumes have no
/// links: SMB shares, Azure Files.
///
/// A usual image has both in one folder. Its volume holds no links then, because many entrypoints run `chown` for all of the
/// volume, which follows links: it would fail if the program is on a read-only mount, or give the program to the server's user.
pub fn links(volume: &Volume, own: &Own) -> io::Result<PathBuf> {
    let folder = volume.own().join("bin");
    if let Some(installed) = own.path().parent().filter(|installed| is_installed_in(installed, own)) {
        for name in NAMES {
            // Of a start of an earlier version.
            drop(fs::remove_file(folder.join(name)));
        }
        return Ok(installed.to_owned());
    }
    NAMES.iter().try_for_each(|name| link(&folder, name, own.path()))?;
    Ok(folder)
}

fn is_installed_in(folder: &Path, own: &Own) -> bool {
    NAMES.iter().all(|name| fs::canonicalize(folder.join(name)).is_ok_and(|found| found == own.path()))
}

fn link(folder: &Path, name: &str, target: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        Err(_) => {}
        // The umask may hide the folder from others. Whoever cannot reach it has links elsewhere.
        Ok(()) => drop(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))),
    }
    let path = folder.join(name);
    if fs::read_link(&path).is_ok_and(|found| found == target) && owned_by_us_or_root(&path) {
        return Ok(());
    }
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    symlink(target, &path)
}

fn owned_by_us_or_root(path: &Path) -> bool {
    let own = nix::unistd::geteuid().as_raw();
    fs::symlink_metadata(path).is_ok_and(|meta| meta.uid() == own || meta.uid() == 0)
}
