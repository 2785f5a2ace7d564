//! Paths on a volume whose owner is the server's user, while this process is root. The user can replace a folder by a link
//! at any moment, so root works through descriptors that were opened without following links.
//!
//! A held path is `/proc/self/fd/N/NAME`. Without `/proc`, or without a user that is distrusted, it is the path itself.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat},
    io::Errno,
};

use super::scan::Names;
use seqbac_header::RelPath;
use volume::{
    Volume,
    error::{Code, Error, IoContext, Result},
    presence,
};

/// The storage root that is worked in this way.
static ROOT: OnceLock<PathBuf> = OnceLock::new();

/// Holds the paths of this volume from now on.
pub fn distrust(volume: &Volume) {
    let _ = ROOT.set(volume.root().to_owned());
}

/// Whether the volume's paths are held.
#[must_use]
pub fn is_distrusted() -> bool {
    ROOT.get().is_some()
}

/// An entry of a held folder.
#[derive(Debug)]
pub struct Held {
    folder: Option<OwnedFd>,
    path: PathBuf,
}

impl Held {
    /// Holds the folder that the entry is in.
    pub fn of(path: &Path) -> io::Result<Self> {
        let plain = Self { folder: None, path: path.to_owned() };
        let Some(root) = ROOT.get() else { return Ok(plain) };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(plain) };
        let Ok(below) = parent.strip_prefix(root) else { return Ok(plain) };
        let mut folder = openat(CWD, root, FOLDER, Mode::empty())?;
        for part in below.components() {
            let Component::Normal(part) = part else { return Ok(plain) };
            folder = step(&folder, part, FOLDER)?;
        }
        let held = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        if held.metadata().is_err() {
            return Ok(plain);
        }
        Ok(Self { folder: Some(folder), path: held.join(name) })
    }

    /// The path for calls that do not follow a link at its end.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Another name in the same folder.
    #[must_use]
    pub fn beside(&self, name: &RelPath) -> PathBuf {
        self.path.with_file_name(name.as_path().file_name().unwrap_or_default())
    }

    /// Opens the entry for reading. It does not wait for the writer of a pipe.
    pub fn open(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        Ok(match (&self.folder, self.path.file_name()) {
            (Some(folder), Some(name)) => step(folder, name, flags | OFlags::NOFOLLOW)?.into(),
            _ => rustix::fs::open(&self.path, flags, Mode::empty())?.into(),
        })
    }
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens an entry of a folder. A link is followed only if root has made it.
fn step(folder: impl AsFd, name: &OsStr, flags: OFlags) -> io::Result<OwnedFd> {
    match openat(&folder, name, flags, Mode::empty()) {
        Err(cause @ (Errno::LOOP | Errno::NOTDIR)) => {
            let link = openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let meta = fstat(&link)?;
            if !FileType::from_raw_mode(meta.st_mode).is_symlink() || meta.st_uid != 0 {
                return Err(if cause == Errno::NOTDIR { Errno::NOTDIR } else { Errno::LOOP }.into());
            }
            let target = readlinkat(&link, "", Vec::new())?;
            let target = OsStr::from_bytes(target.as_bytes());
            Ok(openat(&folder, target, flags.difference(OFlags::NOFOLLOW), Mode::empty())?)
        }
        other => Ok(other?),
    }
}

/// The folders that the server's user must not replace while its script runs.
#[derive(Debug)]
pub struct Folders(Vec<(PathBuf, File)>);

impl Folders {
    /// Holds `Init/` and `.moorline/`.
    pub fn hold(volume: &Volume) -> Result<Self> {
        let hold = |path: PathBuf| {
            let opened = File::open(&path).on("open", &path)?;
            Ok((path, opened))
        };
        [volume.init(), volume.own()].into_iter().map(hold).collect::<Result<_>>().map(Self)
    }

    /// Fails if one of them is another folder now, because root would go on working there.
    pub fn refuse_changes(&self, script: &RelPath) -> Result<()> {
        for (path, held) in &self.0 {
            let was = held.metadata().on("access", path)?;
            if presence::target(path)?.is_none_or(|now| (now.dev(), now.ino()) != (was.dev(), was.ino())) {
                return Err(Error::new(
                    Code::ScriptUnrunnable,
                    format!("init script {script} has replaced {}, in which moorline works as root", path.display()),
                )
                .hint("put that folder back, and remove the line from the script"));
            }
        }
        Ok(())
    }
}

/// The names in a folder, through its descriptor.
pub fn listing(folder: &Path, list: impl Fn(&Path) -> Result<Names>) -> Result<Names> {
    if !is_distrusted() {
        return list(folder);
    }
    let held = Held::of(&folder.join("any"));
    let held = match held {
        Err(cause) if presence::is_absent(&cause) => return Ok(Names::default()),
        other => other.on("list", folder)?,
    };
    let folder = held.path().parent().unwrap_or(folder);
    list(folder)
}
