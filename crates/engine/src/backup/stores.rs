//! Checks that no store of the profile is missing, because a backup without a store must not look complete.

use crate::{prelude::*, store::Survey};

/// Refuses a survey without any state, or without a database that the profile names.
///
/// The error is `NotFound` for missing state, and `Usage` for a file that the profile names as a database but that has
/// no SQLite header.
pub fn refuse_missing(profile: &Profile, survey: &Survey, metastore: bool, root: &Path) -> Result<()> {
    if let Some(path) = survey.not_databases.first() {
        return Err(not_a_database(profile, &path.under(root)));
    }
    let nothing =
        !metastore && survey.databases.is_empty() && survey.files.iter().all(|found| found.kind == PathKind::Directory);
    if nothing {
        return Err(no_state(profile, root));
    }
    let is_there =
        |path: &RelPath| survey.databases.iter().any(|found| found.path.as_path().starts_with(path.as_path()));
    match profile.scope.named_databases().find(|path| !is_there(path)) {
        Some(path) => Err(no_such_database(profile, &path, root)),
        None => Ok(()),
    }
}

fn no_state(profile: &Profile, root: &Path) -> Error {
    let root = root.display();
    match &profile.name {
        Some(name) if !profile.scope.discover => {
            let what = format!("there is nothing to back up: nothing on {root} matches a store of the profile {name}");
            Error::new(Code::NotFound, what).hint(format!(
                "it looks for {}; check that --storage names the mount point of this server's volume",
                profile.scope.sqlite.iter().chain(&profile.scope.files).cloned().collect::<Vec<_>>().join(", ")
            ))
        }
        _ => Error::new(Code::NotFound, format!("there is nothing to back up: {root} holds no state")).hint(
            "check that --storage names the mount point of the volume, and that the server keeps its state there",
        ),
    }
}

fn no_such_database(profile: &Profile, path: &RelPath, root: &Path) -> Error {
    let full = path.under(root);
    let name = profile.name.as_deref().unwrap_or("of the volume");
    // We ignore an error, because the walk over the volume has already reported it.
    let kind = presence::entry(&full).ok().flatten().map(|meta| meta.file_type());
    let (link, directory) = kind.map_or((false, false), |kind| (kind.is_symlink(), kind.is_dir()));
    let (what, hint) = match (link, directory) {
        (true, _) => ("is a link, and links are not followed", "name the database that the link points to"),
        (_, true) => ("is a directory with no database in it", "name the database"),
        _ => (
            "does not exist",
            "check that the volume belongs to this server, and that the server has been started once; name an optional \
             database with a wildcard, such as app.d[b]",
        ),
    };
    let what = format!("the profile {name} names the database {}, which {what}", full.display());
    Error::new(Code::NotFound, what).hint(hint)
}

fn not_a_database(profile: &Profile, path: &Path) -> Error {
    let name = profile.name.as_deref().unwrap_or("of the volume");
    let what =
        format!("the profile {name} names {} as a SQLite database, but the file has no SQLite header", path.display());
    Error::usage(what).hint("exclude it, or name it under `files`; SQLite cannot read an encrypted database")
}
