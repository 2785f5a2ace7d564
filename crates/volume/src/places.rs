//! Where moorline's own folders are: on the storage root, or elsewhere for a server whose data directory must contain
//! nothing else (`initdb -D /vol/data`).
//!
//! A restore renames files between the storage root and the home, so both must be on one mount. A storage root has one
//! home: a home that is not on the root records it in `storage-root`, and a second home of the same root is refused.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use crate::{
    Volume, durable,
    error::{Error, IoContext, Result},
    listing, presence,
};
use seqbac_header::relpath;

/// The variable that names the home, the folder that is `.moorline/` otherwise.
pub const HOME: &str = "MOORLINE_HOME";

/// The variable that names the folder of init scripts.
pub const INIT: &str = "MOORLINE_INIT";

/// The name of the home on the storage root.
pub(crate) const OWN: &str = ".moorline";

/// The file in a home that is not on its storage root: the path of that root, seen from the home's folder.
const RECORD: &str = "storage-root";

/// The folders that settings name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// In place of `.moorline/`.
    pub home: Option<PathBuf>,
    /// In place of `Init/`.
    pub init: Option<PathBuf>,
    /// In place of `Backups/`.
    pub backups: Option<PathBuf>,
}

/// The folder that a variable names, without links; `None` if it is the default one.
pub(crate) fn resolve(variable: &str, named: Option<&Path>, root: &Path, default: &str) -> Result<Option<PathBuf>> {
    let Some(named) = named else { return Ok(None) };
    let not_usable = |why: &str| Error::usage(format!("{variable} is {}, which {why}", named.display()));
    let (Some(parent), Some(name)) = (named.parent(), named.file_name().filter(|_| named.is_absolute())) else {
        return Err(not_usable("is not the absolute path of a folder"));
    };
    let parent = presence::unless_absent(presence::canonical(parent)).on("access", parent)?;
    let parent =
        parent.ok_or_else(|| not_usable("is in a folder that does not exist").hint("mount the volume there"))?;
    let whole = parent.join(name);
    let folder = presence::unless_absent(presence::canonical(&whole)).on("access", &whole)?.unwrap_or(whole);
    if folder == root.join(default) {
        return Ok(None);
    }
    if folder.starts_with(root) || root.starts_with(&folder) {
        let why = format!("lies within the storage root {}, or around it", root.display());
        return Err(not_usable(&why).hint(format!("name a folder beside it, or unset {variable}")));
    }
    Ok(Some(folder))
}

impl Volume {
    /// Opens the volume at `root` with its folders in these places.
    ///
    /// # Errors
    /// As [`Volume::open`]; `Usage` for places that cannot be used together.
    pub fn open_in(root: &Path, places: &Places) -> Result<Self> {
        let mut volume = Self::at(root)?;
        volume.init = resolve(INIT, places.init.as_deref(), &volume.root, "Init")?;
        volume.home = resolve(HOME, places.home.as_deref(), &volume.root, OWN)?;
        if let Some(home) = &volume.home {
            volume.refuse_other_home()?;
            relpath::keep_elsewhere(&volume.root, OWN, home);
        }
        volume.load_settings().with_backups_in(places.backups.clone())
    }

    /// As [`Self::open_in`]; `None` if the storage root does not exist.
    pub fn open_in_if_there(root: &Path, places: &Places) -> Result<Option<Self>> {
        Self::at_if_there(root)?.map(|_| Self::open_in(root, places)).transpose()
    }

    /// Fails if the storage root has another home, or the home another storage root. A home on the root that exists is
    /// the only one, because no other is accepted then.
    ///
    /// # Errors
    /// `Usage`, with the home to use.
    pub fn refuse_other_home(&self) -> Result<()> {
        let on_root = self.root.join(OWN);
        let (own, hint) = (self.own(), "move what both hold into one of them, or name the right one");
        let refuse = |other: &Path| {
            let (root, own) = (self.root.display(), own.display());
            Error::usage(format!(
                "the storage root {root} has the home {}, and {own} would be a second one",
                other.display()
            ))
        };
        if self.home.is_none() {
            if presence::is_dir(&on_root)? {
                return Ok(());
            }
        } else {
            if presence::is_dir(&on_root)? {
                return Err(refuse(&on_root).hint(format!("unset {HOME}, or {hint}")));
            }
            match recorded_root(&own)? {
                Some(root) if same(&root, &self.root)? => return Ok(()),
                Some(root) if presence::exists(&root)? => {
                    return Err(Error::usage(format!(
                        "{} is the home of the storage root {}, not of {}",
                        own.display(),
                        root.display(),
                        self.root.display()
                    ))
                    .hint(format!("set {HOME} to a folder of its own for each storage root")));
                }
                _ => {}
            }
        }
        for folder in self.root.ancestors().skip(1) {
            // A folder that cannot be listed cannot have been chosen for a home by this user.
            for entry in listing::entries(folder).ok().flatten().unwrap_or_default() {
                let other = folder.join(&entry.name);
                if other != own
                    && recorded_root(&other).ok().flatten().is_some_and(|root| same(&root, &self.root).unwrap_or(false))
                {
                    return Err(refuse(&other).hint(format!("set {HOME}={}, or {hint}", other.display())));
                }
            }
        }
        Ok(())
    }

    /// Whether the home is not on the storage root.
    #[must_use]
    pub const fn has_home_elsewhere(&self) -> bool {
        self.home.is_some()
    }

    /// Records the storage root in a home that is elsewhere.
    pub(crate) fn record_root(&self) -> Result<()> {
        let Some(home) = &self.home else { return Ok(()) };
        if recorded_root(home)?.is_some_and(|root| root == self.root) {
            return Ok(());
        }
        let beside = home.parent().and_then(|parent| self.root.strip_prefix(parent).ok());
        let root = beside.unwrap_or(&self.root);
        durable::write(&home.join(RECORD), root.as_os_str().as_bytes(), 0o644)
    }

    /// Tests with a real rename that a restore can move files between a home that is elsewhere and the storage root.
    ///
    /// # Errors
    /// `Usage` if both are not on one mount.
    pub fn refuse_home_on_other_mount(&self) -> Result<()> {
        let Some(home) = &self.home else { return Ok(()) };
        // No command takes a file of this name for a home or for state, if a crash leaves it there.
        let (from, to) = (home.join("rename-test"), self.root.join(OWN));
        match durable::can_rename(&from, &to) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let device = |path: &Path| fs::metadata(path).map(|meta| meta.dev()).ok();
                let parent = self.root.parent().unwrap_or(&self.root);
                let (root, mount) = (self.root.display(), parent.display());
                let hint = if device(parent) == device(&self.root) {
                    format!("use a folder beside the storage root: {HOME}={}", parent.join(OWN).display())
                } else {
                    format!(
                        "make the storage root a folder below the mount {root}: MOORLINE_STORAGE={root}/data \
                         {HOME}={root}/{OWN}; or mount the volume at {mount}"
                    )
                };
                let message = format!(
                    "{HOME} is {}, which is on another mount than the storage root {root}; a restore renames files \
                     between them",
                    home.display()
                );
                Err(Error::usage(message).hint(hint))
            }
            // A storage root that cannot be written is reported by what has to write to it.
            Err(error) => {
                log::debug!("cannot test a rename to the storage root: {error}");
                Ok(())
            }
        }
    }
}

fn recorded_root(home: &Path) -> Result<Option<PathBuf>> {
    let text = presence::read(&home.join(RECORD))?;
    let root = text.map(|text| PathBuf::from(std::ffi::OsStr::from_bytes(&text)));
    Ok(root.map(|root| home.parent().unwrap_or(home).join(root)))
}

fn same(one: &Path, other: &Path) -> Result<bool> {
    let identity = |path: &Path| Ok::<_, Error>(presence::target(path)?.map(|meta| (meta.dev(), meta.ino())));
    Ok(identity(one)? == identity(other)?)
}
