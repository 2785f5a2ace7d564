//! `moorline hash-password`: hashes the administrator's password for a container's environment.

use std::io::Read;

use clap::Args;
use zeroize::Zeroizing;

use super::output;
use console::password;
use volume::error::{Error, Result};

/// Bytes that are read from stdin at most. No password is longer, and an endless input must not fill the memory.
const LONGEST: u64 = 4096;

/// Read a password from stdin and print its hash for MOORLINE_FIRSTRUN_ADMINPASSWORDHASH
#[derive(Debug, Args)]
pub struct HashPassword {}

impl HashPassword {
    #[allow(clippy::unused_self, reason = "every command has the same signature")]
    pub(super) fn run(self) -> Result<()> {
        let text = read_password(&mut std::io::stdin().lock())?;
        let text = without_line_end(&text);
        password::acceptable(text)?;
        output::answer(&password::hash(text)?);
        Ok(())
    }
}

pub(super) fn read_password(from: &mut dyn Read) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = from.take(LONGEST).read_to_string(&mut text);
    read.map_err(|_| Error::usage("cannot read a password: it is not UTF-8 text"))?;
    Ok(text)
}

pub(super) fn without_line_end(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}
