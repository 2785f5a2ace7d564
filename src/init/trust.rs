//! Rights of a script when the server runs as another user. We trust a script only as much as the users who can write it.
//!
//! Built-in commands run as root, whoever wrote them. If the server's user can change the script, only commands that cannot
//! be turned against root are carried out. A program or shell text runs as root only if it asks for that, and no user
//! except root can have written it.

use std::{
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Settings, commands::Command, scan::Script};
use process::User;
use volume::{
    Volume,
    error::{Code, Error, Result},
    presence,
};

/// The line in a script's head that asks to run the script as root.
const ASKS_FOR_ROOT: &str = "# moorline: user=root";

/// How many lines of a script are its head.
const HEAD: usize = 20;

/// The commands that a script of the server's user may use.
const HARMLESS: [&str; 6] = ["restore", "rollback", "backup", "list", "verify", "apps"];

/// The options that such a script may not use, because they write outside the volume or change whose key counts.
const REFUSED: [&str; 5] = ["-o", "--output", "--owner", "--accept-new-key", "--secret-key-file"];

/// Whether the script's head asks for root.
#[must_use]
pub fn asks_for_root(text: &[u8]) -> bool {
    let head = text.split(|byte| *byte == b'\n').take(HEAD).map(<[u8]>::trim_ascii);
    head.take_while(|line| line.is_empty() || line.starts_with(b"#")).any(|line| line == ASKS_FOR_ROOT.as_bytes())
}

/// The path, if any, that users other than root can write, so that they may have written the script. Modes cover access
/// control lists, too, because the group's bits are the mask of all entries.
pub fn writable_by_others(settings: &Settings<'_>, script: &Script) -> Result<Option<PathBuf>> {
    let of_root = |uid: u32, mode: u32| uid == 0 && mode & 0o022 == 0;
    if is_from_read_only_source(settings, script)? {
        return Ok(None);
    }
    let is_link = presence::entry(&script.path)?.is_none_or(|meta| meta.is_symlink());
    if is_link || !of_root(script.meta.uid(), script.meta.mode()) {
        return Ok(Some(script.path.clone()));
    }
    for folder in script.path.ancestors().skip(1) {
        let Some(meta) = presence::entry(folder)? else { return Ok(Some(folder.to_owned())) };
        if !of_root(meta.uid(), meta.mode()) {
            return Ok(Some(folder.to_owned()));
        }
        if folder == settings.volume.root() {
            break;
        }
    }
    Ok(None)
}

/// Whether the script was copied from a `/seqinit` that is mounted read-only, so that nothing in the container wrote it.
fn is_from_read_only_source(settings: &Settings<'_>, script: &Script) -> Result<bool> {
    let source = script.name.under(&settings.seqinit);
    if !presence::is_file(&source)? {
        return Ok(false);
    }
    let read_only = statvfs(&source).is_ok_and(|found| found.flags().contains(FsFlags::ST_RDONLY));
    Ok(read_only && super::scan::open(&settings.seqinit, &script.name).is_ok_and(|found| found.hash == script.hash))
}

/// Refuses to run a script as root if users other than root can write it.
pub fn refuse_root(place: &Path) -> Error {
    Error::new(
        Code::ScriptUnrunnable,
        format!("it asks to run as root, but users other than root can write {}", place.display()),
    )
    .hint(format!(
        "give it to root and take the write permission away (chown root, chmod go-w), or mount the script read-only in \
         /seqinit; without `{ASKS_FOR_ROOT}` it runs as the server's user"
    ))
}

/// The arguments of a built-in command from a script that the server's user can write. A restore gives the files to that
/// user.
pub fn restricted(volume: &Volume, user: &User, command: &Command) -> Result<Vec<String>> {
    let refuse = |what: String| {
        Error::new(
            Code::ScriptUnrunnable,
            format!("line {} {what}, and the script may be written by user {}", command.line, user.spec()),
        )
        .hint(format!(
            "such a script can use only {}; make the script and its folders writable only by root for everything else",
            HARMLESS.join(", ")
        ))
    };
    let mut words = command.arguments.iter().map(String::as_str);
    let name = loop {
        match words.next() {
            Some("--storage" | "--profile" | "--log-format") => drop(words.next()),
            Some(word) if word.starts_with('-') => {}
            other => break other.unwrap_or_default(),
        }
    };
    if !HARMLESS.contains(&name) {
        return Err(refuse(format!("calls `{} {name}`", command.program)));
    }
    let is = |argument: &str, option: &str| argument == option || argument.starts_with(&format!("{option}="));
    if let Some(option) = REFUSED.iter().find(|option| command.arguments.iter().any(|given| is(given, option))) {
        return Err(refuse(format!("uses {option}")));
    }
    if let Some(backup) = value_of(&command.arguments, "--backup") {
        let path = volume.init().join(backup);
        if !is_beneath(volume, &path)? {
            return Err(refuse(format!("names the backup {backup}, which is outside the volume or behind a link")));
        }
    }
    let mut arguments = command.arguments.clone();
    if name == "restore" {
        arguments.push(format!("--owner={}:{}", user.uid(), user.gid()));
    }
    Ok(arguments)
}

fn value_of<'a>(arguments: &'a [String], option: &str) -> Option<&'a str> {
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix(option) {
            Some("") => return arguments.next(),
            Some(rest) if rest.starts_with('=') => return Some(&rest[1..]),
            _ => {}
        }
    }
    None
}

/// Whether a path is on the volume or in the backup folder, with no link on the way. A missing file is reported by the
/// command itself.
fn is_beneath(volume: &Volume, path: &Path) -> Result<bool> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    let folders = [volume.root().to_owned(), volume.backups()];
    let Some(folder) = folders.iter().find(|folder| plain.starts_with(folder)) else { return Ok(false) };
    for part in plain.ancestors().take_while(|part| *part != folder) {
        if presence::entry(part)?.is_some_and(|meta| meta.is_symlink()) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_comment_in_the_head_asks_for_root() {
        assert!(asks_for_root(b"#!/bin/sh\n\n# moorline: user=root\r\napt-get update\n"));
        assert!(!asks_for_root(b"#!/bin/sh\necho\n# moorline: user=root\n"));
        assert!(!asks_for_root(b"#!/bin/sh\n# moorline: user=rooty\n"));
    }
}
