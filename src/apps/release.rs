//! Apps put back as they were: the steps that act at release, then the others undone, last step first.
//!
//! All is undone inside open transactions and in memory before the first of it is made final. A crash between two
//! databases leaves the memory of those that are not done; to begin again is to go on.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
};

use super::{
    Chosen, Keep, Left, Memory, Outcome, Release, ReleasedStep, Value,
    choose::choose,
    databases::{Databases, explain},
    memory::{Kept, Remembered, Was},
    quarantine::of_step,
    sqlite::{self, Failure, Known, RowWas, Undo},
    tree::Tree,
};
use crate::{
    error::{IoContext, Result},
    profile::step::{Action, Moment, Rows, Step},
    store::is_database,
    volume::RelPath,
};

/// Puts the chosen apps back as they were, in the tree at `root`: the steps that run at release in order, then the
/// others in reverse. What is put back, and what cannot be, is taken out of the memory; `keep` is called with it after
/// each database and file.
///
/// # Errors
/// `NotFound` where something chosen is no app, naming those that are near. Where something cannot be read or
/// written: what was done until then is done, and kept.
pub fn release(root: &Path, memory: &mut Memory, chosen: &Chosen, keep: Keep<'_>) -> Result<Release> {
    let mut plan = Plan { chosen: choose(memory, chosen)?, ..Plan::default() };
    if plan.chosen.iter().flatten().any(|&chosen| chosen) {
        let mut databases = plan.begin(root, memory)?;
        plan.undo(&databases, memory)?;
        let report = plan.report(memory);
        plan.commit(&mut databases, memory, keep)?;
        memory.requested.remove(chosen);
        keep(memory)?;
        return Ok(report);
    }
    memory.requested.remove(chosen);
    Ok(Release::default())
}

/// What became of the app of this number, of the step of this number.
type Verdicts = HashMap<(usize, usize), Verdict>;

#[derive(Debug)]
enum Verdict {
    Outcome(Outcome),
    /// Another step, of this name, changed the same row later, and is to be undone first.
    Covered(String),
}

#[derive(Default)]
struct Plan {
    chosen: Vec<Vec<bool>>,
    verdicts: Verdicts,
    /// Databases in which a queue may have been dropped: to be final before what would have sent it is on.
    first: BTreeSet<RelPath>,
    warnings: Vec<String>,
}

impl Plan {
    /// Lets the steps of the moment act, and opens every database that an app is in.
    fn begin(&mut self, root: &Path, memory: &Memory) -> Result<Databases> {
        let steps = || memory.steps.iter().map(|remembered| &remembered.step).filter(|step| step.at == Moment::Release);
        let tree = Tree::of(root, steps())?;
        self.first = tree.all_databases(steps())?;
        let mut paths = self.first.clone();
        for (step, kept) in self.chosen_apps(memory) {
            if let Was::Row(row) = &kept.was
                && !paths.contains(&row.database)
                && is_there(root, &row.database).map_err(|error| of_step(&step.step, error))?
            {
                paths.insert(row.database.clone());
            }
        }
        let databases = Databases::begin(root, paths)?;
        for step in steps() {
            self.act(&tree, &databases, step).map_err(|error| of_step(step, error))?;
        }
        Ok(databases)
    }

    fn chosen_apps<'m>(&self, memory: &'m Memory) -> impl Iterator<Item = (&'m Remembered, &'m Kept)> {
        let steps = memory.steps.iter().zip(&self.chosen);
        steps.flat_map(|(remembered, chosen)| {
            let apps = remembered.apps.iter().zip(chosen).filter(|(_, chosen)| **chosen);
            apps.map(move |(kept, _)| (remembered, kept))
        })
    }

    /// One step that acts at release. What it needs may be gone in a newer version of the server: nothing to act on.
    fn act(&mut self, tree: &Tree, databases: &Databases, step: &Step) -> Result<()> {
        let Action::Sqlite(rows) = &step.action else { return Ok(()) };
        let paths = tree.databases(&rows.database)?;
        if paths.is_empty() && !step.optional {
            self.warnings.push(format!("{}: {} is not there any more", step.name, rows.database));
        }
        for path in &paths {
            match act_on(databases.connection(path)?, path, rows) {
                Err(Failure::Missing(_)) if step.optional => {}
                Err(Failure::Missing(what)) => self.warnings.push(format!("{}: {path}: {what}", step.name)),
                other => other.map_err(|failure| explain(path, &failure))?,
            }
        }
        Ok(())
    }

    /// Last step first, and of each the last app first.
    fn undo(&mut self, databases: &Databases, memory: &Memory) -> Result<()> {
        let open: HashSet<RelPath> = databases.paths().into_iter().collect();
        let mut covers = Covers::default();
        for (number, remembered) in memory.steps.iter().enumerate().rev() {
            let mut tables = HashMap::new();
            for (at, kept) in remembered.apps.iter().enumerate().rev() {
                if !self.is_chosen(number, at) {
                    continue;
                }
                let verdict = match (&kept.was, covers.name(remembered, kept)) {
                    (_, Some(name)) => Verdict::Covered(name.to_owned()),
                    (Was::Row(row), None) if !open.contains(&row.database) => {
                        Verdict::Outcome(Outcome::Left(format!("{} is gone", row.database)))
                    }
                    (Was::Row(row), None) => {
                        let outcome = undo_row(databases, &mut tables, remembered, row);
                        Verdict::Outcome(outcome.map_err(|error| of_step(&remembered.step, error))?)
                    }
                    (Was::Given, None) => Verdict::Outcome(Outcome::Released),
                };
                self.verdicts.insert((number, at), verdict);
            }
            covers.add(remembered, &self.chosen[number]);
        }
        Ok(())
    }

    fn is_chosen(&self, step: usize, app: usize) -> bool {
        self.chosen.get(step).and_then(|apps| apps.get(app)).is_some_and(|chosen| *chosen)
    }

    /// In the order in which they were undone.
    fn report(&mut self, memory: &Memory) -> Release {
        let steps = memory.steps.iter().enumerate().rev();
        let steps = steps.filter_map(|(number, remembered)| {
            let verdicts = remembered
                .apps
                .iter()
                .enumerate()
                .filter_map(|(at, kept)| self.verdicts.get(&(number, at)).map(|verdict| (kept, verdict)));
            let mut step = ReleasedStep { step: remembered.step.name.clone(), released: 0, of: 0, left: Vec::new() };
            for (kept, verdict) in verdicts {
                step.of += 1;
                match verdict.left() {
                    None => step.released += 1,
                    Some((why, remembered)) => step.left.push(Left { id: kept.id.clone(), why, remembered }),
                }
            }
            (step.of > 0).then_some(step)
        });
        Release { steps: steps.collect(), warnings: std::mem::take(&mut self.warnings) }
    }

    /// Makes it final, store by store, and forgets what is done.
    fn commit(&mut self, databases: &mut Databases, memory: &mut Memory, keep: Keep<'_>) -> Result<()> {
        let mut paths = databases.paths();
        paths.sort_by_key(|path| !self.first.contains(path));
        for path in paths {
            databases.commit(&path)?;
            self.forget(memory, |was| matches!(was, Was::Row(row) if row.database == path));
            keep(memory)?;
        }
        self.forget(memory, |_| true);
        Ok(())
    }

    /// Takes apps out of the memory whose outcome is final.
    fn forget(&mut self, memory: &mut Memory, is_done: impl Fn(&Was) -> bool) {
        let mut left = Verdicts::new();
        for (number, remembered) in memory.steps.iter_mut().enumerate() {
            let mut at_now = 0;
            for (at, kept) in std::mem::take(&mut remembered.apps).into_iter().enumerate() {
                let verdict = self.verdicts.remove(&(number, at));
                if matches!(verdict, Some(Verdict::Outcome(_))) && is_done(&kept.was) {
                    continue;
                }
                if let Some(verdict) = verdict {
                    left.insert((number, at_now), verdict);
                }
                at_now += 1;
                remembered.apps.push(kept);
            }
        }
        self.verdicts = left;
    }
}

impl Verdict {
    /// Why the app is left as it is, and whether it is still remembered.
    fn left(&self) -> Option<(String, bool)> {
        match self {
            Self::Outcome(Outcome::Released) => None,
            Self::Outcome(Outcome::Left(why)) => Some((why.clone(), false)),
            Self::Covered(step) => {
                Some((format!("the step \"{step}\" changed it later: release that first, or both"), true))
            }
        }
    }
}

/// Database, table and key.
type Place = (RelPath, String, Vec<(String, Value)>);

/// Rows that steps have changed which are not to be undone now: what was changed before cannot be put back beneath.
#[derive(Default)]
struct Covers {
    rows: HashMap<Place, String>,
}

impl Covers {
    fn add(&mut self, remembered: &Remembered, chosen: &[bool]) {
        for (kept, _) in remembered.apps.iter().zip(chosen).filter(|(_, chosen)| !**chosen) {
            if let Some(place) = place(remembered, kept) {
                self.rows.insert(place, remembered.step.name.clone());
            }
        }
    }

    fn name(&self, remembered: &Remembered, kept: &Kept) -> Option<&str> {
        if self.rows.is_empty() {
            return None;
        }
        self.rows.get(&place(remembered, kept)?).map(String::as_str)
    }
}

fn place(remembered: &Remembered, kept: &Kept) -> Option<Place> {
    match (&kept.was, rows(&remembered.step)) {
        (Was::Row(row), Some(rows)) => Some((row.database.clone(), rows.table.to_lowercase(), row.key.clone())),
        _ => None,
    }
}

fn rows(step: &Step) -> Option<&Rows> {
    match &step.action {
        Action::Sqlite(rows) => Some(rows),
        _ => None,
    }
}

fn act_on(connection: &rusqlite::Connection, path: &RelPath, rows: &Rows) -> std::result::Result<(), Failure> {
    if sqlite::exists(connection, rows)? {
        sqlite::act(connection, path, rows, &Known::new())?;
    }
    Ok(())
}

fn undo_row<'d>(
    databases: &'d Databases,
    tables: &mut HashMap<RelPath, std::result::Result<Undo<'d>, String>>,
    remembered: &Remembered,
    row: &RowWas,
) -> Result<Outcome> {
    let Some(rows) = rows(&remembered.step) else { return Ok(Outcome::Left("its step is on no database".to_owned())) };
    if !tables.contains_key(&row.database) {
        let undo = match Undo::of(databases.connection(&row.database)?, &rows.table) {
            Err(Failure::Missing(what)) => Err(what),
            other => Ok(other.map_err(|failure| explain(&row.database, &failure))?),
        };
        tables.insert(row.database.clone(), undo);
    }
    match tables.get_mut(&row.database) {
        Some(Ok(undo)) => undo.row(row).map_err(|failure| explain(&row.database, &failure)),
        Some(Err(what)) => Ok(Outcome::Left(what.clone())),
        None => Ok(Outcome::Left(format!("{} is gone", row.database))),
    }
}

/// Whether there is a database. To be asked before any is open.
fn is_there(root: &Path, path: &RelPath) -> Result<bool> {
    let path = path.under(root);
    match path.symlink_metadata() {
        Ok(meta) if meta.is_file() => is_database(&path).on("read", &path),
        _ => Ok(false),
    }
}
