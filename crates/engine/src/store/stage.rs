//! One member of an archive, written below a staging directory.
//!
//! Whatever the archive contains, nothing is written through a link or over an existing file. Each member gets its
//! owner, mode, extended attributes and time when its content is complete. Directories get theirs at the end ([`Stager::finish`]), so that
//! files can be created in a directory of mode 0500. This module does not fsync, because the caller flushes the whole
//! file system once.
//!
//! If moorline runs as root, a member gets the first of these owners that exists: the requested one, the mapped one, the owner
//! of the same path on the volume, the archived one. Without root, all files belong to the current user. Where not even root may
//! change owners, a member keeps the owner that it gets, without set-user-id and set-group-id bits, because those would
//! grant the rights of another user.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::Read,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
};

use nix::{
    errno::Errno,
    fcntl::{self, AtFlags, OFlag},
    sys::{
        stat::{self, Mode, UtimensatFlags},
        time::TimeSpec,
    },
    unistd::{self, Gid, Uid},
};

use super::{
    beneath::Beneath,
    content::{self, Holes},
    holes::Extent,
    losses::Losses,
    owners::{Owner, Owners},
};
use crate::prelude::*;
use seqbac::{Entry, Kind};
use volume::{
    error::reason,
    xattrs::{self, ACCESS, CAPABILITY, DEFAULT, Target, Xattrs},
};

const HARD_LINKS: &str = "the hard links";

/// What the manifest says about the shapes of files.
#[derive(Debug, Default)]
pub struct Shapes {
    /// The files to write with holes, and where they have data, if that is known; `None` if every file may get holes.
    pub sparse: Option<BTreeMap<RelPath, Option<Vec<Extent>>>>,
    /// Further names of files, with the first one.
    pub links: BTreeMap<RelPath, RelPath>,
}

/// Writes members below one directory.
#[derive(Debug)]
pub struct Stager {
    root: PathBuf,
    beneath: Beneath,
    owners: Owners,
    is_root: bool,
    directories: BTreeMap<RelPath, Option<Entry>>,
    /// Number of paths that keep their owner on the volume, by that owner and the archived one.
    kept: BTreeMap<(Owner, Owner), u64>,
    not_ours: u64,
    bytes: u64,
    /// Whether new files get an access list from the directory they are in.
    inherits: bool,
    losses: Losses,
    shapes: Shapes,
    /// The first names of files with several names, and whether each was staged.
    first_names: BTreeMap<RelPath, bool>,
}

impl Stager {
    /// Opens `root`, an existing directory to which no other process writes.
    pub fn new(root: &Path, owners: Owners) -> Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            beneath: Beneath::open(root).on("open", root)?,
            owners,
            is_root: unistd::geteuid().is_root(),
            directories: BTreeMap::new(),
            kept: BTreeMap::new(),
            not_ours: 0,
            bytes: 0,
            inherits: xattrs::passes_lists_on(root),
            losses: Losses::default(),
            shapes: Shapes::default(),
            first_names: BTreeMap::new(),
        })
    }

    /// Sets which files have holes, and which are names of one file.
    #[must_use]
    pub fn with_shapes(self, shapes: Shapes) -> Self {
        let first_names = shapes.links.values().map(|first| (first.clone(), false)).collect();
        Self { shapes, first_names, ..self }
    }

    /// Writes one member. Fails with `ContentMismatch` if its path exists, or if `content` does not have the entry's
    /// size.
    pub fn put(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        match &entry.kind {
            Kind::Directory => return self.directory(entry),
            Kind::Symlink(target) => self.link(entry, target)?,
            Kind::File => self.file(entry, content)?,
        }
        if let Some(is_staged) = self.first_names.get_mut(&entry.path) {
            *is_staged = true;
        }
        Ok(())
    }

    /// Sets the owners, modes and times of directories. Returns notes for the user.
    pub fn finish(mut self) -> Result<Vec<String>> {
        // In reverse order, so that the content of a directory comes before the directory itself.
        for (path, entry) in std::mem::take(&mut self.directories).into_iter().rev() {
            let full = path.under(&self.root);
            let entry = entry.map_or_else(|| self.unarchived(path), Ok)?;
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let directory = self.beneath.open_file(&entry.path, flags).on("open", &full)?;
            self.set_metadata(&directory, &entry)?;
        }
        Ok(self.notes())
    }

    /// Bytes of content written so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn directory(&mut self, entry: &Entry) -> Result<()> {
        let full = entry.path.under(&self.root);
        match self.directories.get_mut(&entry.path) {
            // Created as the parent of an earlier member.
            Some(implicit @ None) => *implicit = Some(entry.clone()),
            Some(Some(_)) => return Err(twice(entry)),
            None => {
                let (dir, name) = self.parent(entry).map_err(|errno| no_parent(entry, &full, errno))?;
                stat::mkdirat(dir, name.as_os_str(), Mode::S_IRWXU)
                    .map_err(|errno| failed("create", entry, &full, errno))?;
                self.directories.insert(entry.path.clone(), Some(entry.clone()));
            }
        }
        Ok(())
    }

    fn link(&mut self, entry: &Entry, target: &Path) -> Result<()> {
        let full = entry.path.under(&self.root);
        if let Some(first) = self.first_name(entry)
            && fs::read_link(first.under(&self.root)).is_ok_and(|other| other == *target)
            && self.add_name(entry, &first)?
        {
            return Ok(());
        }
        let owner = self.owner(entry)?;
        let (dir, name) = self.parent(entry).map_err(|errno| no_parent(entry, &full, errno))?;
        let name = name.as_os_str();
        unistd::symlinkat(target, &dir, name).map_err(|errno| failed("create", entry, &full, errno))?;
        if let Some((uid, gid)) = owner {
            let change = |uid| unistd::fchownat(&dir, name, uid, Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW);
            change_owner(&full, uid, change)?;
        }
        self.set_attributes(Target::Link(&full), entry, |_| true)?;
        stat::utimensat(&dir, name, &TimeSpec::UTIME_OMIT, &changed(entry), UtimensatFlags::NoFollowSymlink)
            .on("set the time of", &full)
    }

    fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let Some(first) = self.first_name(entry) else { return self.new_file(entry, content) };
        // An ordinary user may not be allowed to read the file that was just written.
        let Ok(file) = self.beneath.open_file(&first, OFlag::O_RDONLY).map(File::from) else {
            self.losses.add(HARD_LINKS, &entry.path, &format!("{first} cannot be read again"));
            return self.new_file(entry, content);
        };
        let start = content::equal_start(content, &file, &entry.path.under(&self.root))?;
        if start.is_all && start.length == entry.size {
            if self.add_name(entry, &first)? {
                return Ok(());
            }
        } else {
            let why = format!("it had another content than {first}, because both changed while they were backed up");
            self.losses.add(HARD_LINKS, &entry.path, &why);
        }
        let mut whole = file.take(start.length).chain(start.different.as_slice()).chain(content);
        self.new_file(entry, &mut whole)
    }

    fn new_file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let full = entry.path.under(&self.root);
        let (dir, name) = self.parent(entry).map_err(|errno| no_parent(entry, &full, errno))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = fcntl::openat(dir, name.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = File::from(open.map_err(|errno| failed("create", entry, &full, errno))?);
        let holes = match &self.shapes.sparse {
            None => Holes::Anywhere,
            Some(sparse) => match sparse.get(&entry.path) {
                Some(Some(extents)) => Holes::Outside(extents),
                Some(None) => Holes::Anywhere,
                None => Holes::Nowhere,
            },
        };
        let size = content::write(&mut file, content, (&full, entry.size), holes)?;
        self.bytes += size;
        if size != entry.size {
            let what = format!("{} has {size} bytes in the backup, but its entry says {}", entry.path, entry.size);
            return Err(Error::new(Code::ContentMismatch, what));
        }
        self.set_metadata(&file, entry)
    }

    /// The first name of the file that this member is another name of, if it was staged.
    fn first_name(&self, entry: &Entry) -> Option<RelPath> {
        self.shapes.links.get(&entry.path).filter(|first| self.first_names.get(*first) == Some(&true)).cloned()
    }

    /// Gives a staged file another name. Returns whether the volume can do that.
    fn add_name(&mut self, entry: &Entry, first: &RelPath) -> Result<bool> {
        let full = entry.path.under(&self.root);
        let (to, name) = self.parent(entry).map_err(|errno| no_parent(entry, &full, errno))?;
        let (from, first_name) = self.beneath.parent(first).on("open the directory of", &full)?;
        match unistd::linkat(from, first_name, to, name.as_os_str(), AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Err(twice(entry)),
            Err(errno) => {
                self.losses.add(HARD_LINKS, &entry.path, &reason(&errno.into()));
                Ok(false)
            }
        }
    }

    /// Opens the parent directory of the member, creating it if necessary, and returns it with the member's name.
    fn parent(&mut self, entry: &Entry) -> nix::Result<(OwnedFd, std::ffi::OsString)> {
        let Self { beneath, directories, .. } = self;
        let mut created = |path| drop(directories.insert(path, None));
        let (dir, name) = beneath.create_parent(&entry.path, Mode::S_IRWXU, &mut created)?;
        let dir = dir.try_clone_to_owned().map_err(|cause| Errno::from_raw(cause.raw_os_error().unwrap_or(0)))?;
        Ok((dir, name.to_owned()))
    }

    fn set_metadata(&mut self, file: impl AsFd, entry: &Entry) -> Result<()> {
        let full = entry.path.under(&self.root);
        if self.inherits {
            xattrs::remove_lists(&file).on("remove the access list of", &full)?;
        }
        let target = Target::Open(file.as_fd());
        // While we may still write to the file, whatever its owner and mode.
        self.set_attributes(target, entry, |name| ![ACCESS, DEFAULT, CAPABILITY].contains(&name))?;
        let mut mode = entry.mode & 0o7777;
        if let Some((uid, gid)) = self.owner(entry)? {
            let is_changed = change_owner(&full, uid, |uid| unistd::fchown(&file, uid, Some(gid)))?;
            if !is_changed && entry.kind == Kind::File {
                mode &= 0o1777;
            }
        }
        // After the owner, because a change of owner clears capabilities and the set-user-id bit.
        self.set_attributes(target, entry, |name| name == CAPABILITY)?;
        let changed_mode = stat::fchmod(&file, Mode::from_bits_truncate(mode)).map_err(std::io::Error::from);
        volume::warn_if_mode_refused(&full, changed_mode).on("set the mode of", &full)?;
        // After the mode, which without an access list has only the rights of the file's own group.
        self.set_attributes(target, entry, |name| [ACCESS, DEFAULT].contains(&name))?;
        stat::futimens(&file, &TimeSpec::UTIME_OMIT, &changed(entry)).on("set the time of", &full)
    }

    /// Sets the attributes whose names are `wanted`. What the volume or this process cannot set is a loss.
    fn set_attributes(&mut self, target: Target<'_>, entry: &Entry, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let is_wanted = |name: &OsStr| xattrs::is_kept(name) && wanted(&name.to_string_lossy());
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_wanted(name)) {
            let value = &self.owners.map.in_attribute(name, value);
            if self.owners.unprivileged && xattrs::is_privileged(name) {
                self.losses.add_attribute(
                    name,
                    &entry.path,
                    "only root may set them, and another user can write the script",
                );
                continue;
            }
            match xattrs::set(target, name, value) {
                Err(cause) if cause.raw_os_error() == Some(nix::libc::EIO) => {
                    return Err(Error::io("set an extended attribute of", &entry.path.under(&self.root), &cause));
                }
                Err(cause) => self.losses.add_attribute(name, &entry.path, &reason(&cause)),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// The owner to set, or `None` if we are not root and cannot set one.
    fn owner(&mut self, entry: &Entry) -> Result<Option<(Uid, Gid)>> {
        let archived = (entry.uid, entry.gid);
        if !self.is_root {
            let own = (unistd::geteuid().as_raw(), unistd::getegid().as_raw());
            self.not_ours += u64::from(archived != own);
            return Ok(None);
        }
        let live = self.live(&entry.path)?;
        let (uid, gid) = match (self.owners.asked_for(archived), live.map(|meta| (meta.uid(), meta.gid()))) {
            (Some(requested), _) => requested,
            (None, Some(live)) if live != archived => {
                *self.kept.entry((live, archived)).or_default() += 1;
                live
            }
            _ => archived,
        };
        Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
    }

    /// The entry for a directory that the archive does not contain, with the metadata that the directory has on the
    /// volume.
    fn unarchived(&self, path: RelPath) -> Result<Entry> {
        let live = self.live(&path)?.filter(std::fs::Metadata::is_dir);
        let full = self.owners.live.as_ref().filter(|_| live.is_some()).map(|live| path.under(live));
        let xattrs = full.map_or_else(
            || Ok(Xattrs::new()),
            |full| xattrs::kept(&full).on("read the extended attributes of", &full),
        )?;
        Ok(Entry {
            kind: Kind::Directory,
            size: 0,
            mode: xattrs::narrowed(live.as_ref().map_or(0o755, |meta| meta.mode() & 0o7777), &xattrs),
            uid: live.as_ref().map_or_else(|| unistd::geteuid().as_raw(), MetadataExt::uid),
            gid: live.as_ref().map_or_else(|| unistd::getegid().as_raw(), MetadataExt::gid),
            mtime_secs: live.as_ref().map_or(0, MetadataExt::mtime),
            mtime_nanos: 0,
            xattrs,
            torn: false,
            path,
        })
    }

    /// The metadata of `path` on the volume, if it exists there.
    fn live(&self, path: &RelPath) -> Result<Option<std::fs::Metadata>> {
        self.owners.live.as_ref().map_or(Ok(None), |live| presence::entry(&path.under(live)))
    }

    fn notes(&self) -> Vec<String> {
        let kept = self.kept.iter().map(|((live, archived), count)| {
            let ((uid, gid), (was_uid, was_gid), paths) = (live, archived, paths(*count));
            format!("kept the owner {uid}:{gid} on this volume for {paths}; in the backup it is {was_uid}:{was_gid}")
        });
        let why = "now owned by the current user instead of the owner in the backup, because only root can set owners";
        let not_ours = (self.not_ours > 0).then(|| format!("{} {why}", paths(self.not_ours)));
        kept.chain(not_ours).chain(self.losses.notes("on this volume")).collect()
    }
}

/// Changes owner and group, or at least the group, if we are not allowed to change the owner. Returns whether the owner
/// was changed. `change` gets no user if only the group is to change.
fn change_owner(path: &Path, uid: Uid, change: impl Fn(Option<Uid>) -> nix::Result<()>) -> Result<bool> {
    let Err(errno) = change(Some(uid)) else { return Ok(true) };
    volume::warn_if_refused(path, Err(errno.into())).on("set the owner of", path)?;
    // The group of a mounted volume may be one of ours.
    let _ = change(None);
    Ok(false)
}

fn paths(count: u64) -> String {
    format!("{count} {}", if count == 1 { "path" } else { "paths" })
}

fn changed(entry: &Entry) -> TimeSpec {
    TimeSpec::new(entry.mtime_secs, i64::from(entry.mtime_nanos.min(999_999_999)))
}

fn twice(entry: &Entry) -> Error {
    Error::new(Code::ContentMismatch, format!("{} is in the backup twice", entry.path))
}

fn no_parent(entry: &Entry, path: &Path, errno: Errno) -> Error {
    match errno {
        Errno::ENOTDIR | Errno::ELOOP => {
            let what = format!("{} is in the backup below a path that is not a directory", entry.path);
            Error::new(Code::ContentMismatch, what)
        }
        _ => Error::io("create the directory of", path, &errno.into()),
    }
}

fn failed(verb: &str, entry: &Entry, path: &Path, errno: Errno) -> Error {
    match errno {
        Errno::EEXIST => twice(entry),
        _ => Error::io(verb, path, &errno.into()),
    }
}
