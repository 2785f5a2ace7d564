//! The confirmation prompt of `restore` and `rollback`.

use std::io::{self, BufRead, IsTerminal, Write};

use volume::error::{Code, Error, Result};

/// Returns `Ok` if `yes` (`-y`) is set or the user at the terminal agrees; otherwise `ConfirmationNeeded`.
pub(super) fn ask(question: &str, yes: bool) -> Result<()> {
    if yes {
        return Ok(());
    }
    let refused = |what: &str| Error::new(Code::ConfirmationNeeded, what);
    if !io::stdin().is_terminal() {
        return Err(refused("cannot ask for confirmation: stdin is not a terminal").hint("pass -y to confirm"));
    }
    let _ = write!(io::stderr(), "{question} [y/N]: ").and_then(|()| io::stderr().flush());
    let mut answer = String::new();
    let _ = io::stdin().lock().read_line(&mut answer);
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(refused("not confirmed, so nothing was changed")),
    }
}
