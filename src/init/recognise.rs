//! Recognises the kind of a script by its content: built-in, a program, text for an interpreter, or shell text.

use std::{
    borrow::Cow,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use super::{
    commands::{self, Command},
    hashbang, typography,
};
use process::exec::shebang;
use volume::error::{Code, Error, Result};

#[derive(Debug, PartialEq, Eq)]
pub enum ScriptKind {
    /// Only commands of moorline, so that no shell is needed.
    BuiltIn(Vec<Command>),
    Image,
    /// Text that names its interpreter.
    Interpreted {
        /// The program that runs it.
        interpreter: OsString,
        /// The interpreter's argument before the script.
        argument: Option<OsString>,
    },
    /// Any other text, for `/bin/sh`.
    ShellText,
}

/// Recognises a script. `whole` is false if `text` is only the beginning of a file that is too large to be text.
pub fn recognise(text: &[u8], whole: bool) -> Result<ScriptKind> {
    let dropped = hashbang::lines_before(text);
    let text = hashbang::without_lead(text);
    if text.starts_with(b"\x7fELF") {
        return Ok(ScriptKind::Image);
    }
    if !text.starts_with(b"#!") {
        refuse_data(text, whole)?;
    }
    if whole {
        hashbang::refuse_without_commands(text)?;
    }
    typography::refuse(text, dropped)?;
    if let Some(mut commands) = built_in(text).filter(|_| whole) {
        commands.iter_mut().for_each(|command| command.line += dropped);
        commands.iter().try_for_each(refuse_command)?;
        return Ok(ScriptKind::BuiltIn(commands));
    }
    match shebang(text) {
        Some(line) => {
            refuse_crlf(text)?;
            let argument = line.argument.map(|text| OsStr::from_bytes(text).to_owned());
            Ok(ScriptKind::Interpreted { interpreter: line.interpreter.to_owned(), argument })
        }
        None if text.starts_with(b"#!") => Err(unrunnable("its #! line names no interpreter")),
        None => refuse_crlf(text).map(|()| ScriptKind::ShellText),
    }
}

fn built_in(text: &[u8]) -> Option<Vec<Command>> {
    let rest = match text.strip_prefix(b"#!") {
        None => text,
        Some(_) if hashbang::is_plain_shell(text) => {
            text.get(text.iter().position(|byte| *byte == b'\n')?..).unwrap_or_default()
        }
        Some(_) => return None,
    };
    commands::parse(&without_foreign_comments(rest)?)
}

/// The text as UTF-8. A comment in another encoding, such as Latin-1, is dropped; such a command is not built-in.
fn without_foreign_comments(text: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(text) {
        return Some(text.into());
    }
    let lines =
        text.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(typography::without_comment(line)).ok());
    Some(lines.collect::<Option<Vec<_>>>()?.join("\n").into())
}

/// Refuses commands that start a server or run all scripts, because a script runs before the server.
fn refuse_command(command: &Command) -> Result<()> {
    let mut words = command.arguments.iter().map(String::as_str);
    let name = loop {
        match words.next() {
            Some("--storage" | "--profile") => drop(words.next()),
            Some(word) if word.starts_with('-') => {}
            other => break other,
        }
    };
    match name {
        Some(name @ ("run" | "init" | "shell")) => Err(Error::new(
            Code::ScriptUnrunnable,
            format!("line {} calls `{} {name}`, which an init script cannot do", command.line, command.program),
        )
        .hint("remove that line: the server starts by itself when all scripts are done")),
        _ => Ok(()),
    }
}

/// Magic numbers of files that are not scripts: what they are, and a hint.
const DATA: [(&[u8], &str, &str); 12] = [
    (
        b"\x89SBC\r\n\x1a\n",
        "a backup",
        "move it to Backups/, and name it in a script: seqsvr restore -y --backup=../Backups/FILE",
    ),
    (b"SQLite format 3\0", "an SQLite database", "a database of the server belongs elsewhere on the volume"),
    (b"\x1f\x8b", "gzip data", "unpack it"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "unpack it"),
    (b"\xfd7zXZ\0", "xz data", "unpack it"),
    (b"BZh", "bzip2 data", "unpack it"),
    (b"MZ", "a Windows program", "a script runs in the container: a Linux program or text"),
    (b"\xcf\xfa\xed\xfe", "a macOS program", "a script runs in the container: a Linux program or text"),
    (b"-----BEGIN ", "a PEM file", "only scripts belong in Init/: keep certificates and keys elsewhere"),
    (b"\xff\xfe", "UTF-16 text", "save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "save it as UTF-8"),
];

fn refuse_data(text: &[u8], whole: bool) -> Result<()> {
    if let Some((_, what, hint)) = DATA.iter().find(|(magic, ..)| text.starts_with(magic)) {
        return Err(unrunnable(&format!("it is {what}, not a script")).hint(*hint));
    }
    let strange = |byte: &u8| *byte < 0x20 && !matches!(byte, 0x07..=0x0d | 0x1b);
    if !whole || text.iter().any(strange) {
        return Err(unrunnable("it is neither text nor a program").hint("move it out of Init/"));
    }
    Ok(())
}

fn refuse_crlf(text: &[u8]) -> Result<()> {
    let first = text.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    if first.is_some_and(|line| line.ends_with(b"\r")) {
        return Err(unrunnable("it has Windows line ends (CRLF), which its interpreter does not take")
            .hint("save it with LF line ends (only a script made of seqsvr commands may have CRLF)"));
    }
    Ok(())
}

fn unrunnable(why: &str) -> Error {
    Error::new(Code::ScriptUnrunnable, format!("the script cannot be run: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> ScriptKind {
        recognise(text.as_bytes(), true).expect(text)
    }

    fn refusal(text: &[u8]) -> String {
        let error = recognise(text, true).expect_err("is refused");
        assert_eq!(error.code(), Code::ScriptUnrunnable);
        error.message().to_owned()
    }

    #[test]
    fn our_own_commands_need_no_shell() {
        for text in [
            "seqsvr restore -y --from-latest",
            "#!/bin/sh\nseqsvr show-key\n",
            "#!/usr/bin/env bash\r\n\r\n# why\r\nmoorline show-key\r\n",
            "\u{feff}#!/bin/bash\nseqsvr show-key",
            "#!/bin/bash -e\nseqsvr show-key",
        ] {
            assert!(matches!(kind(text), ScriptKind::BuiltIn(commands) if commands.len() == 1), "{text:?}");
        }
        assert!(refusal(b"# nothing\n").contains("no commands"));
        assert!(
            matches!(kind("\n  #!/bin/sh\nseqsvr show-key"), ScriptKind::BuiltIn(commands) if commands[0].line == 3)
        );
    }

    #[test]
    fn one_line_of_anything_else_needs_the_shell() {
        assert_eq!(kind("set -e\nseqsvr show-key\n"), ScriptKind::ShellText);
        assert!(matches!(kind("#!/bin/sh\necho\n"), ScriptKind::Interpreted { argument: None, .. }));
        assert!(matches!(kind("#!/usr/bin/python3\nseqsvr\n"), ScriptKind::Interpreted { .. }));
        assert_eq!(recognise(b"\x7fELF\x02\x01", false).ok(), Some(ScriptKind::Image));
        assert!(matches!(recognise(b"#!/bin/sh\n\0\x01binary", false), Ok(ScriptKind::Interpreted { .. })));
    }

    #[test]
    fn data_is_named() {
        assert!(refusal(b"\x89SBC\r\n\x1a\n...").contains("a backup"));
        assert!(refusal(b"\0\x01\x02").contains("neither text nor a program"));
        assert!(refusal(b"MZ\x90").contains("Windows program"));
    }

    #[test]
    fn windows_line_ends_are_named_where_a_shell_would_trip() {
        assert!(refusal(b"#!/bin/sh\r\necho\r\n").contains("CRLF"));
        assert!(refusal(b"\r\necho hi\r\n").contains("CRLF"));
    }

    #[test]
    fn a_script_does_not_start_servers() {
        assert!(refusal(b"seqsvr show-key\nmoorline --storage /x run -- server").contains("line 2"));
        assert!(refusal(b"seqsvr init").contains("`seqsvr init`"));
    }
}
