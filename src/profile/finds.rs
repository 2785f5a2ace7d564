//! What each store of a profile finds on a volume. Looks, and changes nothing.

use std::path::Path;

use serde::Serialize;

use super::Profile;
use crate::{
    error::Result,
    store::{Found, PathKind, Scope, Survey},
    volume::RelPath,
};

/// What one glob of `[state]` finds, or discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreFinds {
    /// `sqlite`, `files` or `discovery`.
    pub store: &'static str,
    /// The glob; discovery has none.
    pub glob: Option<String>,
    /// Databases.
    pub databases: Vec<RelPath>,
    /// Files and links.
    pub files: Vec<RelPath>,
}

/// What each store finds, in the order of the profile, of all that a survey of the volume by this profile found.
///
/// # Errors
/// Where a glob makes no sense.
pub fn stores(profile: &Profile, survey: &Survey) -> Result<Vec<StoreFinds>> {
    let Scope { sqlite, files, discover, .. } = &profile.scope;
    if *discover {
        return of_glob("discovery", None, &Scope::everything(), survey).map(|all| vec![all]);
    }
    let sqlite = sqlite.iter().map(|glob| ("sqlite", glob, Scope { sqlite: vec![glob.clone()], ..Scope::default() }));
    let files = files.iter().map(|glob| ("files", glob, Scope { files: vec![glob.clone()], ..Scope::default() }));
    sqlite.chain(files).map(|(store, glob, scope)| of_glob(store, Some(glob.clone()), &scope, survey)).collect()
}

fn of_glob(store: &'static str, glob: Option<String>, scope: &Scope, survey: &Survey) -> Result<StoreFinds> {
    let matcher = scope.compile()?;
    let taken = |found: &&Found| found.kind != PathKind::Directory && matcher.takes(&found.path, found.kind);
    let paths = |found: &[Found]| found.iter().filter(taken).map(|found| found.path.clone()).collect();
    Ok(StoreFinds { store, glob, databases: paths(&survey.databases), files: paths(&survey.files) })
}

/// What there is on the volume mounted at `root`, by this profile.
///
/// # Errors
/// Where it cannot be read.
pub fn survey(profile: &Profile, root: &Path) -> Result<Survey> {
    crate::store::survey(root, &profile.scope.compile()?)
}
