//! The globs of steps: which files they match below a root, never moorline's own files, and never outside the root
//! through a link.
//!
//! `*` and `?` do not match a `/`, `**` does. A glob matches whole paths: one that names a directory means the
//! directory, not its content. Files that quarantine renamed (`….quarantined`) never match.

use std::{fs::FileType, os::unix::ffi::OsStrExt};

use globset::{GlobBuilder, GlobMatcher};

use crate::{
    prelude::*,
    store::{child, is_own},
};

pub const SUFFIX: &str = ".quarantined";

/// The regular files that `glob` matches, sorted. A link counts as the file below `root` that it points to. Fails with
/// `AppsUnknown` for a link that points out of `root` or to nothing; `Usage` for an invalid glob.
pub fn files(root: &Path, glob: &str) -> Result<Vec<RelPath>> {
    let mut files = Vec::new();
    for (path, kind) in entries(root, glob, Directories::Entered)? {
        if kind.is_file() {
            files.push(path);
        } else if kind.is_symlink() {
            files.extend(link_target(root, &path)?);
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Directories {
    /// It is a match, and is not entered.
    Whole,
    /// It is not a match, but is entered.
    Entered,
}

/// All paths that `glob` matches, with their file types, sorted.
pub fn entries(root: &Path, glob: &str, directories: Directories) -> Result<Vec<(RelPath, FileType)>> {
    let glob = Glob::new(glob)?;
    let mut found = Vec::new();
    let Some((start, depth)) = glob.start(root)? else { return Ok(found) };
    let mut open = vec![(start, depth)];
    while let Some((directory, depth)) = open.pop() {
        let full = directory.as_ref().map_or_else(|| root.to_owned(), |path| path.under(root));
        for entry in fs::read_dir(&full).on("list", &full)? {
            let entry = entry.on("list", &full)?;
            let path = child(directory.as_ref(), &entry.file_name())?;
            let kind = match entry.file_type() {
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                other => other.on("access", &path.under(root))?,
            };
            let enters = kind.is_dir() && directories == Directories::Entered;
            if is_own(&path) || is_aside(&path) {
                continue;
            }
            if !enters && glob.matcher.is_match(path.as_path()) {
                found.push((path, kind));
            } else if kind.is_dir() && glob.levels.is_none_or(|levels| depth + 1 < levels) {
                open.push((Some(path), depth + 1));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// Whether `glob` matches nothing, neither a file nor a link nor a directory.
pub fn is_nothing(root: &Path, glob: &str) -> Result<bool> {
    Ok(entries(root, glob, Directories::Whole)?.is_empty() && entries(root, glob, Directories::Entered)?.is_empty())
}

/// Refuses a link to a database, because we never open a database through a link and must not report it as missing.
pub fn refuse_link(root: &Path, glob: &str) -> Result<()> {
    let Some((path, _)) = entries(root, glob, Directories::Entered)?.into_iter().find(|(_, kind)| kind.is_symlink())
    else {
        return Ok(());
    };
    let what = format!("{path} is a link, and moorline does not open databases through links");
    Err(Error::new(Code::AppsUnknown, what).hint("in the profile, name the file that it points to"))
}

/// Whether every directory above `path` exists and is not a link.
pub fn is_reached(root: &Path, path: &RelPath) -> Result<bool> {
    let mut above = path.parent();
    while let Some(directory) = above {
        if !presence::entry(&directory.under(root))?.is_some_and(|meta| meta.is_dir()) {
            return Ok(false);
        }
        above = directory.parent();
    }
    Ok(true)
}

pub fn missing(glob: &str) -> Error {
    Error::new(Code::AppsUnknown, format!("there is no file {glob}"))
        .hint("correct the path in the profile; if some servers do not have the file, set `optional = true`")
}

struct Glob<'a> {
    text: &'a str,
    matcher: GlobMatcher,
    /// How many names deep the matches are, if that is certain.
    levels: Option<usize>,
}

impl<'a> Glob<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let refused = |why: &str| Error::usage(format!("the glob `{text}` is invalid: {why}"));
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refused("it must be relative to the storage root, without `.` and `..`"));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build();
        let matcher = glob.map_err(|cause| refused(&cause.kind().to_string()))?.compile_matcher();
        let certain = !text.contains("**") && !text.contains('{');
        Ok(Self { text, matcher, levels: certain.then(|| text.split('/').count()) })
    }

    /// The directory that contains all matches, with its depth; `None` if it does not exist. Fails with `AppsUnknown`
    /// if a link is on the way there, because we would miss everything behind it.
    fn start(&self, root: &Path) -> Result<Option<(Option<RelPath>, usize)>> {
        let mut start: Option<RelPath> = None;
        let mut depth = 0;
        let mut parts = self.text.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() || part.contains(['*', '?', '[', '{', '\\']) {
                break;
            }
            let Ok(next) = child(start.as_ref(), part.as_ref()) else { return Ok(None) };
            let kind = presence::entry(&next.under(root))?.map(|meta| meta.file_type());
            if kind.as_ref().is_some_and(FileType::is_symlink) {
                let what = format!("{next} is a link, and steps do not follow links to folders");
                return Err(
                    Error::new(Code::AppsUnknown, what).hint("in the profile, name the folder that it points to")
                );
            }
            if !kind.is_some_and(|kind| kind.is_dir()) || is_own(&next) {
                return Ok(None);
            }
            start = Some(next);
            depth += 1;
        }
        Ok(Some((start, depth)))
    }
}

fn link_target(root: &Path, link: &RelPath) -> Result<Option<RelPath>> {
    let root = root.canonicalize().on("access", root)?;
    let full = link.under(&root);
    let unusable = |why: &str| {
        Error::new(Code::AppsUnknown, format!("{link} is a link that points {why}"))
            .hint("name the file itself in the profile, or put it in the link's place")
    };
    let target = match full.canonicalize() {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(unusable("to nothing")),
        other => other.on("follow the link", &full)?,
    };
    let below = target.strip_prefix(&root).map_err(|_| unusable("out of the volume"))?;
    let path = RelPath::new(below).map_err(|_| unusable("to the storage root"))?;
    if is_own(&path) {
        return Err(unusable("to one of moorline's own files"));
    }
    Ok(presence::is_file(&target)?.then_some(path))
}

fn is_aside(path: &RelPath) -> bool {
    let name = path.as_path().file_name().unwrap_or_default().as_bytes();
    let number = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let name = name.get(..name.len() - number).unwrap_or_default();
    let name = if number > 0 { name.strip_suffix(b"-").unwrap_or_default() } else { name };
    name.ends_with(SUFFIX.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, file).expect("written");
        }
        folder
    }

    fn found(root: &Path, glob: &str) -> Vec<String> {
        files(root, glob).expect("a glob").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_glob_matches_files_at_its_depth() {
        let tree = tree(&["a.json", "b/a.json", "b/c/a.json", "b/c/d.json", "Init/a.json", ".moorline/a.json", "x/y"]);
        let root = tree.path();
        assert_eq!(found(root, "a.json"), ["a.json"]);
        assert_eq!(found(root, "*/a.json"), ["b/a.json"]);
        assert_eq!(found(root, "b/*/*.json"), ["b/c/a.json", "b/c/d.json"]);
        assert_eq!(found(root, "**/a.json"), ["a.json", "b/a.json", "b/c/a.json"]);
        assert_eq!(found(root, "{b/c,x}/*"), ["b/c/a.json", "b/c/d.json", "x/y"]);
        assert_eq!(found(root, "b"), [""; 0], "a directory is not a file");
        assert_eq!(found(root, ".moorline/*"), [""; 0]);
        assert_eq!(found(root, "nowhere/*"), [""; 0]);
        assert_eq!(found(root, "a.json/*"), [""; 0]);
    }

    #[test]
    fn a_directory_is_matched_as_a_whole() {
        let tree = tree(&["hooks/a", "hooks/d/b", "other"]);
        let paths = |glob| {
            let entries = entries(tree.path(), glob, Directories::Whole).expect("a glob");
            entries.into_iter().map(|(path, kind)| (path.to_string(), kind.is_dir())).collect::<Vec<_>>()
        };
        assert_eq!(paths("hooks"), [("hooks".to_owned(), true)]);
        assert_eq!(paths("hooks/**"), [("hooks/a".to_owned(), false), ("hooks/d".to_owned(), true)]);
    }

    #[test]
    fn quarantined_files_never_match() {
        let tree = tree(&["a.quarantined", "a.quarantined-2", "a.quarantined-x", "d.quarantined/a", "a", "b-2"]);
        assert_eq!(found(tree.path(), "**"), ["a", "a.quarantined-x", "b-2"]);
    }

    #[test]
    fn a_link_is_followed_only_within_the_root() {
        let (tree, outside) = (tree(&["real/a.json"]), tree(&["secret.json"]));
        let root = tree.path();
        symlink("real/a.json", root.join("in.json")).expect("a link");
        symlink("../real", root.join("real/loop")).expect("a link");
        assert_eq!(found(root, "in.json"), ["real/a.json"]);
        assert_eq!(found(root, "**/a.json"), ["real/a.json"]);
        let error = files(root, "real/loop/a.json").expect_err("a link is on the way");
        assert!(error.message().contains("real/loop is a link"), "{error}");
        symlink(outside.path().join("secret.json"), root.join("out.json")).expect("a link");
        symlink("nothing", root.join("nothing.json")).expect("a link");
        for (glob, why) in [("out.json", "out of the volume"), ("nothing.json", "to nothing")] {
            let error = files(root, glob).expect_err(glob);
            assert_eq!(error.code(), Code::AppsUnknown);
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn an_invalid_glob_is_named() {
        for bad in ["/etc/x", "../x", "a//b", "", "a[", "./a", "a/"] {
            let error = files(Path::new("/"), bad).expect_err(bad);
            assert!(error.message().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
