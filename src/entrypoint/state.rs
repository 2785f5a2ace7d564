//! What the entrypoint asks of the volume: whether it holds state, and a folder in which our commands are found.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use crate::{error::Result, process::Own, profile::Choice, store, volume::Volume};

/// Whether the volume holds state: a path that one of the stores takes.
///
/// # Errors
/// Where the volume cannot be read, or its profile or `.moorlineignore` makes no sense.
pub fn holds_state(volume: &Volume, profile: &Choice) -> Result<bool> {
    let profile = profile.load(volume.root())?;
    store::holds_state(volume.root(), &profile.scope.compile()?)
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
                crate::error::reason(&cause)
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
