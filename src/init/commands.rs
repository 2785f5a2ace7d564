//! Parsing a built-in script: each line is one plain `seqsvr …` or `moorline …` command, with quotes as in a shell.
//!
//! Any other shell syntax (a variable, a pipe, a glob, an operator, a brace) makes the whole script shell text. A
//! backslash at the end of a line joins it to the next line.

use volume::error::Code;

/// One command of a built-in script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// `seqsvr` or `moorline`.
    pub program: String,
    pub arguments: Vec<String>,
}

impl Command {
    /// Whether `--may-fail` lets the script continue after this exit code. It does not apply to an invalid command line or
    /// to a killed command.
    #[must_use]
    pub fn may_fail(&self, exit: u8) -> bool {
        let has = |word: &str| self.arguments.iter().any(|argument| argument == word);
        let handled = Code::from_exit(exit).is_some_and(|code| code != Code::Usage);
        handled && has("--may-fail") && (has("restore") || has("rollback"))
    }
}

/// The commands of a script; `None` if any line is something else.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<Command>> {
    let mut commands = Vec::new();
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate();
    while let Some((number, first)) = lines.next() {
        let mut line = first.to_owned();
        while !is_comment(&line) && continues(&line) {
            line.pop();
            line.push_str(lines.next()?.1);
        }
        if line.trim().is_empty() || is_comment(&line) {
            continue;
        }
        commands.push(command(&line, number + 1)?);
    }
    Some(commands)
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Whether the line ends in an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn command(line: &str, number: usize) -> Option<Command> {
    if !is_plain(line) {
        return None;
    }
    let mut words = shell_words::split(line).ok()?.into_iter();
    let program = words.next().filter(|word| matches!(word.as_str(), "seqsvr" | "moorline"))?;
    Some(Command { line: number, program, arguments: words.collect() })
}

/// Whether a shell would only split the line into words.
fn is_plain(line: &str) -> bool {
    let mut quote = None;
    let mut chars = line.chars();
    let mut before = ' ';
    while let Some(char) = chars.next() {
        match (quote, char) {
            (None | Some('"'), '\\') => drop(chars.next()),
            (Some(open), _) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None | Some('"'), '$' | '`') => return false,
            (None, '|' | '&' | ';' | '<' | '>' | '(' | ')' | '*' | '?' | '[' | ']' | '{' | '}' | '~' | '!') => {
                return false;
            }
            // A comment at the end of the line; shell-words drops it too.
            (None, '#') if before.is_whitespace() => return true,
            (None, char) if char.is_control() && char != '\t' => return false,
            _ => {}
        }
        before = char;
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_read_as_in_a_shell() {
        let text =
            "\n  seqsvr restore -y --secret-key=\"a+/b=\" --backup='../Backups/a b.seqbac' x\\ y \"\\\"\" # now\n";
        let commands = parse(text).expect("is built-in");
        assert_eq!(commands.len(), 1);
        assert_eq!(commands[0].line, 2);
        let arguments: Vec<&str> = commands[0].arguments.iter().map(String::as_str).collect();
        assert_eq!(arguments, ["restore", "-y", "--secret-key=a+/b=", "--backup=../Backups/a b.seqbac", "x y", "\""]);
    }

    #[test]
    fn a_long_command_may_continue_on_the_next_line() {
        let commands = parse("moorline restore \\\r\n  -y \\\n --from-latest\nseqsvr show-key").expect("is built-in");
        assert_eq!(commands[0].arguments, ["restore", "-y", "--from-latest"]);
        assert_eq!((commands[1].line, commands[1].program.as_str()), (4, "seqsvr"));
    }

    #[test]
    fn other_shell_syntax_makes_it_shell_text() {
        for line in [
            "seqsvr backup $X",
            "seqsvr backup \"$X\"",
            "seqsvr backup `x`",
            "seqsvr backup | cat",
            "seqsvr backup && echo",
            "seqsvr backup; echo",
            "seqsvr backup > x",
            "seqsvr verify *.seqbac",
            "seqsvr verify ~/x",
            "seqsvr verify {a,b}",
            "(seqsvr backup)",
            "! seqsvr backup",
            "X=1 seqsvr backup",
            "seqsvr backup \"open",
            "/usr/bin/seqsvr backup",
            "seqsvrx",
            "echo seqsvr",
            "seqsvr backup \\",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
        assert!(parse("seqsvr backup '$X | *' \\$X a#b").is_some());
    }
}
