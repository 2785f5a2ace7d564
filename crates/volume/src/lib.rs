//! The volume: its layout, its locks, its records in `.moorline/`, and durable changes to it. Every program uses it. It
//! opens no database and reads no backup beyond its plaintext header.
//!
//! ```text
//! /data/
//!   Init/        init scripts, their marks and logs
//!   Backups/     backups
//!   .moorline/   everything else that belongs to moorline (0700; 0710 if the server has its own user)
//!     lock  script.lock  backup.lock  restores.lock  apps.lock  record.lock  serve.lock  format.json  instance.json  backups.json  secret.key  init.json
//!     quarantine.json  settings.json  server.env  verified.json  metastore.db  restores/  spool/  bin/  events/
//!   …            the server's own files
//! ```
//!
//! - `lib.rs`: [`Volume`]: opening a storage root, its paths, creating its folders, the backup folder
//! - `places.rs`: `.moorline/`, `Init/` and `Backups/` in other places; one home for each storage root
//! - `error.rs`: [`error::Error`]: kinds, exit codes, messages, hints
//! - `presence.rs`: whether a path exists, with errors never read as "no"
//! - `durable.rs`: atomic, fsynced writes, renames and removals
//! - `xattrs.rs`: extended attributes, access lists (ACLs) and file capabilities
//! - `folders.rs`: removing a folder tree that should be empty
//! - `listing.rs`: the entries of a directory
//! - `lock.rs`: the lock on the volume and its holder; the locks of backups, restores, apps and the console
//! - `other_server.rs`: the note that a server without the lock may be running
//! - `script_lock.rs`: the right of a script's commands to change the volume, if they lost the lock's descriptor
//! - `format.rs`: `format.json`: an older moorline does not write to a newer volume
//! - `instance.rs`: `instance.json`: instance id, restore epoch, fingerprint of the key
//! - `record.rs`: `backups.json`: the backups that this volume has taken, and whether it is a copy
//! - `key.rs`: where the secret key comes from, creating it, checking it against the instance
//! - `settings.rs`: `settings.json`: backup folder and retention as the console has set them
//! - `backups.rs`: backup files and their headers
//! - `restores.rs`: journals of restore sets, as far as a start reads them
//! - `quarantine.rs`: `quarantine.json`, as far as a start reads it
//! - `events.rs`: an event and its line of CLEF; `events/kind.rs`: all event types, their levels and texts;
//!   `events/file.rs`: the files, their limits, reading them

pub mod backups;
pub mod durable;
pub mod error;
pub mod events;
pub mod folders;
pub mod format;
pub mod instance;
pub mod key;
pub mod listing;
pub mod lock;
pub mod other_server;
pub mod places;
pub mod presence;
pub mod quarantine;
pub mod record;
pub mod restores;
pub mod script_lock;
pub mod settings;
pub mod xattrs;

use std::{
    fs,
    io::{self, ErrorKind},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::{Mode, OFlags};

pub use self::{
    instance::Instance,
    lock::{AppsLock, BackupLock, Holder, Lock, RestoresLock, ServeLock},
    places::Places,
    record::BackupRecord,
    settings::Settings,
};
use crate::error::{Code, Error, IoContext, Result};

/// Names directly below the storage root that are never part of the server's state: moorline's own, and the folder that
/// ext4 creates in every volume.
pub const OWN_NAMES: [&str; 4] = [".moorline", "Init", "Backups", "lost+found"];

/// The console's database, the only file of moorline that a backup contains and that steps of quarantine change.
pub const METASTORE: &str = ".moorline/metastore.db";

/// The mounted volume.
#[derive(Debug, Clone)]
pub struct Volume {
    root: PathBuf,
    /// In place of `.moorline/` on the storage root.
    home: Option<PathBuf>,
    /// In place of `Init/` on the storage root.
    init: Option<PathBuf>,
    /// The backup folder from the environment.
    location: Option<PathBuf>,
    /// The settings at the time of opening.
    settings: Result<Settings>,
    /// The path and descriptor of `.moorline/`, if it is held.
    held_own: Option<(PathBuf, Arc<OwnedFd>)>,
}

impl Volume {
    /// Opens the volume at `root`.
    ///
    /// # Errors
    /// `NotFound` if `root` is not a directory.
    pub fn open(root: &Path) -> Result<Self> {
        Self::at(root).map(Self::load_settings)
    }

    fn at(root: &Path) -> Result<Self> {
        let missing = || {
            Error::new(Code::NotFound, format!("the storage root {} is not a directory", root.display()))
                .hint("mount the volume there, or name another folder with --storage or MOORLINE_STORAGE")
        };
        let root = presence::unless_absent(presence::canonical(root)).on("access", root)?.ok_or_else(missing)?;
        if !presence::is_dir(&root)? {
            return Err(missing());
        }
        Ok(Self { root, home: None, init: None, location: None, settings: Ok(Settings::default()), held_own: None })
    }

    /// Damaged settings are an error only for commands that need the backup folder.
    fn load_settings(self) -> Self {
        Self { settings: Settings::load(&self), ..self }
    }

    fn at_if_there(root: &Path) -> Result<Option<Self>> {
        match Self::at(root) {
            Err(error) if error.code() == Code::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Sets the backup folder, which overrides the settings.
    ///
    /// # Errors
    /// `Usage` for a relative path.
    pub fn with_backups_in(self, location: Option<PathBuf>) -> Result<Self> {
        match &location {
            Some(path) if !path.is_absolute() => {
                Err(Error::usage(format!("the backup folder {} is not an absolute path", path.display())))
            }
            _ => Ok(Self { location, ..self }),
        }
    }

    /// The storage root, absolute and without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `Init/`.
    #[must_use]
    pub fn init(&self) -> PathBuf {
        self.init.clone().unwrap_or_else(|| self.root.join("Init"))
    }

    /// The backup folder: from the environment, else from the current settings, else `Backups/`. If the settings were never
    /// valid, it is a path that is not a folder, so that no backup is stored in the wrong place.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        if let Some(location) = &self.location {
            return location.clone();
        }
        match Settings::load(self).or_else(|_| self.settings.clone()) {
            Ok(settings) => settings.backup_location.unwrap_or_else(|| self.own_backups()),
            Err(_) => self.own().join(settings::FILE_NAME),
        }
    }

    /// `Backups/`.
    #[must_use]
    pub fn own_backups(&self) -> PathBuf {
        self.root.join("Backups")
    }

    /// Fails if a configured backup folder does not exist, because it may be a missing mount.
    ///
    /// # Errors
    /// `TryAgain` if it does not exist.
    pub fn refuse_missing_backups(&self) -> Result<()> {
        self.available_backups().map(|_| ())
    }

    /// The backup folder, if it exists; see [`Self::refuse_missing_backups`].
    pub(crate) fn available_backups(&self) -> Result<PathBuf> {
        let folder = self.backups();
        if self.location.is_none() {
            self.settings.clone()?;
        }
        if folder == self.own_backups() || presence::is_dir(&folder)? {
            return Ok(folder);
        }
        Err(Error::new(Code::TryAgain, format!("the backup folder {} does not exist", folder.display()))
            .hint("mount it, or change BackupLocation in the console (or MOORLINE_BACKUP_LOCATION, if that is set)"))
    }

    /// `.moorline/`.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        match &self.held_own {
            Some((path, _)) => path.clone(),
            None => self.home.clone().unwrap_or_else(|| self.root.join(places::OWN)),
        }
    }

    /// The folder of restore sets.
    #[must_use]
    pub fn restores(&self) -> PathBuf {
        self.own().join("restores")
    }

    /// The file of the volume's own secret key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.own().join("secret.key")
    }

    /// The file of the init scripts' ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.own().join("init.json")
    }

    /// The folder for temporary files, which have no name if the file system supports that.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.own().join("spool")
    }

    /// Creates moorline's folders.
    pub fn prepare(&self) -> Result<()> {
        let unwritable = |error: Error| error.context(format!("the volume {} cannot be used", self.root.display()));
        self.create(&self.own(), 0o700).map_err(unwritable)?;
        self.record_root()?;
        format::claim(self)?;
        self.create(&self.restores(), 0o700).map_err(unwritable)?;
        self.create(&self.spool(), 0o700).map_err(unwritable)?;
        // Either may be a read-only mount, which exists already.
        self.create(&self.init(), 0o755)?;
        match (&self.home, &self.location) {
            (None, _) | (_, None) => self.create(&self.own_backups(), 0o755),
            // Elsewhere, a missing folder may be a missing mount.
            (Some(home), Some(location)) if location.parent() == home.parent() => self.create(location, 0o755),
            _ => Ok(()),
        }
    }

    /// Lets the server's user traverse `.moorline/`, so that it can reach the links in `bin/` and copies of its scripts in the
    /// spool. It still cannot list the folder, and every file with a secret has mode 0600.
    pub fn let_traverse(&self, uid: u32, gid: u32) -> Result<()> {
        for folder in [self.own(), self.spool()] {
            // The user may own the storage root, and could lead a change of root elsewhere with a link.
            let meta = presence::entry(&folder)?.filter(fs::Metadata::is_dir).ok_or_else(|| {
                Error::usage(format!("{} is a link or a file, and must be a folder", folder.display()))
                    .hint("remove it, and restart the container")
            })?;
            let passes = meta.uid() == uid || (meta.gid() == gid && meta.mode() & 0o010 != 0);
            if !passes {
                let given = std::os::unix::fs::lchown(&folder, None, Some(gid));
                warn_if_refused(&folder, given).on("change the group of", &folder)?;
                let changed = fs::set_permissions(&folder, fs::Permissions::from_mode(0o710));
                warn_if_mode_refused(&folder, changed).on("change the mode of", &folder)?;
            }
        }
        Ok(())
    }

    /// Removes files that crashes left in the spool. Files younger than a day may still be in use.
    pub fn clear_spool(&self) {
        let Ok(entries) = fs::read_dir(self.spool()) else { return };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            let age = meta.modified().ok().and_then(|time| time.elapsed().ok());
            if age.is_some_and(|age| age.as_secs() > 24 * 60 * 60) {
                let path = entry.path();
                drop(if meta.is_dir() { durable::remove_tree(&path) } else { durable::remove_file(&path) });
            }
        }
    }

    fn create(&self, path: &Path, mode: u32) -> Result<()> {
        match presence::entry(path)? {
            Some(meta) if meta.is_dir() => return Ok(()),
            Some(meta) if meta.is_symlink() && meta.uid() != 0 && self.refuses_link(path) => {
                return Err(link_of_others(path));
            }
            Some(_) if presence::is_dir(path)? => return Ok(()),
            _ => {}
        }
        if path == self.own() {
            self.refuse_other_home()?;
        }
        match fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) => self.give_to_owner_of_root(path),
            // A backup of a read-only volume to another place needs no folder but `.moorline/`.
            Err(cause) if cause.kind() == ErrorKind::ReadOnlyFilesystem && path != self.own() => Ok(()),
            Err(_) if presence::is_dir(path)? => Ok(()),
            Err(cause) if presence::exists(path)? => Err(Error::io("create the folder", path, &cause)
                .hint("a file or a dangling link has this name: remove it, or mount a script as Init/NAME")),
            Err(cause) => Err(Error::io("create", path, &cause)),
        }
    }

    /// Whether root would write through a link at `path` that the volume's owner has made. Scripts in `Init/` are checked where
    /// they run.
    fn refuses_link(&self, path: &Path) -> bool {
        nix::unistd::geteuid().is_root() && path != self.init()
    }

    /// This volume with `.moorline/` held open: its owner may replace that folder while this process uses it. Paths in it begin
    /// with `/proc/self/fd/` then, so this is for processes that show none.
    pub fn holding_own(&self) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let own = self.own();
        let opened = rustix::fs::open(&own, flags, Mode::empty()).map_err(io::Error::from).on("open", &own)?;
        let held = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
        Ok(match presence::is_dir(&held)? {
            true => Self { held_own: Some((held, Arc::new(opened))), ..self.clone() },
            false => self.clone(),
        })
    }

    /// Gives a new folder the owner of the root folder, so that a server that is not root can use it.
    fn give_to_owner_of_root(&self, path: &Path) -> Result<()> {
        let root = fs::metadata(&self.root).on("access", &self.root)?;
        if nix::unistd::geteuid().is_root() && root.uid() != 0 {
            let given = std::os::unix::fs::lchown(path, Some(root.uid()), Some(root.gid()));
            warn_if_refused(path, given).on("change the owner of", path)?;
        }
        Ok(())
    }
}

/// The error of a link where root would write as if the link were root's.
#[must_use]
pub fn link_of_others(path: &Path) -> Error {
    Error::new(
        Code::ScriptUnrunnable,
        format!("{} is a link that a user other than root has made, and moorline runs as root", path.display()),
    )
    .hint("put a folder or file there in place of the link, or let root make the link (chown -h root)")
}

/// A refused change of owner is only logged, and only once: root may not be allowed to change owners (NFS with root_squash,
/// a user namespace, dropped capabilities), and the file keeps the owner that it got.
pub fn warn_if_refused(path: &Path, changed: io::Result<()>) -> io::Result<()> {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    warn_once("owner", path, changed, &LOGGED)
}

/// The same for a change of mode, which an SMB share may refuse.
pub fn warn_if_mode_refused(path: &Path, changed: io::Result<()>) -> io::Result<()> {
    static LOGGED: AtomicBool = AtomicBool::new(false);
    warn_once("mode", path, changed, &LOGGED)
}

fn warn_once(what: &str, path: &Path, changed: io::Result<()>, logged: &AtomicBool) -> io::Result<()> {
    match changed {
        Err(cause) if is_refused(&cause) => {
            if !logged.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "cannot change the {what} of {}: {}; files on this volume keep the {what} that they get",
                    path.display(),
                    error::reason(&cause)
                );
            }
            Ok(())
        }
        other => other,
    }
}

/// Whether a change of owner is not allowed or not supported. EINVAL means an id that the user namespace does not map.
#[must_use]
pub fn is_refused(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported)
        || cause.raw_os_error() == Some(nix::libc::EINVAL)
}
