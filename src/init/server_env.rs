//! Variables that a script hands to the server: lines `NAME=value` in the file that `$MOORLINE_ENV` names.
//!
//! The file belongs to one attempt and is read back through the descriptor that created it, so it is always a private
//! regular file. Variables of a script in `Init/` are kept in `.moorline/server.env` until that script runs again, because
//! it runs only once; those of `Init/start.d/` apply to the current start.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::script_folder::ScriptFolder;
use seqbac_header::{Id, RelPath};
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
    presence,
};

/// The variable that names the file.
pub const VARIABLE: &str = "MOORLINE_ENV";

/// The largest content of the file.
const LIMIT: usize = 64 << 10;

/// The file of one attempt.
#[derive(Debug)]
pub struct ScriptEnv {
    file: File,
    path: PathBuf,
    /// Whether the script runs as another user than this process.
    of_user: bool,
}

impl ScriptEnv {
    /// Creates the file for an attempt. `of_user`: whether the script runs as another user than this process.
    pub fn create(folder: &ScriptFolder, run: Id, of_user: bool) -> Result<Self> {
        let (file, path) = folder.create_file(&format!("script-env-{run}"))?;
        Ok(Self { file, path, of_user })
    }

    /// The value of [`VARIABLE`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The variables that the script has written.
    ///
    /// # Errors
    /// `ScriptUnrunnable` for a line that is not a variable, and for a variable that a script may not set.
    pub fn variables(&self) -> Result<BTreeMap<String, String>> {
        let meta = self.file.metadata().on("access", &self.path)?;
        if meta.nlink() == 0 {
            return Err(refused(format!("it replaced the file in ${VARIABLE}, so its variables are lost")));
        }
        let mut bytes = vec![0; LIMIT + 1];
        let mut length = 0;
        while length < bytes.len() {
            match self.file.read_at(&mut bytes[length..], length as u64).on("read", &self.path)? {
                0 => break,
                read => length += read,
            }
        }
        if length > LIMIT {
            return Err(refused(format!("it wrote more than {} KiB to ${VARIABLE}", LIMIT >> 10)));
        }
        let text = std::str::from_utf8(&bytes[..length])
            .map_err(|_| refused(format!("what it wrote to ${VARIABLE} is not UTF-8 text")))?;
        parse(text, self.of_user)
    }
}

impl Drop for ScriptEnv {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn refused(what: String) -> Error {
    Error::new(Code::ScriptUnrunnable, what)
        .hint(format!("write one line NAME=value for each variable: echo \"NAME=value\" >> \"${VARIABLE}\""))
}

fn parse(text: &str, of_user: bool) -> Result<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| refused(format!("line {} of what it wrote to ${VARIABLE} is not NAME=value", number + 1)))?;
        if name.starts_with("MOORLINE_") || name.starts_with("SEQ_") || (of_user && name.starts_with("LD_")) {
            return Err(refused(format!("it may not set {name} for the server")));
        }
        if value.contains('\0') {
            return Err(refused(format!("the value of {name} contains a NUL byte")));
        }
        variables.insert(name.to_owned(), value.to_owned());
    }
    Ok(variables)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// The variables of each script of `Init/` that has run.
type Kept = BTreeMap<String, BTreeMap<String, String>>;

fn file(volume: &Volume) -> PathBuf {
    volume.own().join("server.env")
}

fn load(volume: &Volume) -> Result<Kept> {
    let path = file(volume);
    let Some(text) = presence::read(&path)? else { return Ok(Kept::new()) };
    serde_json::from_slice(&text).map_err(|cause| {
        Error::new(Code::Unexpected, format!("{} is damaged: {cause}", path.display()))
            .hint("remove it, and run the scripts again that write to $MOORLINE_ENV: rename them from .done")
    })
}

/// Keeps the variables of a script of `Init/`, in place of those of its earlier run.
pub fn keep(volume: &Volume, script: &RelPath, variables: BTreeMap<String, String>) -> Result<()> {
    let mut kept = load(volume)?;
    let name = script.to_string();
    let is_new = if variables.is_empty() {
        kept.remove(&name).is_some()
    } else {
        kept.insert(name, variables.clone()).is_none_or(|before| before != variables)
    };
    if !is_new {
        return Ok(());
    }
    let text = serde_json::to_vec_pretty(&kept)
        .map_err(|cause| Error::new(Code::Bug, format!("cannot serialise server.env: {cause}")))?;
    durable::write(&file(volume), &text, 0o600)
}

/// The kept variables of all scripts. Of two scripts that set the same variable, the later one by name wins.
pub fn kept(volume: &Volume) -> Result<BTreeMap<String, String>> {
    Ok(load(volume)?.into_values().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_an_env_file() {
        let found = parse("# comment\n\nA=1\nB_2=x=y \nA=2\nEMPTY=\n", true).expect("is valid");
        let expected = [("A", "2"), ("B_2", "x=y "), ("EMPTY", "")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn what_a_script_may_not_set_is_refused() {
        for text in ["MOORLINE_USER=0", "SEQ_STORAGE_SECRETKEY=x", "LD_PRELOAD=x", "no equals", "1A=x", "A B=x", "=x"] {
            assert_eq!(parse(text, true).expect_err(text).code(), Code::ScriptUnrunnable, "{text}");
        }
        parse("LD_LIBRARY_PATH=/opt/lib", false).expect("a script of root may");
    }
}
