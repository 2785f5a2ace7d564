//! What the entrypoint asks of the volume: whether it holds state, and a folder in which our commands are found.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::{Settings, engine_command};
use process::{Isolation, Own};
use volume::{
    Volume,
    error::{Code, Error, Result},
};

/// Whether the volume holds state: a path that one of the profile's stores takes. The engine looks.
///
/// # Errors
/// Where the volume cannot be read, or its profile or `.moorlineignore` makes no sense.
pub fn holds_state(settings: &Settings, volume: &Volume) -> Result<bool> {
    let mut child = engine_command(settings, volume, &["holds-state"]).map_err(|missing| missing.error)?;
    // It looks for one path and ends: a signal to stop is noticed right after it.
    Isolation::default().apply(&mut child);
    let status = child.status().map_err(|cause| Error::io("start", child.get_program().as_ref(), &cause))?;
    match status.code() {
        Some(0) => Ok(true),
        Some(exit) if exit == i32::from(Code::NotFound.exit()) => Ok(false),
        other => {
            let exit = other.and_then(|exit| u8::try_from(exit).ok());
            let code = exit.and_then(Code::from_exit).unwrap_or(Code::Unexpected);
            Err(Error::new(code, "cannot find out whether the volume holds state").hint("the lines above say why"))
        }
    }
}

/// `.moorline/bin/`, in which `seqsvr` and `moorline` are links to this program. A link may lie on a `noexec` volume:
/// what counts is where it leads to.
pub fn links(volume: &Volume, own: &Own) -> Option<PathBuf> {
    let folder = volume.own().join("bin");
    let made = ["seqsvr", "moorline"].iter().try_for_each(|name| link(&folder, name, own.path()));
    match made {
        Ok(()) => Some(folder),
        Err(cause) => {
            log::warn!(
                "scripts may not find `seqsvr`: {} cannot hold links: {}",
                folder.display(),
                volume::error::reason(&cause)
            );
            None
        }
    }
}

fn link(folder: &Path, name: &str, target: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(cause),
        Err(_) => {}
        // Whatever the umask: the server's user looks for programs here.
        Ok(()) => fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?,
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
