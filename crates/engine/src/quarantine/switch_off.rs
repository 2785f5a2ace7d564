//! Apps switched off: every step acts, the previous values are persisted, and only then is anything committed.

use std::collections::{BTreeMap, HashMap};

use super::{
    Persist, QuarantineRecord,
    align::align,
    console::is_of_console,
    databases::{Databases, explain},
    file,
    json::Drafts,
    paths,
    record::{AppRecord, Before, StepRecord},
    sqlite::{self, Failure, KnownRows, RowKey},
    tree::Tree,
};
use crate::prelude::*;
use profile::step::Rows;

/// Switches off the apps that the steps find in the tree at `root`, which is a restore's stage or the storage root.
///
/// `before` is the record of an earlier quarantine of the same state; its entries stay. Calls `persist` twice: with
/// `pending` when everything is prepared and nothing changed yet, and without it when everything is done. Returns the
/// final record, and warnings for the user. Fails with `AppsUnknown`, with the step's name, if a table, column or file
/// does not exist, or a change fails. Nothing was changed then, unless `persist` has been called.
pub fn quarantine(
    root: &Path,
    steps: &[Step],
    before: Option<QuarantineRecord>,
    persist: Persist<'_>,
) -> Result<(QuarantineRecord, Vec<String>)> {
    let mut record = before.unwrap_or_default();
    record.steps = align(steps, std::mem::take(&mut record.steps));
    // Steps of an earlier profile act again, because their apps may have been switched on by hand, or the earlier run
    // was interrupted. They are optional now, because their targets may be gone.
    let before_now = record.steps.len() - steps.len();
    record.steps.iter_mut().take(before_now).for_each(|remembered| remembered.step.optional = true);
    let mut acting = Switching { root, drafts: Drafts::default(), warnings: BTreeMap::new() };
    let mut databases = acting.all(&mut record.steps)?;
    record.pending = true;
    persist(&record)?;
    acting.commit(&mut databases, &record.steps)?;
    record.pending = false;
    persist(&record)?;
    Ok((record, acting.warnings.into_values().flatten().collect()))
}

pub fn of_step(step: &Step, error: Error) -> Error {
    quarantine_failed(error).context(format!("the step \"{}\"", step.name))
}

fn quarantine_failed(error: Error) -> Error {
    match error.code() {
        Code::TryAgain | Code::Bug => error,
        _ => error.with_code(Code::AppsUnknown),
    }
}

struct Switching<'a> {
    root: &'a Path,
    drafts: Drafts,
    /// By index of the step.
    warnings: BTreeMap<usize, Vec<String>>,
}

impl Switching<'_> {
    /// Runs every step. Steps on files come first, because they read headers, which must happen before any database is
    /// open.
    fn all(&mut self, steps: &mut [StepRecord]) -> Result<Databases> {
        for (number, StepRecord { step, apps }) in steps.iter_mut().enumerate() {
            self.without_database(number, step, apps).map_err(|error| of_step(step, error))?;
        }
        self.refuse_conflicting_steps(steps)?;
        let all: Vec<Step> = steps.iter().map(|remembered| remembered.step.clone()).collect();
        let tree = Tree::of(self.root, all.iter()).map_err(quarantine_failed)?;
        let databases = tree.all_databases(all.iter()).and_then(|paths| Databases::begin(self.root, paths));
        let databases = databases.map_err(quarantine_failed)?;
        for (number, StepRecord { step, apps }) in steps.iter_mut().enumerate() {
            if let Action::Sqlite(rows) = &step.action {
                let warnings = self.warnings.entry(number).or_default();
                let mut acting =
                    DatabaseStep { root: self.root, tree: &tree, databases: &databases, step, rows, warnings };
                acting.act(apps).map_err(|error| of_step(step, error))?;
            }
        }
        Ok(databases)
    }

    fn without_database(&mut self, number: usize, step: &Step, apps: &mut Vec<AppRecord>) -> Result<()> {
        let is_now = step.at == Moment::Restore;
        let (root, name, optional) = (self.root, &step.name, step.optional);
        match &step.action {
            Action::Json(nodes) if is_now => {
                *apps = self.drafts.switch_off(root, name, nodes, optional, std::mem::take(apps))?;
            }
            Action::File(files) if is_now => *apps = file::prepare(root, name, files, optional, std::mem::take(apps))?,
            // It acts at release; check now that it can.
            Action::Json(nodes) => drop(Drafts::default().switch_off(root, name, nodes, optional, Vec::new())?),
            Action::File(files) => drop(file::prepare(root, name, files, optional, Vec::new())?),
            Action::Env(_) | Action::Args(_) if is_now && apps.is_empty() => {
                apps.push(AppRecord { id: name.clone(), was: Before::Given });
            }
            Action::Env(_) | Action::Args(_) | Action::Sqlite(_) => {}
        }
        let glob = match &step.action {
            Action::Json(nodes) => &nodes.files,
            Action::File(files) => &files.files,
            _ => return Ok(()),
        };
        if is_now && apps.is_empty() && !(optional && paths::is_nothing(root, glob)?) {
            self.warnings.entry(number).or_default().push(nothing_matched(step));
        }
        Ok(())
    }

    /// We could not undo both steps one after the other.
    fn refuse_conflicting_steps(&self, steps: &[StepRecord]) -> Result<()> {
        for (step, aside) in steps.iter().flat_map(moved_files_of) {
            if let Some(file) = self.drafts.changed().find(|file| file.as_path().starts_with(aside.path.as_path())) {
                let what = format!("the step \"{}\" renames {file}, but another step edits it", step.name);
                return Err(Error::new(Code::AppsUnknown, what).hint("let only one step of the profile act on it"));
            }
        }
        Ok(())
    }

    fn commit(&mut self, databases: &mut Databases, steps: &[StepRecord]) -> Result<()> {
        databases.paths().iter().try_for_each(|path| databases.commit(path))?;
        self.drafts.commit(self.root)?;
        for (number, StepRecord { step, apps }) in steps.iter().enumerate() {
            let Action::File(files) = &step.action else { continue };
            for kept in apps {
                if let Before::Files(moved) = &kept.was {
                    let warnings = file::commit(self.root, files, moved).map_err(|error| of_step(step, error))?;
                    let lines = warnings.into_iter().map(|what| format!("{}: {what}", step.name));
                    self.warnings.entry(number).or_default().extend(lines);
                }
            }
        }
        Ok(())
    }
}

fn moved_files_of(remembered: &StepRecord) -> impl Iterator<Item = (&Step, &file::MovedFile)> {
    file::moved(&remembered.apps).map(|aside| (&remembered.step, aside))
}

struct DatabaseStep<'a> {
    root: &'a Path,
    tree: &'a Tree,
    databases: &'a Databases,
    step: &'a Step,
    rows: &'a Rows,
    warnings: &'a mut Vec<String>,
}

impl DatabaseStep<'_> {
    fn act(&mut self, apps: &mut Vec<AppRecord>) -> Result<()> {
        let (step, rows) = (self.step, self.rows);
        let paths = self.tree.databases(&rows.database)?;
        let (mut matched, mut exists) = (apps.len(), false);
        let index = index(apps);
        for path in &paths {
            match self.act_on(path, apps) {
                Ok(None) => {}
                Ok(Some(acted)) => {
                    exists = true;
                    matched += acted.matched;
                    self.warnings.extend(acted.warnings.iter().map(|what| format!("{}: {what}", step.name)));
                    let place = (paths.len() > 1).then_some(path);
                    acted.rows.into_iter().for_each(|row| remember(apps, &index, step, place, row));
                }
                Err(Failure::Missing(what)) if step.optional => {
                    self.warnings.push(format!("{}: ignored in {path}, because {what}", step.name));
                }
                Err(failure) => return Err(explain(path, &failure)),
            }
        }
        if paths.is_empty() {
            paths::refuse_link(self.root, &rows.database)?;
            if !step.optional {
                return Err(missing_database(&rows.database));
            }
        }
        // A console without notifications is nothing unusual.
        if exists && matched == 0 && step.at == Moment::Restore && !is_of_console(step) {
            self.warnings.push(nothing_matched(step));
        }
        Ok(())
    }

    /// `None` if the step does not apply to this database.
    fn act_on(&self, path: &RelPath, apps: &[AppRecord]) -> Result<Option<sqlite::StepEffect>, Failure> {
        let connection = self.databases.connection(path).map_err(|bug| Failure::Refused(bug.to_string()))?;
        if !sqlite::exists(connection, self.rows)? {
            return Ok(None);
        }
        if self.step.at == Moment::Release {
            // It acts at release; check now that it can.
            return sqlite::inspect(connection, self.rows).map(|_| Some(sqlite::StepEffect::default()));
        }
        let known = apps.iter().filter_map(|kept| match &kept.was {
            Before::Row(was) if was.database == *path => Some((&*was.key, was)),
            _ => None,
        });
        let known: KnownRows<'_> = known.collect();
        sqlite::act(connection, path, self.rows, &known).map(Some)
    }
}

type Index = HashMap<(RelPath, RowKey), usize>;

/// The position of each row among the apps of a step.
fn index(apps: &[AppRecord]) -> Index {
    let rows = apps.iter().enumerate().filter_map(|(at, kept)| match &kept.was {
        Before::Row(row) => Some(((row.database.clone(), row.key.clone()), at)),
        _ => None,
    });
    rows.collect()
}

/// A row that was recorded before keeps its id.
fn remember(apps: &mut Vec<AppRecord>, index: &Index, step: &Step, place: Option<&RelPath>, row: sqlite::RowBefore) {
    match index.get(&(row.database.clone(), row.key.clone())).and_then(|&at| apps.get_mut(at)) {
        Some(kept) => kept.was = Before::Row(row),
        None => {
            let id = free(id(step, place, &row.name()), apps);
            apps.push(AppRecord { id, was: Before::Row(row) });
        }
    }
}

/// The keys `a,b` `c` and `a` `b,c` look the same, so a number is appended to one of the ids.
pub fn free(id: String, apps: &[AppRecord]) -> String {
    let is_free = |id: &String| apps.iter().all(|kept| kept.id != *id);
    let numbered = (2..).map(|number| format!("{id}-{number}"));
    std::iter::once(id.clone()).chain(numbered).find(is_free).unwrap_or(id)
}

/// `<step> [<file>] <name>`
pub fn id(step: &Step, place: Option<&RelPath>, name: &str) -> String {
    match place {
        Some(path) => format!("{} {path} {name}", step.name),
        None => format!("{} {name}", step.name),
    }
}

pub fn missing_database(glob: &str) -> Error {
    Error::new(Code::AppsUnknown, format!("{glob} does not exist"))
        .hint("correct the profile; if some servers do not have it, set `optional = true` in the step")
}

fn nothing_matched(step: &Step) -> String {
    format!("{}: nothing matched; if an app of this kind should be on, check the profile", step.name)
}
