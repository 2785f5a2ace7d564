//! Steps that rename whole files to `<name>.quarantined`, and optionally write a replacement.
//!
//! ```text
//! prepare    which files, and the name that each gets                changes nothing
//! commit     rename x to x.quarantined; write the content as x       either may be done already
//! release    rename x.quarantined to x                               if x is still the replacement
//! ```
//! Invariants: we never overwrite or remove anything but quarantine's own replacement, and the existing files alone
//! determine the next step, so that everything can be repeated after a crash. If a name is taken, a number is appended:
//! release always brings back the file that was renamed first. Without content, a directory that the glob names is renamed
//! as a whole; an empty one counts as missing, because servers create the folders that they miss.

use std::collections::HashSet;

use super::{
    AppRecord, Before, Outcome,
    paths::{self, Directories, SUFFIX},
};
use crate::{prelude::*, store::is_database};
use profile::step::Files;

/// The longest file name on Linux's file systems, in bytes.
const LONGEST_NAME: usize = 255;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedFile {
    pub path: RelPath,
    pub kept: RelPath,
}

/// The state of the original path of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FileState {
    Missing,
    AsLeft,
    Other,
}

/// Finds the files of the step, and returns its apps: one, or none. Entries in `before` are kept. Call it before this
/// process opens any database, because it reads headers.
pub fn prepare(
    root: &Path,
    step: &str,
    files: &Files,
    optional: bool,
    before: Vec<AppRecord>,
) -> Result<Vec<AppRecord>> {
    let mut files_moved: Vec<MovedFile> = moved(&before).cloned().collect();
    let found = find(root, files)?;
    if found.is_empty() && files_moved.is_empty() && !optional {
        return Err(paths::missing(&files.files));
    }
    let known: HashSet<RelPath> = files_moved.iter().map(|file| file.path.clone()).collect();
    for path in found.into_iter().filter(|path| !known.contains(path)) {
        if file_state(root, &path, files)? == FileState::Other {
            let kept = free_name(root, &path)?;
            files_moved.push(MovedFile { path, kept });
        }
    }
    if files_moved.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![AppRecord { id: step.to_owned(), was: Before::Files(files_moved) }])
}

pub fn moved<'a>(apps: impl IntoIterator<Item = &'a AppRecord>) -> impl Iterator<Item = &'a MovedFile> {
    let files = |app: &'a AppRecord| if let Before::Files(files) = &app.was { files.as_slice() } else { &[] };
    apps.into_iter().flat_map(files)
}

/// Renames the files durably, and writes their replacements, as far as that is not done yet. Returns warnings for the
/// user.
pub fn commit(root: &Path, files: &Files, moved: &[MovedFile]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for MovedFile { path, kept } in moved {
        if !paths::is_reached(root, path)? {
            continue;
        }
        let is_kept = exists(root, kept)?;
        match file_state(root, path, files)? {
            FileState::AsLeft => continue,
            FileState::Missing if !is_kept => continue,
            FileState::Missing => {}
            FileState::Other if !is_kept => rename_new(root, path, kept)?,
            FileState::Other => {
                // The user switched it on again, or the server wrote a file of its own. Release still brings back the
                // first one.
                let name = free_name(root, path)?;
                rename_new(root, path, &name)?;
                warnings.push(format!("{path} existed again and was renamed to {name}; release brings back {kept}"));
            }
        }
        if let Some(content) = &files.content {
            durable::write_new_like(&path.under(root), content.as_bytes(), &kept.under(root))?;
        }
    }
    Ok(warnings)
}

/// Brings the files back durably, as far as that is not done yet.
pub fn put_back(root: &Path, files: &Files, moved: &[MovedFile]) -> Result<Outcome> {
    let mut left = Vec::new();
    for MovedFile { path, kept } in moved.iter().rev() {
        let is_kept = exists(root, kept)?;
        match file_state(root, path, files)? {
            // Brought back before a crash, or by hand.
            FileState::Other if !is_kept => {}
            _ if !is_kept => left.push(format!("{kept} is gone")),
            FileState::AsLeft if is_directory(root, kept)? >= is_directory(root, path)? => {
                bring_back(root, path, kept)?;
            }
            FileState::AsLeft | FileState::Other => {
                left.push(format!("{path} was changed since; the original stays in {kept}"));
            }
            FileState::Missing => left.push(format!("{path} is gone; the original stays in {kept}")),
        }
    }
    left.reverse();
    Ok(if left.is_empty() { Outcome::Released } else { Outcome::Left(left.join("; ")) })
}

/// The files that the step would rename. Missing files are not an error here.
pub fn inspect(root: &Path, files: &Files) -> Result<Vec<RelPath>> {
    Ok(moved(&prepare(root, "", files, true, Vec::new())?).map(|file| file.path.clone()).collect())
}

fn find(root: &Path, files: &Files) -> Result<Vec<RelPath>> {
    let directories = if files.content.is_some() { Directories::Entered } else { Directories::Whole };
    let mut found = Vec::new();
    for (path, kind) in paths::entries(root, &files.files, directories)? {
        let full = path.under(root);
        if kind.is_file() && is_database(&full)? {
            return Err(Error::new(Code::AppsUnknown, format!("{path} is a SQLite database, not a plain file"))
                .hint("use a `sqlite` step, because a database can consist of several files"));
        }
        if path.as_path().file_name().is_some_and(|name| name.len() + SUFFIX.len() + 2 > LONGEST_NAME) {
            let message = format!("the name of {path} is too long to append {SUFFIX}");
            return Err(Error::new(Code::AppsUnknown, message).hint("give the file a shorter name"));
        }
        found.push(path);
    }
    Ok(found)
}

fn file_state(root: &Path, path: &RelPath, files: &Files) -> Result<FileState> {
    let full = path.under(root);
    if !exists(root, path)? {
        return Ok(if files.content.is_some() { FileState::Missing } else { FileState::AsLeft });
    }
    let meta = full.symlink_metadata().on("access", &full)?;
    // Servers create the folders that they miss.
    if files.content.is_none() && meta.is_dir() && fs::read_dir(&full).on("list", &full)?.next().is_none() {
        return Ok(FileState::AsLeft);
    }
    let Some(content) = files.content.as_ref().filter(|text| meta.is_file() && meta.len() == text.len() as u64) else {
        return Ok(FileState::Other);
    };
    let same = fs::read(&full).on("read", &full)? == content.as_bytes();
    Ok(if same { FileState::AsLeft } else { FileState::Other })
}

fn exists(root: &Path, path: &RelPath) -> Result<bool> {
    Ok(paths::is_reached(root, path)? && presence::exists(&path.under(root))?)
}

fn is_directory(root: &Path, path: &RelPath) -> Result<bool> {
    Ok(presence::entry(&path.under(root))?.is_some_and(|meta| meta.is_dir()))
}

fn free_name(root: &Path, path: &RelPath) -> Result<RelPath> {
    let names = std::iter::once(path.with_suffix(SUFFIX));
    for name in names.chain((2..100).map(|number| path.with_suffix(&format!("{SUFFIX}-{number}")))) {
        if !exists(root, &name)? {
            return Ok(name);
        }
    }
    Err(Error::new(Code::AppsUnknown, format!("there are too many files {path}{SUFFIX}-…"))
        .hint("remove those that are not needed any more"))
}

/// Replaces quarantine's own replacement in one rename.
fn bring_back(root: &Path, path: &RelPath, kept: &RelPath) -> Result<()> {
    match exists(root, path)? {
        true => durable::rename(&kept.under(root), &path.under(root)),
        false => rename_new(root, kept, path),
    }
}

fn rename_new(root: &Path, from: &RelPath, to: &RelPath) -> Result<()> {
    let (from, to) = (from.under(root), to.under(root));
    if durable::rename_new(&from, &to)? {
        return Ok(());
    }
    let what = format!("cannot rename {} to {}: that name is taken by now", from.display(), to.display());
    Err(Error::new(Code::TryAgain, what))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().expect("a folder"));
            files.iter().for_each(|(name, content)| tree.write(name, content));
            tree
        }

        fn root(&self) -> &Path {
            self.0.path()
        }

        fn write(&self, name: &str, content: &str) {
            let path = self.root().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("made");
            fs::write(path, content).expect("written");
        }

        fn all(&self) -> Vec<(String, String)> {
            let mut all = Vec::new();
            let mut open = vec![self.root().to_owned()];
            while let Some(folder) = open.pop() {
                for entry in fs::read_dir(folder).expect("a folder") {
                    let path = entry.expect("an entry").path();
                    let name = path.strip_prefix(self.root()).expect("below").display().to_string();
                    let meta = path.symlink_metadata().expect("is there");
                    if meta.is_dir() {
                        open.push(path);
                    } else if meta.is_symlink() {
                        all.push((name, format!("-> {}", fs::read_link(path).expect("a link").display())));
                    } else {
                        let mode = meta.mode() & 0o777;
                        let content = fs::read_to_string(path).expect("reads");
                        all.push((name, if mode == 0o644 { content } else { format!("{mode:o} {content}") }));
                    }
                }
            }
            all.sort();
            all
        }

        fn off(&self, files: &Files, before: Vec<AppRecord>) -> (Vec<AppRecord>, Vec<String>) {
            let kept = prepare(self.root(), "step", files, false, before).expect("prepares");
            let warnings = commit(self.root(), files, &moved(&kept)).expect("commits");
            (kept, warnings)
        }

        fn on(&self, files: &Files, kept: &[AppRecord]) -> Outcome {
            put_back(self.root(), files, &moved(kept)).expect("puts back")
        }
    }

    fn moved(kept: &[AppRecord]) -> Vec<MovedFile> {
        super::moved(kept).cloned().collect()
    }

    fn step(glob: &str, content: Option<&str>) -> Files {
        Files { files: glob.to_owned(), content: content.map(str::to_owned) }
    }

    fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|&(name, content)| (name.to_owned(), content.to_owned())).collect()
    }

    #[test]
    fn a_file_is_renamed_and_comes_back() {
        for content in [None, Some(""), Some("jobs: []\n")] {
            let tree = Tree::new(&[("conf/jobs.yaml", "jobs: [a]\n"), ("conf/other", "x")]);
            fs::set_permissions(tree.root().join("conf/jobs.yaml"), fs::Permissions::from_mode(0o750)).expect("set");
            let before = tree.all();
            let files = step("conf/jobs.yaml", content);
            let (kept, warnings) = tree.off(&files, Vec::new());
            assert_eq!((kept.len(), kept[0].id.as_str(), warnings.len()), (1, "step", 0));
            let left = content.map(|content| format!("750 {content}"));
            let mut expected = vec![("conf/jobs.yaml.quarantined", "750 jobs: [a]\n"), ("conf/other", "x")];
            expected.extend(left.as_deref().map(|left| ("conf/jobs.yaml", left)));
            expected.sort_unstable();
            assert_eq!(tree.all(), of(&expected));
            assert_eq!(tree.on(&files, &kept), Outcome::Released);
            assert_eq!(tree.all(), before);
            assert_eq!(tree.on(&files, &kept), Outcome::Released, "again, after a crash");
        }
    }

    #[test]
    fn a_replacement_has_the_owner_of_the_original() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let tree = Tree::new(&[("x", "1")]);
        std::os::unix::fs::chown(tree.root().join("x"), Some(1234), Some(4321)).expect("changed");
        tree.off(&step("x", Some("")), Vec::new());
        let meta = fs::metadata(tree.root().join("x")).expect("is there");
        assert_eq!((meta.uid(), meta.gid()), (1234, 4321));
    }

    #[test]
    fn a_crash_at_any_time_is_recovered_from() {
        for content in [None, Some("off")] {
            let files = step("x", content);
            let tree = Tree::new(&[("x", "on")]);
            let kept = prepare(tree.root(), "step", &files, false, Vec::new()).expect("prepares");
            // First only recorded; then renamed, and the replacement not written yet.
            for moment in 0..2 {
                if moment == 1 {
                    fs::rename(tree.root().join("x"), tree.root().join("x.quarantined")).expect("renamed");
                }
                let again = prepare(tree.root(), "step", &files, false, kept.clone()).expect("prepares");
                assert_eq!(again, kept, "{moment}");
                commit(tree.root(), &files, &moved(&again)).expect("commits");
                let after = tree.all();
                commit(tree.root(), &files, &moved(&again)).expect("commits");
                assert_eq!(tree.all(), after);
                assert_eq!(tree.on(&files, &again), Outcome::Released);
                assert_eq!(tree.all(), of(&[("x", "on")]));
            }
        }
    }

    #[test]
    fn a_second_quarantine_keeps_the_first_original() {
        let files = step("x", Some("off"));
        let tree = Tree::new(&[("x", "first")]);
        let (kept, _) = tree.off(&files, Vec::new());
        assert_eq!(tree.off(&files, kept.clone()), (kept.clone(), Vec::new()));
        tree.write("x", "second");
        let (again, warnings) = tree.off(&files, kept.clone());
        assert_eq!((&again, warnings.len()), (&kept, 1));
        assert!(warnings[0].contains("x.quarantined-2"), "{warnings:?}");
        assert_eq!(tree.all(), of(&[("x", "off"), ("x.quarantined", "first"), ("x.quarantined-2", "second")]));
        assert_eq!(tree.on(&files, &again), Outcome::Released);
        assert_eq!(tree.all(), of(&[("x", "first"), ("x.quarantined-2", "second")]));
    }

    #[test]
    fn an_existing_quarantined_file_is_never_overwritten() {
        let files = step("x", None);
        let tree = Tree::new(&[("x", "mine"), ("x.quarantined", "older")]);
        let (kept, _) = tree.off(&files, Vec::new());
        assert_eq!(tree.all(), of(&[("x.quarantined", "older"), ("x.quarantined-2", "mine")]));
        assert_eq!(tree.on(&files, &kept), Outcome::Released);
        assert_eq!(tree.all(), of(&[("x", "mine"), ("x.quarantined", "older")]));
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_not_replaced() {
        for (content, meanwhile, why) in [
            (None, Some("new"), "was changed since"),
            (Some("off"), Some("new"), "was changed since"),
            (Some("off"), None, "x is gone"),
        ] {
            let files = step("x", content);
            let tree = Tree::new(&[("x", "on"), ("y", "on")]);
            let (kept, _) = tree.off(&files, Vec::new());
            drop(fs::remove_file(tree.root().join("x")));
            meanwhile.into_iter().for_each(|new| tree.write("x", new));
            let before = tree.all();
            let Outcome::Left(reason) = tree.on(&files, &kept) else { panic!("was brought back") };
            assert!(reason.contains(why) && reason.contains("x.quarantined"), "{reason}");
            assert_eq!(tree.all(), before);
        }
        let tree = Tree::new(&[("x", "on")]);
        let (kept, _) = tree.off(&step("x", Some("off")), Vec::new());
        fs::remove_file(tree.root().join("x.quarantined")).expect("removed");
        assert_eq!(tree.on(&step("x", Some("off")), &kept), Outcome::Left("x.quarantined is gone".to_owned()));
    }

    #[test]
    fn several_files_are_one_app_and_come_back_as_far_as_possible() {
        let files = step("hooks/*", None);
        let tree = Tree::new(&[("hooks/a", "1"), ("hooks/b", "2"), ("hooks/d/c", "3")]);
        symlink("../b", tree.root().join("hooks/d/l")).expect("a link");
        symlink("/elsewhere", tree.root().join("hooks/l")).expect("a link");
        let before = tree.all();
        let (kept, _) = tree.off(&files, Vec::new());
        assert_eq!(kept.len(), 1);
        assert!(tree.all().iter().all(|(name, _)| name.contains(SUFFIX)), "{:?}", tree.all());
        assert!(presence::is_dir(&tree.root().join("hooks")).expect("looks"));
        tree.write("hooks/b", "new");
        assert!(matches!(tree.on(&files, &kept), Outcome::Left(why) if why.contains("hooks/b.quarantined")));
        fs::remove_file(tree.root().join("hooks/b")).expect("removed");
        assert_eq!(tree.on(&files, &kept), Outcome::Released);
        assert_eq!(tree.all(), before);
    }

    #[test]
    fn a_directory_is_renamed_as_a_whole_and_a_link_as_a_link() {
        let tree = Tree::new(&[("hooks/a", "1"), ("hooks/d/b", "2"), ("real", "3")]);
        symlink("real", tree.root().join("link")).expect("a link");
        let before = tree.all();
        let (hooks, link) = (step("hooks", None), step("link", Some("")));
        let kept = [tree.off(&hooks, Vec::new()).0, tree.off(&link, Vec::new()).0];
        assert_eq!(
            tree.all(),
            of(&[
                ("hooks.quarantined/a", "1"),
                ("hooks.quarantined/d/b", "2"),
                ("link", ""),
                ("link.quarantined", "-> real"),
                ("real", "3")
            ])
        );
        assert_eq!((tree.on(&link, &kept[1]), tree.on(&hooks, &kept[0])), (Outcome::Released, Outcome::Released));
        assert_eq!(tree.all(), before);
    }

    #[test]
    fn an_empty_directory_counts_as_missing() {
        let files = step("hooks", None);
        let tree = Tree::new(&[("hooks/a", "run")]);
        let (kept, _) = tree.off(&files, Vec::new());
        fs::create_dir(tree.root().join("hooks")).expect("a server makes it at its start");
        assert_eq!(tree.off(&files, kept.clone()), (kept.clone(), Vec::new()));
        assert_eq!(tree.on(&files, &kept), Outcome::Released);
        assert_eq!(tree.all(), of(&[("hooks/a", "run")]));
        fs::remove_file(tree.root().join("hooks/a")).expect("removed");
        assert_eq!(tree.off(&files, Vec::new()).0, Vec::new(), "there is no app in it");
        let (files, tree) = (step("x", None), Tree::new(&[("x", "on")]));
        let (kept, _) = tree.off(&files, Vec::new());
        fs::create_dir(tree.root().join("x")).expect("made");
        assert!(matches!(tree.on(&files, &kept), Outcome::Left(_)), "a file does not replace a directory");
    }

    #[test]
    fn a_missing_file_and_a_database_are_errors() {
        let tree = Tree::new(&[("a", "off"), ("d/x", "1")]);
        let mut database = b"SQLite format 3\0".to_vec();
        database.resize(4096, 0);
        fs::write(tree.root().join("queue.db"), database).expect("written");
        let refused = |files: &Files| prepare(tree.root(), "step", files, false, Vec::new()).expect_err("refused");
        for files in [step("nothing", None), step("d/*.sh", None), step("d", Some(""))] {
            let error = refused(&files);
            assert_eq!(error.code(), Code::AppsUnknown);
            assert!(error.message().contains(&format!("there is no file {}", files.files)), "{error}");
            assert!(prepare(tree.root(), "step", &files, true, Vec::new()).expect("is optional").is_empty());
        }
        assert!(refused(&step("*.db", None)).message().contains("queue.db is a SQLite database"));
        let off_already = prepare(tree.root(), "step", &step("a", Some("off")), false, Vec::new());
        assert!(off_already.expect("is there").is_empty(), "a file that is off already is not an app");
        fs::write(tree.root().join("n".repeat(250)), "").expect("written");
        assert!(refused(&step("n*", None)).message().contains("too long"));
    }

    #[test]
    fn a_link_that_replaced_a_directory_is_not_followed() {
        let (tree, outside) = (Tree::new(&[("d/x", "on")]), Tree::new(&[]));
        let files = step("d/x", Some("off"));
        let (kept, _) = tree.off(&files, Vec::new());
        fs::rename(tree.root().join("d"), outside.root().join("d")).expect("moved");
        symlink(outside.root().join("d"), tree.root().join("d")).expect("a link");
        let before = outside.all();
        assert!(matches!(tree.on(&files, &kept), Outcome::Left(_)));
        commit(tree.root(), &files, &moved(&kept)).expect("does nothing");
        assert_eq!(outside.all(), before);
    }
}
