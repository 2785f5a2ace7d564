//! A set of environment variables, in their original order. Values may be any bytes.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

/// The search path if `PATH` is not set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables for a new process.
#[derive(Clone, Default)]
pub struct Variables(Vec<(OsString, OsString)>);

impl std::fmt::Debug for Variables {
    /// Shows only names, because a value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl FromIterator<(OsString, OsString)> for Variables {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Variables {
    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_os_str())
    }

    /// Sets a variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let value = value.into();
        match self.0.iter_mut().find(|(given, _)| given == name) {
            Some(pair) => pair.1 = value,
            None => self.0.push((name.into(), value)),
        }
        self
    }

    /// Removes variables.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(given, _)| !names.iter().any(|name| given == name));
        self
    }

    /// Puts folders at the beginning of `PATH`.
    #[must_use]
    pub fn with_path(self, first: &[PathBuf]) -> Self {
        let mut path = OsString::new();
        for folder in first {
            path.push(folder);
            path.push(":");
        }
        path.push(self.path());
        self.with("PATH", path)
    }

    /// `PATH`, or [`DEFAULT_PATH`] if it is not set.
    #[must_use]
    pub fn path(&self) -> &OsStr {
        self.get("PATH").unwrap_or(OsStr::new(DEFAULT_PATH))
    }

    /// All names and values.
    pub fn pairs(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    /// The form for `execve`: `NAME=value`.
    pub(crate) fn to_c_strings(&self) -> Vec<std::ffi::CString> {
        let joined = self.0.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        // No variable contains a NUL, because the kernel's do not.
        joined.filter_map(|text| std::ffi::CString::new(text).ok()).collect()
    }
}
