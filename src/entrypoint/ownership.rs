//! The owner of the volume when the server runs as another user: `--chown-volume`.

use std::{
    cell::Cell,
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, chown},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, openat, statat},
    io::Errno,
};

use super::Settings;
use process::User;
use volume::{
    OWN_NAMES, Volume,
    error::{Error, IoContext, Result, reason},
    listing, presence,
};

/// The values of `--chown-volume`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChownVolume {
    /// The user becomes the owner of the storage root if the volume holds no state.
    #[default]
    Auto,
    /// No owner changes.
    Never,
    /// The user becomes the owner of the storage root and of everything in it except moorline's folders.
    Always,
}

impl ChownVolume {
    /// Parses the value.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "auto" => Ok(Self::Auto),
            "never" => Ok(Self::Never),
            "always" => Ok(Self::Always),
            _ => {
                Err(Error::usage(format!("{text:?} is not a value of --chown-volume"))
                    .hint("use auto, never or always"))
            }
        }
    }
}

/// How many files with several names are logged.
const NAMED: usize = 5;

/// The change of owner that a start has to make. It happens as late as possible, before the first process of the server's
/// user, because moorline trusts a built-in script only while no user except root can have written it.
#[derive(Debug)]
pub(super) struct ChownPlan<'a> {
    user: Option<&'a User>,
    root: &'a Path,
    what: ChownVolume,
    is_applied: Cell<bool>,
}

impl<'a> ChownPlan<'a> {
    /// Decides, before scripts run, whether the owner changes: `auto` looks at the volume as it was mounted.
    pub fn of(settings: &'a Settings, volume: &'a Volume) -> Result<Self> {
        let (user, root) = (settings.user.as_ref(), volume.root());
        let what = match (user, settings.chown_volume) {
            (None, _) => ChownVolume::Never,
            (Some(user), ChownVolume::Auto) if can_write(user, root) || !is_empty(root)? => ChownVolume::Never,
            (Some(_), chosen) => chosen,
        };
        Ok(Self { user, root, what, is_applied: Cell::new(false) })
    }

    /// Makes the server's user the owner of the volume, once. If the file system refuses, that is only logged, because the
    /// user may be able to write anyway.
    pub fn apply(&self) -> Result<()> {
        let Some(user) = self.user.filter(|_| !self.is_applied.replace(true)) else { return Ok(()) };
        match self.what {
            ChownVolume::Never => {}
            // A restore may have set the owner of the backup.
            ChownVolume::Auto if can_write(user, self.root) => {}
            ChownVolume::Auto => match chown(self.root, Some(user.uid()), Some(user.gid())) {
                Ok(()) => {
                    log::info!("user {1} is now the owner of the empty volume {0}", self.root.display(), user.spec())
                }
                Err(cause) => log::warn!(
                    "cannot make user {1} the owner of the volume {0}: {2}",
                    self.root.display(),
                    user.spec(),
                    reason(&cause)
                ),
            },
            ChownVolume::Always => change_all(user, self.root)?,
        }
        Ok(())
    }
}

/// Warns if the server's user can write neither to the storage root nor to any folder in it.
pub(super) fn warn_if_unwritable(settings: &Settings, volume: &Volume) -> Result<()> {
    let Some(user) = &settings.user else { return Ok(()) };
    let root = volume.root();
    if can_write(user, root) {
        return Ok(());
    }
    for entry in listing::entries(root)?.unwrap_or_default() {
        if !is_own(&entry.name) && can_write(user, &root.join(&entry.name)) {
            return Ok(());
        }
    }
    let Some(meta) = presence::target(root)? else { return Ok(()) };
    log::warn!(
        "user {} cannot write to the volume {}, which belongs to {}:{} (mode {:o}); chown it, or pass --chown-volume=always \
         (MOORLINE_CHOWN_VOLUME)",
        user.spec(),
        root.display(),
        meta.uid(),
        meta.gid(),
        meta.mode() & 0o7777
    );
    Ok(())
}

fn can_write(user: &User, folder: &Path) -> bool {
    user.may(folder, 3)
}

fn is_own(name: &OsStr) -> bool {
    OWN_NAMES.iter().any(|own| name == *own)
}

fn is_empty(root: &Path) -> Result<bool> {
    Ok(listing::entries(root)?.unwrap_or_default().iter().all(|entry| is_own(&entry.name)))
}

/// The result of changing all owners.
#[derive(Default)]
struct Changes {
    changed: usize,
    /// Files with several names, which another volume may share.
    shared: Vec<PathBuf>,
    refused: Option<(PathBuf, Errno)>,
}

fn change_all(user: &User, root: &Path) -> Result<()> {
    let failed = |errno: Errno| std::io::Error::from(errno);
    let opened = open_folder(CWD, root.as_os_str().as_bytes()).map_err(failed).on("open", root)?;
    let top = rustix::fs::fstat(&opened).map_err(failed).on("access", root)?;
    let mut changes = Changes::default();
    if (top.st_uid, top.st_gid) != (user.uid(), user.gid()) {
        match chown(root, Some(user.uid()), Some(user.gid())) {
            Ok(()) => changes.changed += 1,
            Err(cause) => {
                let errno = Errno::from_io_error(&cause).unwrap_or(Errno::IO);
                changes.refused = Some((root.to_owned(), errno));
            }
        }
    }
    if let Err(errno) = walk(user, &opened, root, top.st_dev, true, &mut changes) {
        changes.refused.get_or_insert((root.to_owned(), errno));
    }
    if changes.changed > 0 {
        log::info!(
            "changed the owner of {} files and folders of {} to user {}",
            changes.changed,
            root.display(),
            user.spec()
        );
    }
    for path in changes.shared.iter().take(NAMED) {
        log::warn!("did not change the owner of {}, because the file has several names (hard links)", path.display());
    }
    if changes.shared.len() > NAMED {
        log::warn!("and of {} more files", changes.shared.len() - NAMED);
    }
    if let Some((path, errno)) = changes.refused {
        log::warn!("cannot make user {1} the owner of {0}: {2}", path.display(), user.spec(), reason(&errno.into()));
    }
    Ok(())
}

fn open_folder(folder: impl AsFd, name: &[u8]) -> std::result::Result<OwnedFd, Errno> {
    openat(folder, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Changes the entries of a folder, through its descriptor and without following links, on one file system.
fn walk(
    user: &User,
    folder: &OwnedFd,
    path: &Path,
    device: u64,
    is_root: bool,
    changes: &mut Changes,
) -> std::result::Result<(), Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." || (is_root && is_own(OsStr::from_bytes(name))) {
            continue;
        }
        let path = path.join(OsStr::from_bytes(name));
        let found: Stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if found.st_dev != device {
            continue;
        }
        let is_folder = FileType::from_raw_mode(found.st_mode).is_dir();
        if !is_folder && found.st_nlink > 1 {
            changes.shared.push(path);
            continue;
        }
        if (found.st_uid, found.st_gid) != (user.uid(), user.gid()) {
            let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
            match chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) => changes.changed += 1,
                Err(errno) => drop(changes.refused.get_or_insert((path.clone(), errno))),
            }
        }
        if is_folder {
            let below = open_folder(folder, name);
            let walked = below.and_then(|below| walk(user, &below, &path, device, false, changes));
            if let Err(errno) = walked {
                changes.refused.get_or_insert((path, errno));
            }
        }
    }
    Ok(())
}
