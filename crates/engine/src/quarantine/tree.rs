//! Which databases exist that steps name, found in one walk before any of them is opened.
//!
//! Databases are recognised by their header, as in a backup. A file that a step names as a database and that is not one
//! is an error. Among moorline's own files, only the console's database is found, and only by its exact path.

use std::collections::BTreeSet;

use crate::{
    metastore,
    prelude::*,
    store::{Matcher, Survey, SurveyEntry, is_database, survey},
};

#[derive(Debug)]
pub struct Tree {
    survey: Survey,
    metastore: Option<SurveyEntry>,
}

impl Tree {
    /// Walks everything below `root` that these steps may name, and reads headers.
    pub fn of<'a>(root: &Path, steps: impl Iterator<Item = &'a Step>) -> Result<Self> {
        let (mut scope, mut metastore) = (Scope::default(), None);
        for step in steps {
            match &step.action {
                Action::Sqlite(rows) if rows.database == metastore::PATH => {
                    metastore = SurveyEntry::database(root, &metastore::path())?;
                }
                Action::Sqlite(rows) => scope.sqlite.push(rows.database.clone()),
                _ => {}
            }
        }
        if scope == Scope::default() {
            return Ok(Self { survey: Survey::default(), metastore });
        }
        let survey = survey(root, &Matcher::of(&scope)?)?;
        // Unlike a missing database, this is an error even for an optional step, because the server can probably read
        // it.
        match survey.not_databases.first() {
            Some(path) => Err(not_a_database(path)),
            None => Ok(Self { survey, metastore }),
        }
    }

    /// The databases that a glob matches, sorted.
    pub fn databases(&self, glob: &str) -> Result<Vec<RelPath>> {
        if glob == metastore::PATH {
            return Ok(self.metastore.iter().map(|found| found.path.clone()).collect());
        }
        let matcher = Matcher::of(&Scope { sqlite: vec![glob.to_owned()], ..Scope::default() })?;
        let found = self.survey.databases.iter().map(|found| &found.path);
        Ok(found.filter(|path| matcher.takes(path, PathKind::Database)).cloned().collect())
    }

    pub fn all_databases<'a>(&self, steps: impl Iterator<Item = &'a Step>) -> Result<BTreeSet<RelPath>> {
        let mut all = BTreeSet::new();
        for step in steps {
            if let Action::Sqlite(rows) = &step.action {
                all.extend(self.databases(&rows.database)?);
            }
        }
        Ok(all)
    }
}

/// Whether the database of a recorded app exists. Call it before any database is open. Fails if something else is at
/// its path, because we must not drop the app's record then.
pub fn is_there(root: &Path, path: &RelPath) -> Result<bool> {
    let full = path.under(root);
    match presence::entry(&full)? {
        None => Ok(false),
        // To SQLite, an empty file is a database.
        Some(meta) if meta.is_file() && (meta.len() == 0 || is_database(&full)?) => Ok(true),
        Some(_) => Err(not_a_database(path)),
    }
}

fn not_a_database(path: &RelPath) -> Error {
    let what = format!("a step acts on {path} as a SQLite database, but it does not have the header of one");
    Error::new(Code::AppsUnknown, what)
        .hint("bring the database back; if it is encrypted, SQLite cannot read it: use a `file` step")
}
