//! Arguments for a child of this program that `ps` does not show, because they may hold a secret key.

use std::{
    fs::File,
    io::{Seek, Write},
    os::fd::OwnedFd,
};

use nix::{fcntl::OFlag, unistd};

use volume::error::{Code, Error, Result};

/// A descriptor that holds the arguments, each terminated by a NUL: anonymous memory, or a pipe if that is not available.
pub fn descriptor_with(arguments: &[String]) -> Result<OwnedFd> {
    let mut text = zeroize::Zeroizing::new(Vec::new());
    for argument in arguments {
        text.extend_from_slice(argument.as_bytes());
        text.push(0);
    }
    in_memory(&text).or_else(|_| in_pipe(&text)).map_err(|_| {
        Error::new(Code::ScriptUnrunnable, "a line of the script is too long").hint("shorten it, or use a shell script")
    })
}

fn in_memory(text: &[u8]) -> std::io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let mut file = File::from(memfd_create(c"arguments", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text)?;
    file.rewind()?;
    Ok(file.into())
}

fn in_pipe(text: &[u8]) -> std::io::Result<OwnedFd> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    File::from(writer).write_all(text)?;
    Ok(reader)
}
