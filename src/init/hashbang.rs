//! The `#!` line of a script, and scripts that hold no command at all.
//!
//! Templates damage scripts in two ways. A YAML scalar with `>` folds all lines into the `#!` line, and `nindent` or an
//! indented block puts blanks before it. The kernel looks for `#!` at the first byte only; we look on the first line that
//! is not blank. A script without a command is an error, because a restore was probably meant.

use std::{borrow::Cow, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use super::typography;
use process::exec::shebang;
use volume::error::{Code, Error, Result};

/// Interpreters whose scripts have lines, besides shells. Versions may follow the name: `python3.12`.
const LANGUAGES: [&str; 15] = [
    "python", "perl", "ruby", "node", "php", "awk", "gawk", "mawk", "sed", "java", "lua", "deno", "bun", "tclsh",
    "pwsh",
];

/// Commands of a shell that never execute their arguments. If lines were folded into one, they swallow the rest.
const SWALLOWING: [&str; 26] = [
    ":", "alias", "cat", "cd", "chmod", "chown", "cp", "echo", "exit", "export", "false", "ls", "mkdir", "mv",
    "printf", "readonly", "rm", "set", "shopt", "sleep", "sync", "touch", "true", "ulimit", "umask", "unset",
];

const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a byte order mark, and without blanks in front of `#!`.
#[must_use]
pub fn without_lead(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let from_text = text.trim_ascii_start();
    if from_text.starts_with(b"#!") { from_text } else { text }
}

/// As [`without_lead`], and without the indent of the `#!` line if every line has it, because Python refuses it.
#[must_use]
pub fn without_indent(text: &[u8]) -> Cow<'_, [u8]> {
    let plain = without_lead(text);
    let lead = &text[..text.len() - plain.len()];
    let indent = lead.strip_prefix(MARK).unwrap_or(lead).rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut lines = Vec::new();
    for line in plain.split(|byte| *byte == b'\n').skip(1) {
        match line.strip_prefix(indent) {
            Some(line) => lines.push(line),
            None if line.trim_ascii().is_empty() => lines.push(b"".as_slice()),
            None => return plain.into(),
        }
    }
    if indent.is_empty() || !plain.starts_with(b"#!") {
        return plain.into();
    }
    let first = plain.split(|byte| *byte == b'\n').take(1);
    first.chain(lines).collect::<Vec<_>>().join(&b'\n').into()
}

/// The number of lines that [`without_lead`] drops.
#[must_use]
pub fn lines_before(text: &[u8]) -> usize {
    let lead = text.len() - without_lead(text).len();
    text[..lead].iter().filter(|byte| **byte == b'\n').count()
}

/// A warning if something before `#!` keeps the kernel from seeing it.
#[must_use]
pub fn lead_warning(text: &[u8], path: &Path) -> Option<String> {
    let path = path.display();
    let text = text.strip_prefix(MARK).unwrap_or(text);
    if text.len() != without_lead(text).len() {
        return Some(format!(
            "{path} has blanks before its #! (on line {}), as Helm's `nindent` or an indented YAML block adds them: \
             moorline runs it with the interpreter of its #! line",
            lines_before(text) + 1
        ));
    }
    let head = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    let mut head = head.take_while(|(_, line)| line.is_empty() || line.starts_with(b"#"));
    let is_mark = |line: &[u8]| line.strip_prefix(b"#").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"!/"));
    let (number, line) = head.find(|(_, line)| is_mark(line)).filter(|_| !text.starts_with(b"#!"))?;
    Some(format!(
        "line {} of {path} is `{}`, which counts only as `#!…` on the first line: moorline runs the script with /bin/sh",
        number + 1,
        String::from_utf8_lossy(line)
    ))
}

/// A `#!` line with `env` and `busybox` resolved.
struct Line<'a> {
    /// The file name of the interpreter.
    interpreter: &'a [u8],
    /// The words that follow it.
    words: Vec<&'a [u8]>,
}

impl<'a> Line<'a> {
    fn of(text: &'a [u8]) -> Option<Self> {
        let first = first_line(text);
        let line = shebang(first)?;
        let mut interpreter = file_name(line.interpreter);
        let mut words = words(line.argument.unwrap_or_default());
        if matches!(interpreter, b"env" | b"busybox") {
            let is_program = |word: &&[u8]| !word.starts_with(b"-") && !word.contains(&b'=');
            let at = words.iter().position(is_program)?;
            interpreter = file_name(OsStr::from_bytes(words[at]));
            words.drain(..=at);
        }
        Some(Self { interpreter, words })
    }

    fn is_shell(&self) -> bool {
        matches!(self.interpreter, b"sh" | b"bash" | b"dash" | b"ash" | b"ksh" | b"zsh")
    }

    /// Whether a script of this interpreter needs lines of its own. Other programs may need none: `#!/bin/cat FILE`.
    fn needs_lines(&self) -> bool {
        let is_language = LANGUAGES.iter().any(|name| self.interpreter.starts_with(name.as_bytes()));
        !self.names_a_file() && (self.is_shell() || (is_language && !self.has_program()))
    }

    /// Whether an option holds the program or names it: `#!/usr/bin/perl -e …`, `#!/usr/bin/python3 -m module`.
    fn has_program(&self) -> bool {
        self.words.first().is_some_and(|word| match word.strip_prefix(b"-") {
            Some(long) if long.starts_with(b"-") => long.starts_with(b"-eval") || long.starts_with(b"-print"),
            Some(letters) => letters.iter().any(|letter| b"ecmprE".contains(letter)),
            None => false,
        })
    }

    /// `#!/bin/sh /path/of/a/wrapper`.
    fn names_a_file(&self) -> bool {
        matches!(self.words.as_slice(), [word] if word.starts_with(b"/"))
    }

    /// Whether the line holds commands where only options are possible.
    fn holds_commands(&self) -> bool {
        let Some(first) = self.words.first() else { return false };
        let is_ours = |word: &&[u8]| matches!(*word, b"seqsvr" | b"moorline");
        let is_option = first.starts_with(b"-") || first.starts_with(b"+");
        !self.names_a_file() && (!is_option || self.words.iter().any(is_ours))
    }
}

/// Whether the `#!` line names `sh` or `bash` and holds nothing else but options.
#[must_use]
pub fn is_plain_shell(text: &[u8]) -> bool {
    Line::of(text).is_some_and(|line| {
        matches!(line.interpreter, b"sh" | b"bash") && !line.holds_commands() && !line.names_a_file()
    })
}

/// Refuses a text without any command.
pub fn refuse_without_commands(text: &[u8]) -> Result<()> {
    if typography::is_blank(text) {
        return Err(no_commands("the file is empty")
            .hint("a copy that was cut off leaves an empty file: write the script again, or remove it"));
    }
    let has_mark = text.starts_with(b"#!");
    let line = if has_mark { Line::of(text) } else { None };
    let is_shell = !has_mark || line.as_ref().is_some_and(Line::is_shell);
    if let Some(line) = line.as_ref().filter(|line| line.is_shell() && line.holds_commands()) {
        return Err(folded(line));
    }
    let body = if has_mark { text.get(first_line(text).len()..).unwrap_or_default() } else { text };
    if let Some(command) = swallowing_restore(body).filter(|_| is_shell) {
        return Err(no_commands(&format!("its only line passes `seqsvr …` to `{command}` as an argument"))
            .hint("its line ends were lost: in YAML write the script as a block with `|`, not with `>`"));
    }
    let needs_lines = !has_mark || line.as_ref().is_some_and(Line::needs_lines);
    if !needs_lines || !body.split(|byte| *byte == b'\n').all(|line| does_nothing(line, is_shell)) {
        return Ok(());
    }
    match line.filter(Line::holds_commands) {
        Some(line) => Err(folded(&line)),
        None => Err(no_commands("it holds only comments and settings of the shell").hint(
            "if its line ends were lost (YAML: write `|`, not `>`), write it again; if it has nothing to do, remove it",
        )),
    }
}

fn folded(line: &Line<'_>) -> Error {
    let first = line.words.iter().find(|word| !word.starts_with(b"-")).copied().unwrap_or_default();
    no_commands(&format!("its #! line goes on with `{} …`", String::from_utf8_lossy(first)))
        .hint("its line ends were lost: in YAML write the script as a block with `|`, not with `>`")
}

fn no_commands(why: &str) -> Error {
    Error::new(Code::ScriptUnrunnable, format!("the script has no commands: {why}"))
}

/// Whether a line is blank, a comment, or `set` with options: the lines that remain if all commands were folded into one.
fn does_nothing(line: &[u8], is_shell: bool) -> bool {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return true;
    }
    let text = String::from_utf8_lossy(line);
    if !is_shell {
        return text.starts_with("//") || text == "<?php";
    }
    let substitutes = text.contains("$(") || text.contains('`');
    !substitutes && simple_commands(line).iter().all(|command| command.first().is_none_or(|word| word == "set"))
}

/// The command that swallows a restore if the body has one line, and calls seqsvr only as an argument of it.
fn swallowing_restore(body: &[u8]) -> Option<String> {
    let is_code = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
    let mut lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(is_code);
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let mut found = None;
    for command in simple_commands(line) {
        let mut words = command.iter().skip_while(|word| !matches!(word.as_str(), "seqsvr" | "moorline"));
        if words.any(|word| matches!(word.as_str(), "restore" | "rollback")) {
            found = command.into_iter().next().filter(|first| SWALLOWING.contains(&first.as_str()));
            // Any other command may execute its arguments, as `exec` does.
            found.as_ref()?;
        }
    }
    found
}

/// The words of each simple command of a line of shell. Quoted text is a word without content.
fn simple_commands(line: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(typography::without_comment(line)).replace("\\n", " ");
    let mut plain = String::new();
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (Some(open), _) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            // `2>&1` and `&>file`.
            (None, '&') if plain.ends_with('>') || chars.peek() == Some(&'>') => plain.push(char),
            (None, ';' | '&' | '|' | '(' | ')' | '`') => plain.push('\n'),
            (None, char) => plain.push(char),
        }
    }
    plain.lines().map(|command| command.split_whitespace().map(str::to_owned).collect()).collect()
}

fn first_line(text: &[u8]) -> &[u8] {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn file_name(path: &OsStr) -> &[u8] {
    Path::new(path).file_name().map(OsStr::as_bytes).unwrap_or_default()
}

fn words(text: &[u8]) -> Vec<&[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<String> {
        refuse_without_commands(text.as_bytes()).err().map(|error| error.message().to_owned())
    }

    #[test]
    fn a_text_without_a_command_is_refused() {
        for (text, why) in [
            ("", "the file is empty"),
            (" \r\n\n", "the file is empty"),
            ("# later\n", "only comments"),
            ("#!/bin/sh\n\n# later\n", "only comments"),
            ("#!/usr/bin/env python3\n", "only comments"),
            ("set -e seqsvr restore -y\n", "passes `seqsvr …` to `set`"),
            ("\u{a0}\n", "the file is empty"),
            ("#!/bin/sh seqsvr restore -y\n", "goes on with `seqsvr …`"),
            ("#!/bin/bash -e seqsvr restore -y\n", "goes on with `seqsvr …`"),
            ("#!/usr/bin/env bash set -e\nseqsvr restore -y\n", "goes on with `set …`"),
            ("#!/usr/bin/python3 import os\n", "goes on with `import …`"),
        ] {
            let refused = refusal(text).unwrap_or_default();
            assert!(refused.contains(why), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_text_with_a_command_is_not() {
        for text in [
            "true",
            "echo once; seqsvr restore -y",
            "echo \"see seqsvr restore\"",
            "nice seqsvr restore -y",
            "set -- \"$(seqsvr restore -y)\"",
            "echo seqsvr restore\ntrue",
            "set -e; true",
            "#!/bin/sh -e\ntrue",
            "#!/bin/bash -o pipefail\ntrue",
            "#!/bin/sh /opt/wrapper\n",
            "#!/bin/cat /proc/self/status\n",
            "#!/usr/bin/env -S A=1 bash -eu\ntrue",
            "#!/usr/bin/perl -e print(1)\n",
            "#!/no/such\n",
        ] {
            assert_eq!(refusal(text), None, "{text:?}");
        }
    }

    #[test]
    fn blanks_before_the_mark_are_dropped() {
        assert_eq!(without_lead(b"\xef\xbb\xbf\r\n  #!/bin/sh\n"), b"#!/bin/sh\n");
        assert_eq!(lines_before(b"\n \n  #!/bin/sh\n"), 2);
        assert_eq!(without_lead(b"\n  echo\n"), b"\n  echo\n");
        assert!(lead_warning(b"\n#!/bin/sh\n", Path::new("x")).is_some_and(|line| line.contains("line 2")));
        assert!(lead_warning(b"\xef\xbb\xbf#!/bin/sh\n", Path::new("x")).is_none());
    }
}
