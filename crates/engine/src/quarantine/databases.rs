//! All databases that steps act on, each in its own transaction, all open at once.
//!
//! Until they are closed, this process must not open or close another descriptor of any of them (see `store`).

use std::collections::BTreeMap;

use super::sqlite::Failure;
use crate::{
    prelude::*,
    store::sqlite::{Edit, words},
};

/// A server that just stopped may still be closing its databases.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Open transactions. Dropping this rolls back every transaction without a commit.
#[derive(Debug)]
pub struct Databases {
    open: BTreeMap<RelPath, Edit>,
}

impl Databases {
    pub fn begin(root: &Path, paths: impl IntoIterator<Item = RelPath>) -> Result<Self> {
        // We open databases without following links, so we resolve the links above the root here.
        let root: PathBuf = root.canonicalize().on("find", root)?;
        let begin = |path: RelPath| Ok((path.clone(), Edit::begin(&path.under(&root), BUSY_TIMEOUT)?));
        Ok(Self { open: paths.into_iter().map(begin).collect::<Result<_>>()? })
    }

    pub fn connection(&self, path: &RelPath) -> Result<&rusqlite::Connection> {
        let open = self.open.get(path).map(Edit::connection);
        open.ok_or_else(|| Error::new(Code::Bug, format!("{path} was not opened before a step acted on it")))
    }

    /// Commits one transaction and closes its database.
    pub fn commit(&mut self, path: &RelPath) -> Result<()> {
        self.open.remove(path).map_or(Ok(()), Edit::commit)
    }

    pub fn paths(&self) -> Vec<RelPath> {
        self.open.keys().cloned().collect()
    }
}

/// Turns the failure of a step on this database into a message with a hint.
pub fn explain(path: &RelPath, failure: &Failure) -> Error {
    let says = |what: &str| Error::new(Code::AppsUnknown, format!("{path}: {what}"));
    match failure {
        Failure::Missing(what) => says(what).hint(
            "correct the profile; if some versions of the server do not have it, set `optional = true` in the step",
        ),
        Failure::Refused(why) => says(why).hint("correct the profile"),
        Failure::Sql(cause) if words(cause).starts_with("no such collation sequence") => says(&words(cause)).hint(
            "the server defines that collation itself, so it does not exist here: use another column, or \
             another way to switch off these apps",
        ),
        Failure::Sql(cause) => match crate::store::sqlite::is_busy_or_full(cause) {
            true => says(&words(cause)).with_code(Code::TryAgain),
            false => says(&words(cause)).hint("correct the step; `moorline profile check` tries it on a volume"),
        },
    }
}
