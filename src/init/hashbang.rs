//! The `#!` line of a script, and scripts that hold no command at all.
//!
//! Templates damage scripts in two ways. A YAML scalar with `>` folds all lines into the `#!` line, and `nindent` or an
//! indented block puts blanks before it. The kernel looks for `#!` at the first byte only; we look on the first line that
//! is not blank. A script without a command is an error, because a restore was probably meant.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use process::exec::shebang;
use volume::error::{Code, Error, Result};

const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a byte order mark, and without blanks in front of `#!`.
#[must_use]
pub fn without_lead(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(MARK).unwrap_or(text);
    let from_text = text.trim_ascii_start();
    if from_text.starts_with(b"#!") { from_text } else { text }
}

/// The number of lines that [`without_lead`] drops.
#[must_use]
pub fn lines_before(text: &[u8]) -> usize {
    let lead = text.len() - without_lead(text).len();
    text[..lead].iter().filter(|byte| **byte == b'\n').count()
}

/// A warning if blanks before `#!` keep the kernel from seeing it.
#[must_use]
pub fn lead_warning(text: &[u8], path: &Path) -> Option<String> {
    let is_moved = text.strip_prefix(MARK).unwrap_or(text).len() != without_lead(text).len();
    is_moved.then(|| {
        format!(
            "{} has blanks before its #! (on line {}), as Helm's `nindent` or an indented YAML block adds them: \
             moorline runs it with the interpreter of its #! line",
            path.display(),
            lines_before(text) + 1
        )
    })
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
        let is_language =
            [&b"python"[..], b"perl", b"ruby", b"node"].iter().any(|name| self.interpreter.starts_with(name));
        // `#!/usr/bin/perl -e …` has its program in this line.
        let has_options = self.words.first().is_some_and(|word| word.starts_with(b"-"));
        (self.is_shell() && !self.names_a_file()) || (is_language && !has_options && !self.names_a_file())
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
    if text.trim_ascii().is_empty() {
        return Err(no_commands("the file is empty")
            .hint("a copy that was cut off leaves an empty file: write the script again, or remove it"));
    }
    let has_mark = text.starts_with(b"#!");
    let line = if has_mark { Line::of(text) } else { None };
    if let Some(line) = line.as_ref().filter(|line| line.is_shell() && line.holds_commands()) {
        return Err(folded(line));
    }
    let body = if has_mark { text.get(first_line(text).len()..).unwrap_or_default() } else { text };
    let needs_lines = !has_mark || line.as_ref().is_some_and(Line::needs_lines);
    if !needs_lines || !body.split(|byte| *byte == b'\n').all(does_nothing) {
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
fn does_nothing(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let sets = line.starts_with(b"set ") && !line.iter().any(|byte| b";&|$`()<>".contains(byte));
    line.is_empty() || line.starts_with(b"#") || sets
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
            ("set -e seqsvr restore -y\n", "only comments"),
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
