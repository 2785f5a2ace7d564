//! Whether a profile fits a volume: the matches of each store, and steps that act on files outside the state. Reads
//! only.

use crate::{
    prelude::*,
    store::{ForeignDatabase, Matcher, Survey, SurveyEntry, foreign},
};
use profile::{Apps, Choice, Written, scope::plain};

/// The matches of one glob of `[state]`, or of discovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreFinds {
    /// `sqlite`, `files` or `discovery`.
    pub store: &'static str,
    /// `None` for discovery.
    pub glob: Option<String>,
    /// The databases among the matches.
    pub databases: Vec<RelPath>,
    /// The plain files and links among the matches.
    pub files: Vec<RelPath>,
}

/// The matches of each store, in the order of the profile, among everything that `survey` found.
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
    let matcher = Matcher::of(scope)?;
    let taken = |found: &&SurveyEntry| found.kind != PathKind::Directory && matcher.takes(&found.path, found.kind);
    let paths = |found: &[SurveyEntry]| found.iter().filter(taken).map(|found| found.path.clone()).collect();
    Ok(StoreFinds { store, glob, databases: paths(&survey.databases), files: paths(&survey.files) })
}

/// An error for each step that names a file outside the state: because no restore brings that file, the step would
/// fail.
pub fn outside_state(scope: &Scope, steps: &[Step]) -> Result<Vec<Error>> {
    let matcher = Matcher::of(scope)?;
    // A glob without wildcards may name a directory, and stand for everything in it.
    let may_hold = |path: &RelPath, kind| matcher.takes(path, kind) || (matcher.reaches_below(path) && !scope.discover);
    let named = steps.iter().filter_map(|step| match &step.action {
        Action::Sqlite(rows) => Some((step, &rows.database, PathKind::Database)),
        Action::Json(nodes) => Some((step, &nodes.files, PathKind::File)),
        Action::File(files) => Some((step, &files.files, PathKind::File)),
        Action::Env(_) | Action::Args(_) => None,
    });
    let beside = named.filter_map(|(step, glob, kind)| {
        let path = plain(glob).filter(|path| !step.optional && !may_hold(path, kind))?;
        Some(is_outside(&step.name, &path, kind))
    });
    Ok(beside.collect())
}

fn is_outside(step: &str, path: &RelPath, kind: PathKind) -> Error {
    let store = if kind == PathKind::Database { "sqlite" } else { "files" };
    Error::usage(format!(
        "the step {step:?} acts on {path}, which is not part of the state, so no restore would bring it"
    ))
    .hint(format!("add it to `{store}` in [state], and remove it from `exclude` and .moorlineignore"))
}

/// Walks the volume mounted at `root`, by this profile.
pub fn survey(profile: &Profile, root: &Path) -> Result<Survey> {
    crate::store::survey(root, &Matcher::of(&profile.scope)?)
}

/// The databases of other engines in the state of a volume, and whether each is in use.
pub fn foreign(profile: &Profile, volume: &Volume) -> Result<Vec<ForeignDatabase>> {
    foreign::databases(volume, profile, profile.captures.iter(), &survey(profile, volume.root())?)
}

/// The profile of the volume mounted at `root`: the chosen one, or the one that discovery derives from the files.
pub fn load(choice: &Choice, root: &Path) -> Result<Profile> {
    let profile = match choice.read()? {
        Some(written) => {
            check(&written)?;
            written.on(root)?
        }
        None if *choice == Choice::None => Profile { apps: Apps::None, ..Profile::discover(root)? },
        None => Profile::discover(root)?,
    };
    Matcher::of(&profile.scope)?;
    Ok(profile)
}

/// Checks that no database is both named and excluded, which needs globs to be matched.
pub fn check(written: &Written) -> Result<()> {
    let Some(scope) = &written.state else { return Ok(()) };
    let matcher = Matcher::of(scope)?;
    written.refuse_excluded(|path| matcher.excludes(path, false))
}
