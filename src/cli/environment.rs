//! Settings from the environment. Every one is called `MOORLINE_…`; where Seq has the same setting, its name is read
//! too, and the two saying different things is an error.

use std::{ffi::OsString, os::fd::RawFd, path::PathBuf};

use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    key::Sources,
    volume::lock,
};

/// The variables that hold a secret key: the server never sees them.
pub const SECRETS: [&str; 2] = ["MOORLINE_SECRETKEY", "SEQ_STORAGE_SECRETKEY"];

/// The process's environment, as it was found.
#[derive(Debug)]
pub struct Environment(());

impl Environment {
    /// This process's.
    #[must_use]
    pub const fn of_process() -> Self {
        Self(())
    }

    /// A setting: the name that is set, and its value.
    ///
    /// # Errors
    /// Where two names of the same setting disagree.
    pub fn setting(&self, names: &[&str]) -> Result<Option<(String, OsString)>> {
        let mut found: Option<(String, OsString)> = None;
        for name in names {
            let Some(value) = std::env::var_os(name) else { continue };
            match &found {
                Some((first, other)) if *other != value => {
                    return Err(Error::usage(format!("{first} and {name} are both set, and differ"))
                        .hint("they are two names of one setting: unset one of them"));
                }
                Some(_) => {}
                None => found = Some(((*name).to_owned(), value)),
            }
        }
        Ok(found)
    }

    /// A setting that is text.
    ///
    /// # Errors
    /// As [`Environment::setting`], and where it is not UTF-8.
    pub fn text(&self, names: &[&str]) -> Result<Option<(String, String)>> {
        let Some((name, value)) = self.setting(names)? else { return Ok(None) };
        let value = value.into_string().map_err(|_| Error::usage(format!("{name} is not UTF-8 text")))?;
        Ok(Some((name, value)))
    }

    /// A switch: `1`, `true`, `yes`, `on`, or the opposite.
    ///
    /// # Errors
    /// For anything else.
    pub fn switch(&self, name: &str) -> Result<bool> {
        let Some((_, value)) = self.text(&[name])? else { return Ok(false) };
        match value.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "on" => Ok(true),
            "" | "0" | "false" | "no" | "off" => Ok(false),
            _ => Err(Error::usage(format!("{name} is {value:?}: say 1 or 0"))),
        }
    }

    /// Where the secret key comes from, as far as the environment says.
    ///
    /// # Errors
    /// As [`Environment::setting`].
    pub fn key_sources(&self) -> Result<Sources> {
        let provider = self.setting(&["MOORLINE_SECRETKEY_PROVIDER", "SEQ_SECRETKEY_PROVIDER"])?;
        let arguments = self.text(&["MOORLINE_SECRETKEY_PROVIDERARGS", "SEQ_SECRETKEY_PROVIDERARGS"])?;
        let variable = self.text(&["MOORLINE_SECRETKEY", "SEQ_STORAGE_SECRETKEY"])?;
        let file = self.setting(&["MOORLINE_SECRETKEY_FILE", "SEQ_STORAGE_SECRETKEY_FILE"])?;
        Ok(Sources {
            provider: provider
                .map(|(name, program)| (name, program, arguments.map(|(_, text)| text).unwrap_or_default())),
            variable: variable.map(|(name, text)| (name, Zeroizing::new(text))),
            variable_file: file.map(|(name, path)| (name, PathBuf::from(path))),
            ..Sources::default()
        })
    }

    /// The descriptor of the volume's lock that a parent left to this process.
    #[must_use]
    pub fn inherited_lock(&self) -> Option<RawFd> {
        std::env::var(lock::LOCK_FD).ok()?.parse().ok()
    }
}
