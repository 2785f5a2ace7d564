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
    link_of_others, presence,
};

/// The line in a script's head that asks to run the script as root.
const ASKS_FOR_ROOT: &str = "# moorline: user=root";

/// How many lines of a script are its head.
const HEAD: usize = 20;

/// The commands that a script of the server's user may use, each with its options. Everything else is refused, because it
/// may write outside the volume or change whose key counts.
const HARMLESS: [(&str, &[&str]); 6] = [
    (
        "restore",
        &[
            "-y",
            "--yes",
            "--from-latest",
            "--backup",
            "--secret-key",
            "--enable-apps",
            "--dry-run",
            "--may-fail",
            "--json",
        ],
    ),
    ("rollback", &["-y", "--yes", "--list", "--discard", "--may-fail", "--json"]),
    ("backup", &["--scheduled", "--if-older", "--not-suspect", "--no-check", "--json"]),
    ("list", &["--json"]),
    ("verify", &["--json"]),
    ("apps", &["--all", "--json"]),
];

/// Options whose value may be the next word.
const WITH_VALUE: [&str; 4] = ["--backup", "--secret-key", "--discard", "--if-older"];

/// Whether the script's head asks for root.
#[must_use]
pub fn asks_for_root(text: &[u8]) -> bool {
    let head = text.split(|byte| *byte == b'\n').take(HEAD).map(<[u8]>::trim_ascii);
    head.take_while(|line| line.is_empty() || line.starts_with(b"#")).any(|line| line == ASKS_FOR_ROOT.as_bytes())
}

/// A warning if the head holds that line in another spelling, which has no effect.
#[must_use]
pub fn misspelt_request(script: &Script) -> Option<String> {
    let plain = |line: &[u8]| -> Vec<u8> {
        line.iter().filter(|byte| !byte.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect()
    };
    let mut head = script.text.split(|byte| *byte == b'\n').take(HEAD).map(<[u8]>::trim_ascii);
    let found = head.find(|line| plain(line) == plain(ASKS_FOR_ROOT.as_bytes()))?;
    (!asks_for_root(&script.text)).then(|| {
        let found = String::from_utf8_lossy(found);
        format!("`{found}` in {} has no effect: to run it as root, write `{ASKS_FOR_ROOT}`", script.path.display())
    })
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
        if Some(folder) == settings.volume.init().parent() {
            break;
        }
    }
    Ok(None)
}

/// Whether root works on a volume that the user of the server may own.
#[must_use]
pub fn distrusts(user: Option<&User>) -> bool {
    user.is_some_and(|user| user.uid() != 0) && nix::unistd::geteuid().is_root()
}

/// Whether a path is a link that a user other than root has made. Behind it may be a file that only root can read or
/// change.
pub fn is_link_of_others(path: &Path) -> Result<bool> {
    Ok(presence::entry(path)?.is_some_and(|meta| meta.is_symlink() && meta.uid() != 0))
}

/// Refuses links of the server's user in place of moorline's folders, because moorline would write through them as root.
pub fn refuse_links(volume: &Volume) -> Result<()> {
    let init = volume.init();
    let own = [volume.own(), volume.spool(), volume.restores(), volume.own().join("bin"), volume.own_backups()];
    let folders = own.into_iter().chain([init.join("start.d"), init.join("ready.d"), init]);
    for folder in folders {
        if is_link_of_others(&folder)? {
            return Err(link_of_others(&folder));
        }
    }
    Ok(())
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
        "give it to root and take the write permission away (chown root, chmod go-w; --chown-volume=never leaves an empty \
         volume to root), or, for a script of Init/, mount it read-only in /seqinit; without `{ASKS_FOR_ROOT}` it runs as \
         the server's user"
    ))
}

/// The arguments of a built-in command from a script that the server's user can write. A restore gives the files to that
/// user.
pub fn restricted(volume: &Volume, user: &User, command: &Command) -> Result<Vec<String>> {
    let refuse = |what: String| {
        let names: Vec<&str> = HARMLESS.iter().map(|(name, _)| *name).collect();
        Error::new(
            Code::ScriptUnrunnable,
            format!("line {} {what}, and the script may be written by user {}", command.line, user.spec()),
        )
        .hint(format!(
            "such a script can use only {}, with the options that docs/cli.md lists; make the script and its folders writable \
             only by root for everything else",
            names.join(", ")
        ))
    };
    let (name, words) = command.arguments.split_first().map_or(("", &[][..]), |(name, words)| (name.as_str(), words));
    let Some((_, options)) = HARMLESS.iter().find(|(harmless, _)| *harmless == name) else {
        return Err(refuse(format!("calls `{} {name}`", command.program)));
    };
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (option, attached) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
        let file = if word.starts_with('-') && word != "-" {
            if !options.contains(&option) {
                return Err(refuse(format!("uses {option}")));
            }
            let value = attached.or_else(|| WITH_VALUE.contains(&option).then(|| words.next()).flatten());
            value.filter(|_| option == "--backup")
        } else {
            Some(word).filter(|_| name == "verify")
        };
        if let Some(file) = file
            && (file == "-" || file.contains("://") || !is_beneath(volume, &volume.init().join(file))?)
        {
            return Err(refuse(format!("names the backup {file}, which is outside the volume or behind a link")));
        }
    }
    let mut arguments = command.arguments.clone();
    if name == "restore" {
        arguments.push(format!("--owner={}:{}", user.uid(), user.gid()));
        arguments.push("--unprivileged".to_owned());
    }
    Ok(arguments)
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
