//! A set of environment variables, in their original order. Values may be any bytes.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
    sync::Arc,
};

use nix::libc;

/// The search path if `PATH` is not set.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// The variables for a new process, each in the form for `execve`: `NAME=value`. A copy shares the texts.
#[derive(Clone, Default)]
pub struct Variables(Vec<Arc<CStr>>);

impl std::fmt::Debug for Variables {
    /// Shows only names, because a value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.pairs().map(|(name, _)| name)).finish()
    }
}

impl Variables {
    /// The variables of this process. Call it only while no other thread can change them.
    #[must_use]
    pub fn of_process() -> Self {
        let mut all = Vec::with_capacity(64);
        // SAFETY: `environ` is an array of C strings that ends with a null pointer, or null. Nothing changes it meanwhile,
        // because only `environment.rs` does, before another thread exists.
        unsafe {
            let mut next = environ;
            while !next.is_null() && !(*next).is_null() {
                all.push(Arc::from(CStr::from_ptr(*next)));
                next = next.add(1);
            }
        }
        Self(all)
    }

    /// The variables whose names start with one of these.
    #[must_use]
    pub fn starting_with(&self, starts: &[&str]) -> Self {
        let chosen = |text: &&Arc<CStr>| starts.iter().any(|start| text.to_bytes().starts_with(start.as_bytes()));
        Self(self.0.iter().filter(chosen).cloned().collect())
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find_map(|text| value_of(text, name))
    }

    /// Sets a variable. A value with a NUL, which no process can have, is not set.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let Some(text) = joined(name, value.as_ref()) else { return self };
        match self.0.iter_mut().find(|text| value_of(text, name).is_some()) {
            Some(given) => *given = text,
            None => self.0.push(text),
        }
        self
    }

    /// Removes variables.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|text| !names.iter().any(|name| value_of(text, name).is_some()));
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
        self.0.iter().filter_map(|text| {
            let text = text.to_bytes();
            let (name, value) = text.split_at(text.iter().position(|byte| *byte == b'=')?);
            Some((OsStr::from_bytes(name), OsStr::from_bytes(&value[1..])))
        })
    }

    /// For `execve`.
    #[must_use]
    pub fn into_c_strings(self) -> Vec<Arc<CStr>> {
        self.0
    }
}

fn joined(name: &str, value: &OsStr) -> Option<Arc<CStr>> {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    CString::new(text.into_vec()).ok().map(Arc::from)
}

/// The value in `NAME=value`, if that is the variable's name.
fn value_of<'a>(text: &'a CStr, name: &str) -> Option<&'a OsStr> {
    let (text, end) = (text.to_bytes(), name.len());
    // Nearly all variables differ in this byte already, and a start looks up dozens of names.
    let is_it = text.get(end) == Some(&b'=') && text.starts_with(name.as_bytes());
    is_it.then(|| OsStr::from_bytes(&text[end + 1..]))
}
