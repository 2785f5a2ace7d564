//! Asking before something is replaced.

use std::io::{self, BufRead, IsTerminal, Write};

use volume::error::{Code, Error, Result};

/// Goes on if `-y` was given or the person at the terminal says yes.
pub(super) fn ask(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let refused = |what: &str| Error::new(Code::ConfirmationNeeded, what);
    if !io::stdin().is_terminal() {
        return Err(refused("a confirmation is needed, and there is no terminal to ask on").hint("add -y"));
    }
    let _ = write!(io::stderr(), "{question} [y/N]: ").and_then(|()| io::stderr().flush());
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused("not confirmed; nothing was changed")),
    }
}
