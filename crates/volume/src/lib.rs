//! The storage root: where things are on the volume, who holds it, and how a change to it is made durable.
//!
//! ```text
//! /data/
//!   Init/        init scripts, and what became of them
//!   Backups/     backups
//!   .moorline/   all else that is ours (0700; 0710 where the server has a user of its own)
//!     lock  backup.lock  restores.lock  apps.lock  instance.json  secret.key  init.json  quarantine.json
//!     settings.json  metastore.db  restores/  spool/  bin/  events/
//!   …            the server's own files
//! ```

pub mod backups;
pub mod durable;
pub mod error;
pub mod events;
pub mod folders;
pub mod instance;
pub mod key;
pub mod listing;
pub mod lock;
pub mod presence;
pub mod quarantine;
pub mod restores;
pub mod settings;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

pub use self::{
    instance::Instance,
    lock::{AppsLock, BackupLock, Holder, Lock, RestoresLock, ServeLock},
    settings::Settings,
};
use crate::error::{Code, Error, IoContext, Result};

/// Names directly below the storage root that are never part of the server's state: ours, and the folder that
/// ext4 puts into every volume.
pub const OWN_NAMES: [&str; 4] = [".moorline", "Init", "Backups", "lost+found"];

/// The console's database: the only thing of ours that a backup holds as it is, and that steps of quarantine act on.
pub const METASTORE: &str = ".moorline/metastore.db";

/// The mounted volume.
#[derive(Debug, Clone)]
pub struct Volume {
    root: PathBuf,
    /// Where backups are kept, as the environment says.
    location: Option<PathBuf>,
    /// As the settings said when it was opened.
    settings: Result<Settings>,
}

impl Volume {
    /// The volume mounted at `root`, which must be a directory.
    ///
    /// # Errors
    /// `NotFound` where there is no such directory; where it cannot be looked at.
    pub fn open(root: &Path) -> Result<Self> {
        let missing = || {
            Error::new(Code::NotFound, format!("the storage root {} is not a directory", root.display()))
                .hint("mount the volume there, or name another with --storage or MOORLINE_STORAGE")
        };
        let root = presence::unless_absent(root.canonicalize()).on("look at", root)?.ok_or_else(missing)?;
        if !presence::is_dir(&root)? {
            return Err(missing());
        }
        let mut volume = Self { root, location: None, settings: Ok(Settings::default()) };
        // That they make no sense is of no concern to whoever needs no backups.
        volume.settings = Settings::load(&volume);
        Ok(volume)
    }

    /// As [`Self::open`]; `None` where there is no such directory.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub fn open_if_there(root: &Path) -> Result<Option<Self>> {
        match Self::open(root) {
            Err(error) if error.code() == Code::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// The same, with its backups in this folder, whatever the settings say.
    ///
    /// # Errors
    /// `Usage` for a relative path.
    pub fn with_backups_in(self, location: Option<PathBuf>) -> Result<Self> {
        match &location {
            Some(path) if !path.is_absolute() => {
                Err(Error::usage(format!("backups are to be kept in {}, which is no absolute path", path.display())))
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
        self.root.join("Init")
    }

    /// Where backups are kept: in the folder that the environment names, else the settings as they are now, else
    /// `Backups/`. Where the settings never made sense it is a path that is no folder: nothing is kept anywhere else.
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

    /// Refuses where the folder that was named for backups is not there: it may be a mount that is missing.
    ///
    /// # Errors
    /// `TryAgain` where there is none; where it cannot be looked at, and where the settings make no sense.
    pub fn refuse_missing_backups(&self) -> Result<()> {
        let folder = self.backups();
        if self.location.is_none() {
            self.settings.clone()?;
        }
        if folder == self.own_backups() || presence::is_dir(&folder)? {
            return Ok(());
        }
        Err(Error::new(
            Code::TryAgain,
            format!("backups are kept in {}, and that folder is not there", folder.display()),
        )
        .hint("mount it; or change BackupLocation in the console, or MOORLINE_BACKUP_LOCATION where that is set"))
    }

    /// `.moorline/`, which holds all else that is ours.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        self.root.join(".moorline")
    }

    /// The restore sets.
    #[must_use]
    pub fn restores(&self) -> PathBuf {
        self.own().join("restores")
    }

    /// The volume's own secret key.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        self.own().join("secret.key")
    }

    /// What the init scripts did.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.own().join("init.json")
    }

    /// Where temporary files are made, without a name wherever the file system can.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.own().join("spool")
    }

    /// Makes the folders that are ours.
    ///
    /// # Errors
    /// Where nothing can be written on the volume, with what to do.
    pub fn prepare(&self) -> Result<()> {
        let unwritable = |error: Error| error.context(format!("the volume {} cannot be used", self.root.display()));
        self.make(&self.own(), 0o700).map_err(unwritable)?;
        self.make(&self.restores(), 0o700).map_err(unwritable)?;
        self.make(&self.spool(), 0o700).map_err(unwritable)?;
        // Either may be a mount of its own that nothing can be made in; it exists then.
        self.make(&self.init(), 0o755)?;
        self.make(&self.own_backups(), 0o755)
    }

    /// Lets the server's user pass `.moorline/`, to the links in it and to a copy of its script in the spool. It still
    /// cannot see what is there, and every file that holds a secret is private besides.
    ///
    /// # Errors
    /// Where owner or mode cannot be changed.
    pub fn let_pass(&self, uid: u32, gid: u32) -> Result<()> {
        for folder in [self.own(), self.spool()] {
            let meta = fs::metadata(&folder).on("look at", &folder)?;
            let passes = meta.uid() == uid || (meta.gid() == gid && meta.mode() & 0o010 != 0);
            if !passes {
                std::os::unix::fs::chown(&folder, None, Some(gid)).on("change the group of", &folder)?;
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o710)).on("change the mode of", &folder)?;
            }
        }
        Ok(())
    }

    /// Removes what crashes left in the spool. What is younger than a day may still be in use by a verb.
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

    fn make(&self, path: &Path, mode: u32) -> Result<()> {
        if presence::is_dir(path)? {
            return Ok(());
        }
        match fs::DirBuilder::new().mode(mode).create(path) {
            Ok(()) => self.give_to_owner_of_root(path),
            Err(_) if presence::is_dir(path)? => Ok(()),
            Err(cause) if presence::exists(path)? => Err(Error::io("create the folder", path, &cause).hint(
                "a file, or a link that leads nowhere, has this name: move it away; mount a script as Init/NAME",
            )),
            Err(cause) => Err(Error::io("create", path, &cause)),
        }
    }

    /// A volume that belongs to the server's user stays usable by it when root was here first.
    fn give_to_owner_of_root(&self, path: &Path) -> Result<()> {
        let root = fs::metadata(&self.root).on("look at", &self.root)?;
        if nix::unistd::geteuid().is_root() && root.uid() != 0 {
            std::os::unix::fs::chown(path, Some(root.uid()), Some(root.gid())).on("change the owner of", path)?;
        }
        Ok(())
    }
}
