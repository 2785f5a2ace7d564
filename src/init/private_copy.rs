//! Executable copies of scripts that cannot be executed in place: on a `noexec` volume, or without execute permission.
//!
//! A program is copied into anonymous memory (`memfd`) and executed through `/proc`, or, if that is not possible, into a
//! temporary folder that is not `noexec`. A text that its interpreter cannot read in place is copied into the attempt's folder.

use std::{
    fs::{self, File},
    io::{self, Seek, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
};

use super::script_folder::ScriptFolder;
use process::{User, exec};
use volume::error::{Code, Error, IoContext, Result};

/// A copy that is removed when this value is dropped.
#[derive(Debug)]
pub struct PrivateCopy {
    path: PathBuf,
    _memory: Option<OwnedFd>,
    _file: Option<tempfile::TempPath>,
}

impl PrivateCopy {
    /// Copies a program into memory, or else into a temporary folder.
    pub fn of_image(image: &mut File, path: &Path, user: Option<&User>) -> Result<Self> {
        if let Some(copy) = in_memory(image) {
            return Ok(copy);
        }
        let usable =
            ["/tmp", "/dev/shm", "/run"].map(Path::new).into_iter().filter(|folder| !exec::on_noexec_mount(folder));
        // Each attempt reads the file from its beginning.
        let mut copy = |folder| image.rewind().and_then(|()| in_file(image, folder, user)).ok();
        usable.filter_map(&mut copy).next().ok_or_else(|| {
            Error::new(
                Code::ScriptUnrunnable,
                format!("{} cannot be executed on the file system it is on", path.display()),
            )
            .hint("mount the volume or the container's /tmp without noexec")
        })
    }

    /// Copies a text into a file that its interpreter can read.
    pub fn of_text(text: &[u8], folder: &ScriptFolder) -> Result<Self> {
        let (mut file, path) = folder.create_file("script")?;
        file.write_all(text).on("write", &path)?;
        let kept = tempfile::TempPath::try_from_path(&path).on("write", &path)?;
        Ok(Self { path, _memory: None, _file: Some(kept) })
    }

    /// The path for this process, and for a child between fork and exec.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn in_memory(image: &mut File) -> Option<PrivateCopy> {
    let descriptor = memory().ok()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()));
    let mut file = File::from(descriptor);
    image.rewind().and_then(|()| io::copy(image, &mut file)).ok()?;
    // Reopened read-only, because the kernel does not execute a file that is open for writing (ETXTBSY).
    let reopened = File::open(&path).ok()?;
    drop(file);
    let path = PathBuf::from(format!("/proc/self/fd/{}", reopened.as_raw_fd()));
    Some(PrivateCopy { path, _memory: Some(reopened.into()), _file: None })
}

fn memory() -> io::Result<OwnedFd> {
    use rustix::fs::{MemfdFlags, memfd_create};
    let executable = MemfdFlags::CLOEXEC | MemfdFlags::EXEC;
    // Linux before 6.3 does not know the flag and always allows execution.
    Ok(memfd_create(c"init-script", executable).or_else(|_| memfd_create(c"init-script", MemfdFlags::CLOEXEC))?)
}

/// As the user, because root may not be allowed to give the file away.
fn in_file(content: &mut impl io::Read, folder: &Path, user: Option<&User>) -> io::Result<PrivateCopy> {
    let create = || {
        let mode = fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().prefix("script-").permissions(mode).tempfile_in(folder)
    };
    let mut file = match user {
        Some(user) => user.acting(create),
        None => create(),
    }?;
    io::copy(content, file.as_file_mut())?;
    let kept = file.into_temp_path();
    Ok(PrivateCopy { path: kept.to_path_buf(), _memory: None, _file: Some(kept) })
}
