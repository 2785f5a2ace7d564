//! Apps put back as they were: the steps that act at release, then the others undone, last step first.
//!
//! ```text
//! JSON documents   in memory                        read before any database is opened
//! databases        in open transactions
//! committed        first of all what drops a queue; then databases, documents, and files, app by app
//! ```
//! A crash in between leaves the memory of what is not done; to begin again is to go on.

mod covers;
mod rows;

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
};

use self::{covers::Covers, rows::TableUndo};
use super::{
    Chosen, Persist, Left, Outcome, QuarantineRecord, Release, ReleasedStep,
    choose::choose,
    databases::Databases,
    file,
    json::Drafts,
    record::{Before, AppRecord, StepRecord},
    switch_off::of_step,
    tree::{self, Tree},
};
use profile::step::{Action, Moment, Step};
use seqbac_header::RelPath;
use volume::error::Result;

/// Puts the chosen apps back as they were, in the tree at `root`: the steps that run at release in order, then the
/// others in reverse. What is put back, and what cannot be, is taken out of the memory; `keep` is called with it after
/// each database, after the JSON documents, and after each step on files.
///
/// # Errors
/// `NotFound` where something chosen is no app, naming those that are near. Where something cannot be read or
/// written: what was done until then is done, and kept.
pub fn release(root: &Path, memory: &mut QuarantineRecord, chosen: &Chosen, keep: Persist<'_>) -> Result<Release> {
    let whole = memory.clone();
    let mut plan = Plan::new(root, &whole, choose(&whole, chosen)?);
    if plan.chosen.iter().flatten().any(|&chosen| chosen) {
        plan.documents()?;
        let mut databases = plan.databases()?;
        plan.undo_rows(&databases)?;
        plan.commit(&mut databases, memory, keep)?;
    }
    Ok(plan.report())
}

/// The number of a step, and that of one of its apps.
type At = (usize, usize);

#[derive(Debug)]
enum Verdict {
    /// It is put back, or is not.
    Outcome(Outcome),
    /// Another step, of this name, changed the same row later, and is to be undone first.
    Covered(String),
}

struct Plan<'m> {
    root: &'m Path,
    whole: &'m QuarantineRecord,
    chosen: Vec<Vec<bool>>,
    drafts: Drafts,
    verdicts: HashMap<At, Verdict>,
    /// Apps whose verdict is final: they are forgotten.
    done: BTreeSet<At>,
    /// Databases in which a queue may have been dropped: to be final before what would have sent it is on.
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

    fn steps_of_the_moment(&self) -> impl Iterator<Item = &'m Step> + use<'m> {
        self.whole.steps.iter().map(|remembered| &remembered.step).filter(|step| step.at == Moment::Release)
    }

    /// The chosen apps of a step, the last first.
    fn apps(&self, number: usize) -> Vec<(usize, &'m AppRecord)> {
        let chosen = |at: usize| self.chosen.get(number).and_then(|apps| apps.get(at)).is_some_and(|chosen| *chosen);
        let apps = self.whole.steps.get(number).map_or(&[][..], |remembered| &remembered.apps);
        apps.iter().enumerate().rev().filter(|(at, _)| chosen(*at)).collect()
    }

    /// Steps, the last first, with their numbers.
    fn steps(&self) -> impl Iterator<Item = (usize, &'m StepRecord)> + use<'m> {
        self.whole.steps.iter().enumerate().rev()
    }

    /// All that concerns JSON, in memory; and what takes no more than to be forgotten.
    fn documents(&mut self) -> Result<()> {
        for step in self.steps_of_the_moment() {
            if let Action::Json(nodes) = &step.action {
                let acted = self.drafts.switch_off(self.root, &step.name, nodes, true, Vec::new());
                acted.map_err(|error| of_step(step, error))?;
            }
        }
        self.drafts.these_first();
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

    /// Opens every database that is concerned, and lets the steps of the moment act.
    fn databases(&mut self) -> Result<Databases> {
        let tree = Tree::of(self.root, self.steps_of_the_moment())?;
        self.first = tree.all_databases(self.steps_of_the_moment())?;
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
        for step in self.steps_of_the_moment() {
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

    /// Makes it final, store by store, and forgets what is done.
    fn commit(&mut self, databases: &mut Databases, memory: &mut QuarantineRecord, keep: Persist<'_>) -> Result<()> {
        self.drop_files()?;
        let (first, others): (Vec<_>, Vec<_>) =
            databases.paths().into_iter().partition(|path| self.first.contains(path));
        self.commit_all(first, databases, memory, keep)?;
        if self.drafts.changed().next().is_some() {
            self.drafts.commit(self.root)?;
            self.forget(|was| matches!(was, Before::Node(_)), memory, keep)?;
        }
        self.commit_all(others, databases, memory, keep)?;
        self.files(memory, keep)?;
        // What needed no store, or has none any more.
        self.forget(|_| true, memory, keep)
    }

    fn commit_all(
        &mut self,
        paths: Vec<RelPath>,
        databases: &mut Databases,
        memory: &mut QuarantineRecord,
        keep: Persist<'_>,
    ) -> Result<()> {
        for path in paths {
            databases.commit(&path)?;
            self.forget(|was| matches!(was, Before::Row(row) if row.database == path), memory, keep)?;
        }
        Ok(())
    }

    fn drop_files(&mut self) -> Result<()> {
        for step in self.steps_of_the_moment() {
            if let Action::File(files) = &step.action {
                let warnings = file::prepare(self.root, &step.name, files, true, Vec::new())
                    .and_then(|kept| file::commit(self.root, files, &moved_files(kept)))
                    .map_err(|error| of_step(step, error))?;
                self.warnings.extend(warnings.into_iter().map(|what| format!("{}: {what}", step.name)));
            }
        }
        Ok(())
    }

    fn files(&mut self, memory: &mut QuarantineRecord, keep: Persist<'_>) -> Result<()> {
        for (number, remembered) in self.steps() {
            let Action::File(files) = &remembered.step.action else { continue };
            for (at, kept) in self.apps(number) {
                if let Before::Files(moved) = &kept.was {
                    let outcome = file::put_back(self.root, files, moved);
                    let outcome = outcome.map_err(|error| of_step(&remembered.step, error))?;
                    self.verdicts.insert((number, at), Verdict::Outcome(outcome));
                    self.forget(|was| was == &kept.was, memory, keep)?;
                }
            }
        }
        Ok(())
    }

    /// Takes apps out of the memory that have their outcome, and keeps what is left.
    fn forget(
        &mut self,
        is_final: impl Fn(&Before) -> bool,
        memory: &mut QuarantineRecord,
        keep: Persist<'_>,
    ) -> Result<()> {
        for (number, remembered) in self.steps() {
            let has_outcome = |at: usize| matches!(self.verdicts.get(&(number, at)), Some(Verdict::Outcome(_)));
            let apps = remembered.apps.iter().enumerate().filter(|(at, kept)| has_outcome(*at) && is_final(&kept.was));
            self.done.extend(apps.map(|(at, _)| (number, at)));
        }
        for (number, (remembered, left)) in self.whole.steps.iter().zip(&mut memory.steps).enumerate() {
            let apps = remembered.apps.iter().enumerate().filter(|(at, _)| !self.done.contains(&(number, *at)));
            left.apps = apps.map(|(_, kept)| kept.clone()).collect();
        }
        keep(memory)
    }

    /// In the order in which they were undone.
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

fn moved_files(kept: Vec<AppRecord>) -> Vec<file::MovedFile> {
    kept.into_iter().flat_map(|kept| kept.was.into_files()).collect()
}
