//! Release: the steps that act at release run, then the other steps are undone, last step first.
//!
//! ```text
//! JSON documents   in memory                        read before any database is opened
//! databases        in open transactions
//! commit order     first the steps that empty a queue; then databases, documents, and files, app by app
//! ```
//! After a crash, the record contains everything that is not released yet, so that release can simply run again.

mod covers;
mod rows;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use self::{covers::Covers, rows::TableUndo};
use super::{
    Chosen, Left, Outcome, Persist, QuarantineRecord, Release, ReleasedStep,
    choose::choose,
    databases::Databases,
    file,
    json::Drafts,
    record::{AppRecord, Before, StepRecord},
    switch_off::of_step,
    tree::{self, Tree},
};
use profile::step::{Action, Moment, Step};
use seqbac_header::RelPath;
use volume::error::Result;

/// Releases the chosen apps in the tree at `root`. Apps that are released, and those that cannot be, are removed from
/// the record. Calls `persist` after each database, after the JSON documents, and after each app of files.
///
/// # Errors
/// `NotFound` for an unknown name, with similar ones. After an I/O error, everything released before it is done and
/// persisted.
pub fn release(root: &Path, record: &mut QuarantineRecord, chosen: &Chosen, persist: Persist<'_>) -> Result<Release> {
    let whole = record.clone();
    let mut plan = Plan::new(root, &whole, choose(&whole, chosen)?);
    if plan.chosen.iter().flatten().any(|&chosen| chosen) {
        plan.documents()?;
        let mut databases = plan.databases()?;
        plan.undo_rows(&databases)?;
        plan.commit(&mut databases, record, persist)?;
    }
    Ok(plan.report())
}

/// The index of a step, and that of one of its apps.
type At = (usize, usize);

#[derive(Debug)]
enum Verdict {
    Outcome(Outcome),
    /// The step of this name changed the same row later, and must be undone first.
    Covered(String),
}

struct Plan<'m> {
    root: &'m Path,
    whole: &'m QuarantineRecord,
    chosen: Vec<Vec<bool>>,
    drafts: Drafts,
    verdicts: HashMap<At, Verdict>,
    /// Apps that are removed from the record.
    done: BTreeSet<At>,
    /// Databases in which a step may have emptied a queue. We commit them first, because the apps that send its content
    /// must not be on before.
    first: BTreeSet<RelPath>,
    warnings: Vec<String>,
}

impl<'m> Plan<'m> {
    fn new(root: &'m Path, whole: &'m QuarantineRecord, chosen: Vec<Vec<bool>>) -> Self {
        Self {
            root,
            whole,
            chosen,
            drafts: Drafts::default(),
            verdicts: HashMap::new(),
            done: BTreeSet::new(),
            first: BTreeSet::new(),
            warnings: Vec::new(),
        }
    }

    fn release_steps(&self) -> impl Iterator<Item = &'m Step> + use<'m> {
        self.whole.steps.iter().map(|remembered| &remembered.step).filter(|step| step.at == Moment::Release)
    }

    /// The chosen apps of a step, last one first.
    fn apps(&self, number: usize) -> Vec<(usize, &'m AppRecord)> {
        let chosen = |at: usize| self.chosen.get(number).and_then(|apps| apps.get(at)).is_some_and(|chosen| *chosen);
        let apps = self.whole.steps.get(number).map_or(&[][..], |remembered| &remembered.apps);
        apps.iter().enumerate().rev().filter(|(at, _)| chosen(*at)).collect()
    }

    /// The steps with their indices, last one first.
    fn steps(&self) -> impl Iterator<Item = (usize, &'m StepRecord)> + use<'m> {
        self.whole.steps.iter().enumerate().rev()
    }

    /// Handles JSON documents, in memory, and the apps that only have to be removed from the record.
    fn documents(&mut self) -> Result<()> {
        for step in self.release_steps() {
            if let Action::Json(nodes) = &step.action {
                let acted = self.drafts.switch_off(self.root, &step.name, nodes, true, Vec::new());
                acted.map_err(|error| of_step(step, error))?;
            }
        }
        self.drafts.write_changed_first();
        let mut covers = Covers::default();
        for (number, remembered) in self.steps() {
            let apps = self.apps(number);
            if let Action::Json(nodes) = &remembered.step.action {
                let (mut at, mut nodes_chosen) = (Vec::new(), Vec::new());
                for (app, kept) in &apps {
                    let Before::Node(node) = &kept.was else { continue };
                    match covers.name_of_node(node) {
                        Some(name) => drop(self.verdicts.insert((number, *app), Verdict::Covered(name.to_owned()))),
                        None => {
                            at.push(*app);
                            nodes_chosen.push(node);
                        }
                    }
                }
                covers.add(remembered, self.chosen.get(number).map_or(&[], Vec::as_slice));
                let outcomes = self.drafts.put_back(self.root, nodes, &nodes_chosen);
                let outcomes = outcomes.map_err(|error| of_step(&remembered.step, error))?;
                let verdicts = at.into_iter().zip(outcomes);
                self.verdicts.extend(verdicts.map(|(at, outcome)| ((number, at), Verdict::Outcome(outcome))));
            }
            for (at, _) in apps.iter().filter(|(_, kept)| kept.was == Before::Given) {
                self.verdicts.insert((number, *at), Verdict::Outcome(Outcome::Released));
            }
        }
        Ok(())
    }

    /// Opens all databases involved, and runs the steps that act at release.
    fn databases(&mut self) -> Result<Databases> {
        let tree = Tree::of(self.root, self.release_steps())?;
        self.first = tree.all_databases(self.release_steps())?;
        let mut paths = self.first.clone();
        for (number, remembered) in self.steps() {
            for (_, kept) in self.apps(number) {
                if let Before::Row(row) = &kept.was
                    && !paths.contains(&row.database)
                    && tree::is_there(self.root, &row.database).map_err(|error| of_step(&remembered.step, error))?
                {
                    paths.insert(row.database.clone());
                }
            }
        }
        let databases = Databases::begin(self.root, paths)?;
        for step in self.release_steps() {
            if let Action::Sqlite(rows) = &step.action {
                let acted = rows::act(&databases, &tree, step, rows, &mut self.warnings);
                acted.map_err(|error| of_step(step, error))?;
            }
        }
        Ok(databases)
    }

    fn undo_rows(&mut self, databases: &Databases) -> Result<()> {
        let mut covers = Covers::default();
        for (number, remembered) in self.steps() {
            let Action::Sqlite(rows) = &remembered.step.action else { continue };
            let mut undoing = TableUndo::of(databases, rows);
            for (at, kept) in self.apps(number) {
                let Before::Row(row) = &kept.was else { continue };
                let verdict = match covers.name(remembered, kept) {
                    Some(name) => Verdict::Covered(name.to_owned()),
                    None => Verdict::Outcome(undoing.row(row).map_err(|error| of_step(&remembered.step, error))?),
                };
                self.verdicts.insert((number, at), verdict);
            }
            covers.add(remembered, self.chosen.get(number).map_or(&[], Vec::as_slice));
        }
        Ok(())
    }

    /// Commits store by store, and removes released apps from the record.
    fn commit(&mut self, databases: &mut Databases, record: &mut QuarantineRecord, persist: Persist<'_>) -> Result<()> {
        self.drop_files()?;
        let (first, others): (Vec<_>, Vec<_>) =
            databases.paths().into_iter().partition(|path| self.first.contains(path));
        self.commit_all(first, databases, record, persist)?;
        if self.drafts.changed().next().is_some() {
            self.drafts.commit(self.root)?;
            self.forget(|was| matches!(was, Before::Node(_)), record, persist)?;
        }
        self.commit_all(others, databases, record, persist)?;
        self.files(record, persist)?;
        // Apps without a store, or whose store does not exist any more.
        self.forget(|_| true, record, persist)
    }

    fn commit_all(
        &mut self,
        paths: Vec<RelPath>,
        databases: &mut Databases,
        record: &mut QuarantineRecord,
        persist: Persist<'_>,
    ) -> Result<()> {
        for path in paths {
            databases.commit(&path)?;
            self.forget(|was| matches!(was, Before::Row(row) if row.database == path), record, persist)?;
        }
        Ok(())
    }

    fn drop_files(&mut self) -> Result<()> {
        for step in self.release_steps() {
            if let Action::File(files) = &step.action {
                let warnings = file::prepare(self.root, &step.name, files, true, Vec::new())
                    .and_then(|kept| file::commit(self.root, files, &moved_files(kept)))
                    .map_err(|error| of_step(step, error))?;
                self.warnings.extend(warnings.into_iter().map(|what| format!("{}: {what}", step.name)));
            }
        }
        Ok(())
    }

    fn files(&mut self, record: &mut QuarantineRecord, persist: Persist<'_>) -> Result<()> {
        for (number, remembered) in self.steps() {
            let Action::File(files) = &remembered.step.action else { continue };
            for (at, kept) in self.apps(number) {
                if let Before::Files(moved) = &kept.was {
                    let outcome = file::put_back(self.root, files, moved);
                    let outcome = outcome.map_err(|error| of_step(&remembered.step, error))?;
                    self.verdicts.insert((number, at), Verdict::Outcome(outcome));
                    self.forget(|was| was == &kept.was, record, persist)?;
                }
            }
        }
        Ok(())
    }

    /// Removes apps with an outcome from the record, and persists it.
    fn forget(
        &mut self,
        is_final: impl Fn(&Before) -> bool,
        record: &mut QuarantineRecord,
        persist: Persist<'_>,
    ) -> Result<()> {
        for (number, remembered) in self.steps() {
            let has_outcome = |at: usize| matches!(self.verdicts.get(&(number, at)), Some(Verdict::Outcome(_)));
            let apps = remembered.apps.iter().enumerate().filter(|(at, kept)| has_outcome(*at) && is_final(&kept.was));
            self.done.extend(apps.map(|(at, _)| (number, at)));
        }
        for (number, (remembered, left)) in self.whole.steps.iter().zip(&mut record.steps).enumerate() {
            let apps = remembered.apps.iter().enumerate().filter(|(at, _)| !self.done.contains(&(number, *at)));
            left.apps = apps.map(|(_, kept)| kept.clone()).collect();
        }
        persist(record)
    }

    fn report(self) -> Release {
        let steps = self.steps().filter_map(|(number, remembered)| {
            let mut step = ReleasedStep { step: remembered.step.name.clone(), released: 0, of: 0, left: Vec::new() };
            for (at, kept) in remembered.apps.iter().enumerate() {
                let Some(verdict) = self.verdicts.get(&(number, at)) else { continue };
                step.of += 1;
                match verdict.left() {
                    None => step.released += 1,
                    Some((why, remembered)) => step.left.push(Left { id: kept.id.clone(), why, remembered }),
                }
            }
            (step.of > 0).then_some(step)
        });
        Release { steps: steps.collect(), warnings: self.warnings }
    }
}

impl Verdict {
    /// Why the app was not released, and whether it is still recorded.
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

fn moved_files(kept: Vec<AppRecord>) -> Vec<file::MovedFile> {
    kept.into_iter().flat_map(|kept| kept.was.into_files()).collect()
}
