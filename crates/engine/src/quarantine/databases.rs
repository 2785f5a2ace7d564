//! Every database that steps act on, each in its own transaction, all open at once.
//!
//! While they are, no other descriptor of any of them is opened or closed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use super::sqlite::Failure;
use crate::store::sqlite::{Edit, words};
use seqbac_header::RelPath;
use volume::error::{Code, Error, IoContext, Result};

/// A server that was stopped a moment ago may still be closing its databases.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Open databases. What is not committed is rolled back when this is dropped.
#[derive(Debug)]
pub struct Databases {
    open: BTreeMap<RelPath, Edit>,
}

impl Databases {
    /// Begins a transaction on each.
    pub fn begin(root: &Path, paths: impl IntoIterator<Item = RelPath>) -> Result<Self> {
        // SQLite is told to follow no links: those above the root are none of its business.
        let root: PathBuf = root.canonicalize().on("find", root)?;
        let begin = |path: RelPath| Ok((path.clone(), Edit::begin(&path.under(&root), BUSY_TIMEOUT)?));
        Ok(Self { open: paths.into_iter().map(begin).collect::<Result<_>>()? })
    }

    /// The connection to one.
    pub fn connection(&self, path: &RelPath) -> Result<&rusqlite::Connection> {
        let open = self.open.get(path).map(Edit::connection);
        open.ok_or_else(|| Error::new(Code::Bug, format!("{path} was not opened before a step acted on it")))
    }

    /// Makes the changes to one, and closes it.
    pub fn commit(&mut self, path: &RelPath) -> Result<()> {
        self.open.remove(path).map_or(Ok(()), Edit::commit)
    }

    /// Those that are open, sorted.
    pub fn paths(&self) -> Vec<RelPath> {
        self.open.keys().cloned().collect()
    }
}

/// Why a step did not act on this database, for a person.
pub fn explain(path: &RelPath, failure: &Failure) -> Error {
    let says = |what: &str| Error::new(Code::AppsUnknown, format!("{path}: {what}"));
    match failure {
        Failure::Missing(what) => says(what).hint(
            "correct the profile; where this version of the server has no such thing, say `optional = true` in the step",
        ),
        Failure::Refused(why) => says(why).hint("correct the profile"),
        Failure::Sql(cause) if words(cause).starts_with("no such collation sequence") => says(&words(cause)).hint(
            "the server sorts that index in an order of its own, which is not known here: choose another column, or \
             another way to switch these apps off",
        ),
        Failure::Sql(cause) => match crate::store::sqlite::is_busy_or_full(cause) {
            true => says(&words(cause)).with_code(Code::TryAgain),
            false => says(&words(cause)).hint("correct the step; `moorline profile check` tries it on a volume"),
        },
    }
}
