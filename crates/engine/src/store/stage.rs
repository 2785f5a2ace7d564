//! One member of an archive, written below a staging directory.
//!
//! Whatever the archive contains, nothing is written through a link or over an existing file. Each member gets its
//! owner, mode, extended attributes and time when its content is complete. Directories get theirs at the end ([`Stager::finish`]), so that
//! files can be created in a directory of mode 0500. This module does not fsync, because the caller flushes the whole
//! file system once.
//!
//! If moorline runs as root, a member gets the first of these owners that exists: the requested one, the owner of the
//! same path on the volume, the archived one. Without root, all files belong to the current user. Where not even root may
//! change owners, a member keeps the owner that it gets, without set-user-id and set-group-id bits, because those would
//! grant the rights of another user.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileExt, MetadataExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::{self, AtFlags, FallocateFlags, OFlag},
    sys::{
        stat::{self, Mode, UtimensatFlags},
        time::TimeSpec,
    },
    unistd::{self, Gid, Uid},
};

use super::{beneath::Beneath, losses::Losses, spool::copy};
use crate::prelude::*;
use seqbac::{Entry, Kind};
use volume::{
    error::reason,
    xattrs::{self, ACCESS, CAPABILITY, DEFAULT, Target, Xattrs},
};

/// After this many bytes, we ask the kernel to start writing them to disk.
const WRITEBACK: u64 = 8 << 20;
/// Space for files of at least this size is reserved first, so that a full disk is an error before anything is written.
const PREALLOCATE: u64 = 1 << 20;
/// Zeros become a hole if they fill a block of this size.
const BLOCK: usize = 4096;

/// How to choose the owners of staged files.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    /// User and group for all files, whatever the archive and the volume say.
    pub requested: Option<(u32, u32)>,
    /// The directory whose files will be replaced. A file there passes its owner on to its replacement.
    pub live: Option<PathBuf>,
    /// Whether members get nothing that only root can give, because another user than root asked for them.
    pub unprivileged: bool,
}

type Owner = (u32, u32);

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
    /// The files to write with holes; `None` if that is unknown, and then every file may get holes.
    sparse: Option<BTreeSet<RelPath>>,
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
            sparse: None,
        })
    }

    /// Sets which members are files with holes. The others get blocks for all their zeros.
    #[must_use]
    pub fn with_sparse(self, sparse: Option<BTreeSet<RelPath>>) -> Self {
        Self { sparse, ..self }
    }

    /// Writes one member. Fails with `ContentMismatch` if its path exists, or if `content` does not have the entry's
    /// size.
    pub fn put(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        match &entry.kind {
            Kind::Directory => self.directory(entry),
            Kind::Symlink(target) => self.link(entry, target),
            Kind::File => self.file(entry, content),
        }
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
        let full = entry.path.under(&self.root);
        let (dir, name) = self.parent(entry).map_err(|errno| no_parent(entry, &full, errno))?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = fcntl::openat(dir, name.as_os_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let mut file = File::from(open.map_err(|errno| failed("create", entry, &full, errno))?);
        let is_sparse = self.sparse.as_ref().is_none_or(|sparse| sparse.contains(&entry.path));
        if !is_sparse {
            reserve(&file, entry.size).on("write", &full)?;
        }
        let size = fill(&mut file, content, &full, is_sparse)?;
        self.bytes += size;
        if size != entry.size {
            let what = format!("{} has {size} bytes in the backup, but its entry says {}", entry.path, entry.size);
            return Err(Error::new(Code::ContentMismatch, what));
        }
        self.set_metadata(&file, entry)
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
            if self.owners.unprivileged && xattrs::is_privileged(name) {
                self.losses.add_attribute(name, &entry.path, "only root may set them, and another user can write the script");
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
        let (uid, gid) = match (self.owners.requested, live.map(|meta| (meta.uid(), meta.gid()))) {
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
        let xattrs = full.map_or_else(|| Ok(Xattrs::new()), |full| {
            xattrs::kept(&full).on("read the extended attributes of", &full)
        })?;
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

fn fill(file: &mut File, content: &mut dyn Read, path: &Path, is_sparse: bool) -> Result<u64> {
    let (mut written, mut flushed) = (0, 0);
    let filled = copy(
        content,
        |cause| unpacked(cause, path),
        |bytes| {
            let stored = if is_sparse { write_data(file, bytes, written) } else { file.write_all(bytes) };
            stored.on("write", path)?;
            written += bytes.len() as u64;
            if written - flushed >= WRITEBACK {
                process::writeback::start(file, flushed, written - flushed);
                flushed = written;
            }
            Ok(())
        },
    )?;
    if is_sparse {
        // The file may end with a hole.
        file.set_len(filled).on("write", path)?;
    }
    Ok(filled)
}

/// Writes `bytes` at `offset`, but leaves out zeros that fill a block, so that they become holes.
fn write_data(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let (mut start, mut end) = (0, 0);
    while end < bytes.len() {
        let at = offset + end as u64;
        let to_boundary = BLOCK - usize::try_from(at % BLOCK as u64).unwrap_or(0);
        let block = &bytes[end..bytes.len().min(end + to_boundary)];
        if block.iter().all(|byte| *byte == 0) {
            file.write_all_at(&bytes[start..end], offset + start as u64)?;
            start = end + block.len();
        }
        end += block.len();
    }
    file.write_all_at(&bytes[start..], offset + start as u64)
}

/// Keeps the error code of a damaged backup, because each kind of damage has its own exit code.
fn unpacked(cause: io::Error, path: &Path) -> Error {
    match seqbac::Error::from_io(cause) {
        seqbac::Error::Io(cause) => Error::io("unpack", path, &cause),
        damage => damage.into(),
    }
}

fn reserve(file: &File, size: u64) -> nix::Result<()> {
    let Ok(length) = i64::try_from(size) else { return Err(Errno::EFBIG) };
    if size < PREALLOCATE {
        return Ok(());
    }
    match fcntl::fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, length) {
        Err(Errno::ENOSPC | Errno::EDQUOT) => Err(Errno::ENOSPC),
        // The file system does not support it.
        _ => Ok(()),
    }
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
