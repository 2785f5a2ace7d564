//! Which paths below the storage root are state.
//!
//! ```text
//! state  =  (sqlite globs ∪ files globs ∪ everything, if discovering)
//!           − exclude globs − .moorlineignore − moorline's own files
//! ```
//! In a glob, `*` and `?` do not match a `/`; `**` does. A glob without wildcards that names a directory, and a glob
//! that ends in `/`, stand for everything in the directory. Excluding a directory excludes everything below it.
//!
//! This file holds the globs as they are written and checks their syntax. `engine::store::Matcher` matches paths
//! against them, because matching needs a regular expression engine, which PID 1 must not link.

use globset::{Glob, GlobBuilder};
use serde::{Deserialize, Serialize};

use seqbac_header::RelPath;
use volume::{
    OWN_NAMES,
    error::{Error, Result},
};

/// The stores of a profile, in the form in which profiles and manifests of backups contain them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Every file is state. A SQLite database is recognised by its header.
    pub discover: bool,
    /// Globs of databases.
    pub sqlite: Vec<String>,
    /// Globs of files. A matching file that is a database is nevertheless read through SQLite.
    pub files: Vec<String>,
    /// Globs of excluded paths. They win over all others.
    pub exclude: Vec<String>,
    /// The lines of `.moorlineignore`, in gitignore syntax.
    pub ignore: Vec<String>,
}

/// The characters that make a path a glob.
pub const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

/// The type of a file on the volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PathKind {
    /// A SQLite database.
    Database,
    /// Any other regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl Scope {
    /// Everything that is not moorline's own: the state of a server without a profile.
    #[must_use]
    pub fn everything() -> Self {
        Self { discover: true, ..Self::default() }
    }

    /// Adds files, and directories with everything in them, by their literal names. Excluded paths stay excluded.
    #[must_use]
    pub fn and_files(&self, paths: &[RelPath]) -> Self {
        // A name that is not UTF-8 cannot be written as a glob. Only discovery includes such a file.
        let globs = paths.iter().filter_map(|path| path.as_path().to_str()).map(|path| globset::escape(path) + "/");
        Self { files: self.files.iter().cloned().chain(globs).collect(), ..self.clone() }
    }

    /// Excludes files, and directories with everything in them, by their literal names.
    #[must_use]
    pub fn without(&self, paths: &[RelPath]) -> Self {
        let globs = paths.iter().filter_map(|path| path.as_path().to_str()).map(|path| globset::escape(path) + "/");
        Self { exclude: self.exclude.iter().cloned().chain(globs).collect(), ..self.clone() }
    }

    /// Checks the syntax of the globs. The error names the first invalid one.
    pub fn check_globs(&self) -> Result<()> {
        for (member, globs) in [("sqlite", &self.sqlite), ("files", &self.files), ("exclude", &self.exclude)] {
            globs.iter().try_for_each(|glob| parsed(member, glob).map(drop))?;
        }
        Ok(())
    }

    /// The databases that are named without a wildcard. Each of them must exist.
    pub fn named_databases(&self) -> impl Iterator<Item = RelPath> {
        self.sqlite.iter().filter_map(|glob| plain(glob))
    }
}

/// The glob as a path, if it has no wildcards.
#[must_use]
pub fn plain(glob: &str) -> Option<RelPath> {
    if glob.contains(WILD) { None } else { RelPath::new(glob.trim_end_matches('/')).ok() }
}

/// Whether a glob can match only files of moorline or of the file system.
#[must_use]
pub(crate) fn is_own_glob(glob: &str) -> bool {
    glob.split('/').next().is_some_and(|first| OWN_NAMES.contains(&first))
}

/// Parses a glob: the glob itself, and `glob/**` if it can name a directory. The error names the glob.
pub fn parsed(member: &str, glob: &str) -> Result<Vec<Glob>> {
    let refused = |why: &str| Error::usage(format!("the glob `{glob}` in `{member}` is invalid: {why}"));
    let plain = glob.trim_end_matches('/');
    if plain.is_empty() || plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(refused("it must be relative to the storage root, without `.` and `..`"));
    }
    let below = (plain.len() < glob.len() || !plain.contains(WILD)).then(|| format!("{plain}/**"));
    let texts = std::iter::once(plain.to_owned()).chain(below);
    let parse = |text: String| GlobBuilder::new(&text).literal_separator(true).backslash_escape(true).build();
    texts.map(|text| parse(text).map_err(|cause| refused(&cause.kind().to_string()))).collect()
}
