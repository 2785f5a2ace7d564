//! Apps switched off: every step acts, what had been on is kept, and only then is anything changed.

use std::{collections::HashMap, path::Path};

use super::{
    Keep, Memory, Value,
    align::align,
    databases::{Databases, explain},
    memory::{Kept, Remembered, Was},
    sqlite::{self, Failure, Known},
    tree::Tree,
};
use crate::{
    error::{Code, Error, Result},
    profile::step::{Action, Moment, Rows, Step},
    volume::RelPath,
};

/// Switches off, in the tree at `root`, the apps that the steps find, in their order. `root` is a restore's stage or the
/// storage root.
///
/// `before` is what a quarantine of this very state remembered; where it remembers an app already, that stands. `keep`
/// is called twice: with `pending` once all is prepared and nothing is changed, and without it when all is done. Returns
/// what was kept last, and what a person should know, a line each.
///
/// # Errors
/// `AppsUnknown`, naming the step: a table, column or file that it needs is not there, or the change cannot be made.
/// Nothing was changed then, unless `keep` has been called.
pub fn quarantine(
    root: &Path,
    steps: &[Step],
    before: Option<Memory>,
    keep: Keep<'_>,
) -> Result<(Memory, Vec<String>)> {
    let mut memory = before.unwrap_or_default();
    memory.steps = align(steps, std::mem::take(&mut memory.steps));
    let tree = Tree::of(root, steps.iter()).map_err(quarantine_failed)?;
    let databases = tree.all_databases(steps.iter()).and_then(|paths| Databases::begin(root, paths));
    let mut acting = Acting { tree, databases: databases.map_err(quarantine_failed)?, warnings: Vec::new() };
    let done_before = memory.steps.len() - steps.len();
    for remembered in memory.steps.iter_mut().skip(done_before) {
        acting.step(remembered).map_err(|error| of_step(&remembered.step, error))?;
    }
    memory.pending = true;
    keep(&memory)?;
    acting.commit()?;
    memory.pending = false;
    keep(&memory)?;
    Ok((memory, acting.warnings))
}

/// The same failure, with the step's name in front.
pub fn of_step(step: &Step, error: Error) -> Error {
    quarantine_failed(error).context(format!("the step \"{}\"", step.name))
}

fn quarantine_failed(error: Error) -> Error {
    match error.code() {
        Code::TryAgain | Code::Bug => error,
        _ => error.with_code(Code::AppsUnknown),
    }
}

/// What the steps have done so far, none of it final.
struct Acting {
    tree: Tree,
    databases: Databases,
    warnings: Vec<String>,
}

impl Acting {
    fn step(&mut self, remembered: &mut Remembered) -> Result<()> {
        let Remembered { step, apps } = remembered;
        match &step.action {
            Action::Sqlite(rows) => self.rows(step, rows, apps),
            Action::Json(_) | Action::File(_) => Ok(()),
            Action::Env(_) | Action::Args(_) => {
                if apps.is_empty() && step.at == Moment::Restore {
                    apps.push(Kept { id: step.name.clone(), was: Was::Given });
                }
                Ok(())
            }
        }
    }

    fn rows(&mut self, step: &Step, rows: &Rows, apps: &mut Vec<Kept>) -> Result<()> {
        let paths = self.tree.databases(&rows.database)?;
        let (mut matched, mut exists) = (apps.len(), false);
        let index = index(apps);
        for path in &paths {
            match self.rows_of(step, rows, path, apps) {
                Ok(None) => {}
                Ok(Some(acted)) => {
                    exists = true;
                    matched += acted.matched;
                    self.warnings.extend(acted.warnings.iter().map(|what| format!("{}: {what}", step.name)));
                    let place = (paths.len() > 1).then_some(path);
                    acted.rows.into_iter().for_each(|row| remember(apps, &index, step, place, row));
                }
                Err(Failure::Missing(_)) if step.optional => {}
                Err(failure) => return Err(explain(path, &failure)),
            }
        }
        if paths.is_empty() && !step.optional {
            return Err(nothing_there(&rows.database));
        }
        if exists && matched == 0 && step.at == Moment::Restore {
            self.warnings.push(nothing_matched(step));
        }
        Ok(())
    }

    /// `None` where the step does not exist in this database.
    fn rows_of(
        &self,
        step: &Step,
        rows: &Rows,
        path: &RelPath,
        apps: &[Kept],
    ) -> std::result::Result<Option<sqlite::Acted>, Failure> {
        let connection = self.databases.connection(path).map_err(|bug| Failure::Refused(bug.to_string()))?;
        if !sqlite::exists(connection, rows)? {
            return Ok(None);
        }
        if step.at == Moment::Release {
            // It acts later; that it could is to be known now.
            return sqlite::look(connection, rows).map(|_| Some(sqlite::Acted::default()));
        }
        let known: Known<'_> = apps.iter().filter_map(|kept| kept.row_in_database(path)).collect();
        sqlite::act(connection, path, rows, &known).map(Some)
    }

    fn commit(&mut self) -> Result<()> {
        self.databases.paths().iter().try_for_each(|path| self.databases.commit(path))
    }
}

type Index = HashMap<(RelPath, Vec<(String, Value)>), usize>;

/// Where each row is among the apps of a step.
fn index(apps: &[Kept]) -> Index {
    let rows = apps.iter().enumerate().filter_map(|(at, kept)| match &kept.was {
        Was::Row(row) => Some(((row.database.clone(), row.key.clone()), at)),
        _ => None,
    });
    rows.collect()
}

/// Where it is remembered already, it keeps its id.
fn remember(apps: &mut Vec<Kept>, index: &Index, step: &Step, place: Option<&RelPath>, row: sqlite::RowWas) {
    match index.get(&(row.database.clone(), row.key.clone())).and_then(|&at| apps.get_mut(at)) {
        Some(kept) => kept.was = Was::Row(row),
        None => apps.push(Kept { id: id(step, place, &row.name()), was: Was::Row(row) }),
    }
}

/// `<step> [<file>] <name>`
pub fn id(step: &Step, place: Option<&RelPath>, name: &str) -> String {
    match place {
        Some(path) => format!("{} {path} {name}", step.name),
        None => format!("{} {name}", step.name),
    }
}

pub fn nothing_there(glob: &str) -> Error {
    Error::new(Code::AppsUnknown, format!("{glob} is not there"))
        .hint("correct the profile; where a server may be without it, say `optional = true` in the step")
}

fn nothing_matched(step: &Step) -> String {
    format!("{}: nothing matched; if an app of this kind should be on, look at the profile", step.name)
}
