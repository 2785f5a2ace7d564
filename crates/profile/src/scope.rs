//! Which paths below the storage root are state.
//!
//! ```text
//! taken  =  (sqlite globs ∪ files globs ∪ everything, where discovering)
//!           − exclude globs − .moorlineignore − what is ours
//! ```
//! In a glob `*` and `?` do not cross a `/`, `**` does. A glob without wildcards that names a directory stands for all
//! in it, and so does one that ends in `/`. What is excluded is excluded with all below it.
//!
//! This file holds the globs as they are written and checks their syntax. Matching paths against them needs a regular
//! expression engine, which PID 1 does without: that is `engine::store::Matcher`.

use globset::{Glob, GlobBuilder};
use serde::{Deserialize, Serialize};

use seqbac_header::RelPath;
use volume::{
    OWN_NAMES,
    error::{Error, Result},
};

/// The stores of a profile, as they are written down in it and in a backup's manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// Every SQLite database, told by its header, and every other file.
    pub discover: bool,
    /// Globs of databases.
    pub sqlite: Vec<String>,
    /// Globs of files. A file among them that turns out to be a database is read through SQLite all the same.
    pub files: Vec<String>,
    /// Globs of what is left out, whatever the others say.
    pub exclude: Vec<String>,
    /// The lines of `.moorlineignore`, in the syntax of gitignore.
    pub ignore: Vec<String>,
}

/// What makes a glob of a path.
pub const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

/// What a path is.
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
    /// Everything that is not ours: the state of a server that nobody has described.
    #[must_use]
    pub fn everything() -> Self {
        Self { discover: true, ..Self::default() }
    }

    /// The same, and these files besides, or directories with all in them, whatever is in their names. What is excluded
    /// stays excluded.
    #[must_use]
    pub fn and_files(&self, paths: &[RelPath]) -> Self {
        // A name that is no UTF-8 cannot be written as a glob; discovery takes it all the same.
        let globs = paths.iter().filter_map(|path| path.as_path().to_str()).map(|path| globset::escape(path) + "/");
        Self { files: self.files.iter().cloned().chain(globs).collect(), ..self.clone() }
    }

    /// Checks the syntax of the globs.
    ///
    /// # Errors
    /// `Usage`, naming the first glob that is invalid.
    pub fn check_globs(&self) -> Result<()> {
        for (member, globs) in [("sqlite", &self.sqlite), ("files", &self.files), ("exclude", &self.exclude)] {
            globs.iter().try_for_each(|glob| parsed(member, glob).map(drop))?;
        }
        Ok(())
    }

    /// The databases that are named, not found by a wildcard: each must be there.
    pub fn named_databases(&self) -> impl Iterator<Item = RelPath> {
        self.sqlite.iter().filter_map(|glob| plain(glob))
    }
}

/// The path that a glob without wildcards is.
#[must_use]
pub fn plain(glob: &str) -> Option<RelPath> {
    if glob.contains(WILD) { None } else { RelPath::new(glob.trim_end_matches('/')).ok() }
}

/// Whether all that a glob can match is ours, or the file system's.
#[must_use]
pub fn is_own_glob(glob: &str) -> bool {
    glob.split('/').next().is_some_and(|first| OWN_NAMES.contains(&first))
}

/// A glob as it is parsed: itself, and everything below it if it names a directory.
///
/// # Errors
/// `Usage` for a glob that is invalid, which it names.
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
