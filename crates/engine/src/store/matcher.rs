//! Which paths below the storage root belong to a [`Scope`].
//!
//! A matcher looks at names only. [`mod@super::survey`] leaves out files because of their *content*: backups, and the
//! sidecars of databases.

use std::ffi::OsString;

use globset::{GlobSet, GlobSetBuilder};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::prelude::*;
use profile::scope::{WILD, parsed};
use volume::OWN_NAMES;

/// A compiled [`Scope`].
#[derive(Debug, Clone)]
pub struct Matcher {
    discover: bool,
    sqlite: GlobSet,
    files: GlobSet,
    exclude: GlobSet,
    ignore: Gitignore,
    reach: Vec<Reach>,
}

impl Matcher {
    /// Compiles the globs of a scope. The error names the first invalid glob or line of `.moorlineignore`.
    pub fn of(scope: &Scope) -> Result<Self> {
        Ok(Self {
            discover: scope.discover,
            sqlite: globs("sqlite", &scope.sqlite)?,
            files: globs("files", &scope.files)?,
            exclude: globs("exclude", &scope.exclude)?,
            ignore: gitignore(&scope.ignore)?,
            reach: scope.sqlite.iter().chain(&scope.files).map(|glob| Reach::of(glob)).collect(),
        })
    }

    /// Whether a path of this kind is state.
    #[must_use]
    pub fn takes(&self, path: &RelPath, kind: PathKind) -> bool {
        !self.excludes(path, kind == PathKind::Directory) && self.wants(path, kind)
    }

    /// Whether a path is excluded, by itself or because a directory above it is.
    #[must_use]
    pub fn excludes(&self, path: &RelPath, is_dir: bool) -> bool {
        is_own(path)
            || from_the_top(path.as_path()).any(|part| self.excludes_itself(part, is_dir || part != path.as_path()))
    }

    /// Whether a glob for databases matches the path, so that the file must be a database.
    #[must_use]
    pub fn names_database(&self, path: &RelPath) -> bool {
        self.sqlite.is_match(path.as_path()) && !self.excludes(path, false)
    }

    /// Whether anything below this directory could be state, judging by names. If not, the walk skips it.
    #[must_use]
    pub fn reaches_below(&self, directory: &RelPath) -> bool {
        self.discover || self.reach.iter().any(|reach| reach.is_below(directory.as_path()))
    }

    /// As [`Self::excludes`], for a path whose directory is not excluded.
    #[must_use]
    pub fn excludes_here(&self, path: &RelPath, is_dir: bool) -> bool {
        is_own(path) || self.excludes_itself(path.as_path(), is_dir)
    }

    /// As [`Self::takes`], for a path that is not excluded.
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

/// The part of the volume in which a glob can match.
#[derive(Debug, Clone)]
struct Reach {
    /// The leading names that all matching paths share.
    names: Vec<OsString>,
    /// The maximum number of names in a matching path, if it is limited.
    depth: Option<usize>,
}

impl Reach {
    fn of(glob: &str) -> Self {
        let names = glob.trim_end_matches('/').split('/').take_while(|part| !part.contains(WILD)).map(OsString::from);
        // A plain name also stands for everything below it, and `**`, alternatives and classes can match at any depth.
        let endless =
            glob.ends_with('/') || !glob.contains(WILD) || glob.contains("**") || glob.contains(['[', '{', '\\']);
        Self { names: names.collect(), depth: (!endless).then(|| glob.split('/').count()) }
    }

    fn is_below(&self, directory: &Path) -> bool {
        self.depth.is_none_or(|depth| directory.iter().count() < depth)
            && directory.iter().zip(&self.names).all(|(part, name)| part == name)
    }
}

/// Whether the path belongs to moorline or the file system. Only names at the storage root can.
pub(crate) fn is_own(path: &RelPath) -> bool {
    OWN_NAMES.iter().any(|own| path.first() == *own)
}

/// `a`, `a/b`, `a/b/c`, because, as in git, an excluded directory excludes everything below it.
fn from_the_top(path: &Path) -> impl Iterator<Item = &Path> {
    let mut parts: Vec<_> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    parts.reverse();
    parts.into_iter()
}

fn globs(member: &str, globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        for glob in parsed(member, glob)? {
            set.add(glob);
        }
    }
    set.build().map_err(|cause| Error::usage(format!("the globs in `{member}` are invalid: {cause}")))
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
            return Err(Error::usage(format!("line {number} of .moorlineignore, `{line}`, is invalid: {why}")));
        }
    }
    builder.build().map_err(|cause| Error::usage(format!(".moorlineignore is invalid: {cause}")))
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
        let matcher = Matcher::of(scope).expect("compiles");
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
    fn a_plain_name_includes_everything_below_it() {
        let scope = Scope { files: strings(&["conf", "x*/"]), ..Scope::default() };
        assert_eq!(taken(&scope, &["conf", "conf/a/b", "config", "xy/a/b", "y"]), ["conf", "conf/a/b", "xy/a/b"]);
    }

    #[test]
    fn exclude_wins_and_covers_everything_below() {
        let scope = Scope { files: strings(&["**"]), exclude: strings(&["media", "log/**/*.gz"]), ..Scope::default() };
        let paths = ["media", "media/a/b", "mediaz", "log/a.gz", "log/x/y.gz", "log/x"];
        assert_eq!(taken(&scope, &paths), ["mediaz", "log/x"]);
    }

    #[test]
    fn own_names_are_never_taken_at_the_root() {
        let scope = Scope { files: strings(&["**", "Init/x", ".moorline/**"]), ..Scope::everything() };
        let paths = [".moorline/secret.key", "Init/x", "Backups/b", "lost+found/1", "app/Init/x", "Initial"];
        assert_eq!(taken(&scope, &paths), ["app/Init/x", "Initial"]);
    }

    #[test]
    fn ignore_lines_have_the_syntax_of_git() {
        let ignore =
            strings(&["# comment", "", "*.log", "!keep.log", "/cache/", "build/", "!build/x", "a/**/b", "\\#x"]);
        let scope = Scope { ignore, ..Scope::everything() };
        let paths = ["x.log", "d/x.log", "d/keep.log", "cache/y", "d/cache/y", "d/build/x", "a/q/r/b", "#x", "build"];
        assert_eq!(taken(&scope, &paths), ["d/keep.log", "d/cache/y", "build"]);
    }

    #[test]
    fn a_glob_for_databases_takes_only_databases() {
        let matcher = Matcher::of(&Scope { sqlite: strings(&["*.db"]), ..Scope::default() }).expect("compiles");
        assert!(matcher.takes(&path("x.db"), PathKind::Database));
        assert!(!matcher.takes(&path("x.db"), PathKind::Directory));
    }

    #[test]
    fn directories_without_possible_matches_are_skipped() {
        let reaches = |glob: &str, directory: &str| {
            let matcher = Matcher::of(&Scope { files: strings(&[glob]), ..Scope::default() }).expect("compiles");
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
        assert!(Matcher::of(&Scope::everything()).expect("compiles").reaches_below(&path("x")));
    }

    proptest::proptest! {
        #[test]
        fn every_taken_path_is_reachable(glob in "[ab*?/{},\\[\\]\\\\]{1,12}", name in "[ab]{1,2}(/[ab]{1,2}){0,4}") {
            let scope = Scope { files: vec![glob], ..Scope::default() };
            if let Ok(matcher) = Matcher::of(&scope) && matcher.takes(&path(&name), PathKind::File) {
                let mut above = path(&name).parent();
                while let Some(directory) = above {
                    proptest::prop_assert!(matcher.reaches_below(&directory), "{directory}");
                    above = directory.parent();
                }
            }
        }
    }

    #[test]
    fn names_that_are_not_utf8_match() {
        let matcher = Scope { files: strings(&["d/*"]), exclude: strings(&["d/x*"]), ..Scope::default() };
        let matcher = Matcher::of(&matcher).expect("compiles");
        let name = |bytes: &[u8]| RelPath::new(OsStr::from_bytes(bytes)).expect("a plain path");
        assert!(matcher.takes(&name(b"d/caf\xe9\n"), PathKind::File));
        assert!(!matcher.takes(&name(b"d/x\xe9\n"), PathKind::File));
    }

    #[test]
    fn a_named_file_matches_literally() {
        let scope = Scope::default().and_files(&[path("a/[x]*?{y}.quarantined")]);
        let paths = ["a/[x]*?{y}.quarantined", "a/[x]*?{y}.quarantined/b/c", "a/x1zy.quarantined"];
        assert_eq!(taken(&scope, &paths), paths[..2]);
    }

    #[test]
    fn the_error_names_the_invalid_glob() {
        for bad in ["/etc/x", "../x", "a//b", "", "/", "a[", "./a", "{a"] {
            let error = Matcher::of(&Scope { files: strings(&[bad]), ..Scope::default() }).expect_err(bad);
            assert_eq!(error.code(), volume::error::Code::Usage);
            assert!(error.message().contains(&format!("`{bad}` in `files`")), "{error}");
        }
        let error =
            Matcher::of(&Scope { ignore: strings(&["fine", "x[", "fine"]), ..Scope::default() }).expect_err("bad");
        assert!(error.message().contains("line 2 of .moorlineignore, `x[`"), "{error}");
    }

    #[test]
    fn a_scope_survives_json() {
        let scope = Scope { sqlite: strings(&["a.db"]), ignore: strings(&["x"]), ..Scope::everything() };
        let json = serde_json::to_string(&scope).expect("serialises");
        assert_eq!(serde_json::from_str::<Scope>(&json).expect("parses"), scope);
    }

    fn ignoring(text: &[u8]) -> Result<Matcher> {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(profile::discovery::IGNORE_FILE), text).expect("writes");
        Matcher::of(&profile::discovery::discovered(dir.path())?)
    }

    fn takes_file(matcher: &Matcher, text: &str) -> bool {
        matcher.takes(&path(text), PathKind::File)
    }

    #[test]
    fn an_ignore_file_with_bom_and_crlf_is_read() {
        let matcher = ignoring(b"\xef\xbb\xbfcache/\r\n*.tmp\r\n").expect("reads");
        assert!(!takes_file(&matcher, "cache/x") && !takes_file(&matcher, "a.tmp") && takes_file(&matcher, "a"));
    }

    #[test]
    fn the_error_names_the_number_of_the_invalid_line() {
        let error = ignoring(b"# caches\n\n[z-a]\n").expect_err("refuses");
        assert_eq!(error.code(), volume::error::Code::Usage);
        assert!(error.message().contains("line 3"), "{error}");
    }
}
