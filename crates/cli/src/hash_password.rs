//! `moorline hash-password`: what the console keeps of a password, for a container's settings.

use std::{io::Read, process::ExitCode};

use clap::Args;
use zeroize::Zeroizing;

use super::output;
use console::password;
use volume::error::{Error, Result};

/// Nobody types a longer one.
const LONGEST: u64 = 4096;

/// Read a password from stdin, and print what MOORLINE_FIRSTRUN_ADMINPASSWORDHASH takes
#[derive(Debug, Args)]
pub struct HashPassword {}

impl HashPassword {
    #[allow(clippy::unused_self, reason = "as every verb is run")]
    pub(super) fn run(self) -> Result<ExitCode> {
        let mut text = Zeroizing::new(String::new());
        let read = std::io::stdin().lock().take(LONGEST).read_to_string(&mut text);
        read.map_err(|_| Error::usage("stdin holds no UTF-8 text"))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        password::acceptable(text)?;
        output::answer(&password::hash(text)?);
        Ok(ExitCode::SUCCESS)
    }
}
