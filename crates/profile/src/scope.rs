//! Which paths below the storage root are state.
//!
//! ```text
//! taken  =  (sqlite globs ∪ files globs ∪ everything, where discovering)
//!           − exclude globs − .moorlineignore − what is ours
//! ```
//! In a glob `*` and `?` do not cross a `/`, `**` does. A glob without wildcards that names a directory stands for all
//! in it, and so does one that ends in `/`. What is excluded is excluded with all below it.
//!
//! This file knows names only. What is never captured because of its *content* (backups, the sidecars of databases) is
//! the business of [`mod@super::survey`].

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};
use std::{ffi::OsString, path::Path};

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
const WILD: [char; 5] = ['*', '?', '[', '{', '\\'];

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

/// A [`Scope`] ready to be asked.
#[derive(Debug, Clone)]
pub struct Matcher {
    discover: bool,
    sqlite: GlobSet,
    files: GlobSet,
    exclude: GlobSet,
    ignore: Gitignore,
    reach: Vec<Reach>,
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

    /// Compiles the globs.
    ///
    /// # Errors
    /// `Usage` for a glob that makes no sense, which it names.
    pub fn compile(&self) -> Result<Matcher> {
        Ok(Matcher {
            discover: self.discover,
            sqlite: globs("sqlite", &self.sqlite)?,
            files: globs("files", &self.files)?,
            exclude: globs("exclude", &self.exclude)?,
            ignore: gitignore(&self.ignore)?,
            reach: self.sqlite.iter().chain(&self.files).map(|glob| Reach::of(glob)).collect(),
        })
    }

    /// The databases that are named, not found by a wildcard: each must be there.
    pub fn named_databases(&self) -> impl Iterator<Item = RelPath> {
        self.sqlite.iter().filter_map(|glob| plain(glob))
    }
}

impl Matcher {
    /// Whether a path of this kind is state.
    #[must_use]
    pub fn takes(&self, path: &RelPath, kind: PathKind) -> bool {
        !self.excludes(path, kind == PathKind::Directory) && self.wants(path, kind)
    }

    /// Whether a path is left out, by itself or with a directory that it is in.
    #[must_use]
    pub fn excludes(&self, path: &RelPath, is_dir: bool) -> bool {
        is_own(path)
            || from_the_top(path.as_path()).any(|part| self.excludes_itself(part, is_dir || part != path.as_path()))
    }

    /// Whether the profile names the path as a database, so that it must be one.
    #[must_use]
    pub fn names_database(&self, path: &RelPath) -> bool {
        self.sqlite.is_match(path.as_path()) && !self.excludes(path, false)
    }

    /// Whether anything below this directory could be state, going by names; else there is no need to look.
    #[must_use]
    pub fn reaches_below(&self, directory: &RelPath) -> bool {
        self.discover || self.reach.iter().any(|reach| reach.is_below(directory.as_path()))
    }

    /// As [`Self::excludes`], for a path whose directory is known not to be excluded.
    #[must_use]
    pub fn excludes_here(&self, path: &RelPath, is_dir: bool) -> bool {
        is_own(path) || self.excludes_itself(path.as_path(), is_dir)
    }

    /// As [`Self::takes`], for a path that is known not to be excluded.
    #[must_use]
    pub fn wants(&self, path: &RelPath, kind: PathKind) -> bool {
        self.discover
            || self.files.is_match(path.as_path())
            || (kind == PathKind::Database && self.sqlite.is_match(path.as_path()))
    }

    fn excludes_itself(&self, path: &Path, is_dir: bool) -> bool {
        self.exclude.is_match(path) || self.ignore.matched(path, is_dir).is_ignore()
    }
}

/// Where the paths are that a glob can match.
#[derive(Debug, Clone)]
struct Reach {
    /// The directories that all of them are in.
    names: Vec<OsString>,
    /// How many names they have at most, where that is known.
    depth: Option<usize>,
}

impl Reach {
    fn of(glob: &str) -> Self {
        let names = glob.trim_end_matches('/').split('/').take_while(|part| !part.contains(WILD)).map(OsString::from);
        // What a name alone stands for, and what `**`, an alternative or a class may match, has no end.
        let endless =
            glob.ends_with('/') || !glob.contains(WILD) || glob.contains("**") || glob.contains(['[', '{', '\\']);
        Self { names: names.collect(), depth: (!endless).then(|| glob.split('/').count()) }
    }

    fn is_below(&self, directory: &Path) -> bool {
        self.depth.is_none_or(|depth| directory.iter().count() < depth)
            && directory.iter().zip(&self.names).all(|(part, name)| part == name)
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

/// Ours, or the file system's: at the storage root only.
fn is_own(path: &RelPath) -> bool {
    OWN_NAMES.iter().any(|own| path.first() == *own)
}

/// `a`, `a/b`, `a/b/c`. As in git, what is in an excluded directory cannot be taken back in.
fn from_the_top(path: &Path) -> impl Iterator<Item = &Path> {
    let mut parts: Vec<_> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    parts.into_iter()
}

fn globs(member: &str, globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let refused = |why: &str| Error::usage(format!("the glob `{glob}` in `{member}` makes no sense: {why}"));
        let plain = glob.trim_end_matches('/');
        if plain.is_empty() || plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refused("it must be relative to the storage root, without `.` and `..`"));
        }
        let mut add = |text: &str| -> Result<()> {
            let compiled = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
            set.add(compiled.map_err(|cause| refused(&cause.kind().to_string()))?);
            Ok(())
        };
        add(plain)?;
        if plain.len() < glob.len() || !plain.contains(WILD) {
            add(&format!("{plain}/**"))?;
        }
    }
    set.build().map_err(|cause| Error::usage(format!("the globs in `{member}` make no sense: {cause}")))
}

fn gitignore(lines: &[String]) -> Result<Gitignore> {
    let mut builder = GitignoreBuilder::new(".");
    builder.allow_unclosed_class(false);
    for (number, line) in (1..).zip(lines) {
        if let Err(cause) = builder.add_line(None, line) {
            let why = match cause {
                ignore::Error::Glob { err, .. } => err,
                other => other.to_string(),
            };
            return Err(Error::usage(format!("line {number} of .moorlineignore, `{line}`, makes no sense: {why}")));
        }
    }
    builder.build().map_err(|cause| Error::usage(format!(".moorlineignore makes no sense: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    fn path(text: &str) -> RelPath {
        RelPath::new(text).expect("a plain path")
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn taken(scope: &Scope, paths: &[&str]) -> Vec<String> {
        let matcher = scope.compile().expect("compiles");
        let taken = paths.iter().filter(|text| matcher.takes(&path(text), PathKind::File));
        taken.map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_star_does_not_cross_a_slash_and_two_do() {
        let scope = Scope { files: strings(&["*.yaml", "conf/**", "a/**/z"]), ..Scope::default() };
        let paths = ["x.yaml", "d/x.yaml", "conf/a", "conf/a/b", "conf", "a/z", "a/b/c/z", "z"];
        assert_eq!(taken(&scope, &paths), ["x.yaml", "conf/a", "conf/a/b", "a/z", "a/b/c/z"]);
    }

    #[test]
    fn a_plain_name_stands_for_all_in_it() {
        let scope = Scope { files: strings(&["conf", "x*/"]), ..Scope::default() };
        assert_eq!(taken(&scope, &["conf", "conf/a/b", "config", "xy/a/b", "y"]), ["conf", "conf/a/b", "xy/a/b"]);
    }

    #[test]
    fn exclude_wins_with_all_below() {
        let scope = Scope { files: strings(&["**"]), exclude: strings(&["media", "log/**/*.gz"]), ..Scope::default() };
        let paths = ["media", "media/a/b", "mediaz", "log/a.gz", "log/x/y.gz", "log/x"];
        assert_eq!(taken(&scope, &paths), ["mediaz", "log/x"]);
    }

    #[test]
    fn ours_is_never_taken_but_only_at_the_root() {
        let scope = Scope { files: strings(&["**", "Init/x", ".moorline/**"]), ..Scope::everything() };
        let paths = [".moorline/secret.key", "Init/x", "Backups/b", "lost+found/1", "app/Init/x", "Initial"];
        assert_eq!(taken(&scope, &paths), ["app/Init/x", "Initial"]);
    }

    #[test]
    fn ignore_lines_are_gits() {
        let ignore =
            strings(&["# comment", "", "*.log", "!keep.log", "/cache/", "build/", "!build/x", "a/**/b", "\\#x"]);
        let scope = Scope { ignore, ..Scope::everything() };
        let paths = ["x.log", "d/x.log", "d/keep.log", "cache/y", "d/cache/y", "d/build/x", "a/q/r/b", "#x", "build"];
        assert_eq!(taken(&scope, &paths), ["d/keep.log", "d/cache/y", "build"]);
    }

    #[test]
    fn only_a_database_is_taken_by_a_glob_of_databases() {
        let matcher = Scope { sqlite: strings(&["*.db"]), ..Scope::default() }.compile().expect("compiles");
        assert!(matcher.takes(&path("x.db"), PathKind::Database));
        assert!(!matcher.takes(&path("x.db"), PathKind::Directory));
    }

    #[test]
    fn where_no_glob_leads_nobody_looks() {
        let reaches = |glob: &str, directory: &str| {
            let matcher = Scope { files: strings(&[glob]), ..Scope::default() }.compile().expect("compiles");
            matcher.reaches_below(&path(directory))
        };
        for (glob, directory) in
            [("a/b/*.db", "a"), ("a/b/*.db", "a/b"), ("a/**", "a/b/c"), ("a", "a/b"), ("*/", "x/y")]
        {
            assert!(reaches(glob, directory), "{glob} {directory}");
        }
        for (glob, directory) in [("a/b/*.db", "b"), ("a/b/*.db", "a/c"), ("*.db", "a"), ("*/x", "a/b"), ("a/**", "b")]
        {
            assert!(!reaches(glob, directory), "{glob} {directory}");
        }
        assert!(Scope::everything().compile().expect("compiles").reaches_below(&path("x")));
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_is_where_a_glob_leads(glob in "[ab*?/{},\\[\\]\\\\]{1,12}", name in "[ab]{1,2}(/[ab]{1,2}){0,4}") {
            let scope = Scope { files: vec![glob], ..Scope::default() };
            if let Ok(matcher) = scope.compile() && matcher.takes(&path(&name), PathKind::File) {
                let mut above = path(&name).parent();
                while let Some(directory) = above {
                    proptest::prop_assert!(matcher.reaches_below(&directory), "{directory}");
                    above = directory.parent();
                }
            }
        }
    }

    #[test]
    fn names_in_any_bytes_match() {
        let matcher = Scope { files: strings(&["d/*"]), exclude: strings(&["d/x*"]), ..Scope::default() };
        let matcher = matcher.compile().expect("compiles");
        let name = |bytes: &[u8]| RelPath::new(OsStr::from_bytes(bytes)).expect("a plain path");
        assert!(matcher.takes(&name(b"d/caf\xe9\n"), PathKind::File));
        assert!(!matcher.takes(&name(b"d/x\xe9\n"), PathKind::File));
    }

    #[test]
    fn a_file_that_is_named_is_that_file_alone() {
        let scope = Scope::default().and_files(&[path("a/[x]*?{y}.quarantined")]);
        let paths = ["a/[x]*?{y}.quarantined", "a/[x]*?{y}.quarantined/b/c", "a/x1zy.quarantined"];
        assert_eq!(taken(&scope, &paths), paths[..2]);
    }

    #[test]
    fn a_bad_glob_is_named() {
        for bad in ["/etc/x", "../x", "a//b", "", "/", "a[", "./a", "{a"] {
            let error = Scope { files: strings(&[bad]), ..Scope::default() }.compile().expect_err(bad);
            assert_eq!(error.code(), volume::error::Code::Usage);
            assert!(error.message().contains(&format!("`{bad}` in `files`")), "{error}");
        }
        let error = Scope { ignore: strings(&["fine", "x[", "fine"]), ..Scope::default() }.compile().expect_err("bad");
        assert!(error.message().contains("line 2 of .moorlineignore, `x[`"), "{error}");
    }

    #[test]
    fn a_scope_survives_json() {
        let scope = Scope { sqlite: strings(&["a.db"]), ignore: strings(&["x"]), ..Scope::everything() };
        let json = serde_json::to_string(&scope).expect("serialises");
        assert_eq!(serde_json::from_str::<Scope>(&json).expect("parses"), scope);
    }
}
