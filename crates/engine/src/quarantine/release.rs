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

use std::collections::BTreeSet;

use self::{covers::Covers, rows::TableUndo};
use super::{
    Chosen, Left, Outcome, Persist, QuarantineRecord, Release, ReleasedStep,
    choose::refuse_unknown,
    databases::Databases,
    file,
    json::Drafts,
    record::{AppRecord, Before, StepRecord},
    switch_off::of_step,
    tree::{self, Tree},
};
use crate::prelude::*;

/// Releases the chosen apps in the tree at `root`. Apps that are released, and those that cannot be, are removed from
/// the record. Calls `persist` after each database, after the JSON documents, and after each app of files.
///
/// The error is `NotFound` for an unknown name, with similar ones. After an I/O error, everything released before it is
/// done and persisted.
pub fn release(root: &Path, record: &mut QuarantineRecord, chosen: &Chosen, persist: Persist<'_>) -> Result<Release> {
    refuse_unknown(record, chosen)?;
    let whole = record.clone();
    let mut plan = Plan::new(root, &whole, chosen, record, persist);
    if plan.steps.iter().flat_map(|step| &step.apps).any(|app| app.chosen) {
        plan.documents()?;
        let mut databases = plan.databases()?;
        plan.undo_rows(&databases)?;
        plan.commit(&mut databases)?;
    }
    Ok(plan.report())
}

struct Plan<'m> {
    root: &'m Path,
    /// The steps that act at release.
    acting: Vec<&'m Step>,
    /// All steps, last one first.
    steps: Vec<StepPlan<'m>>,
    drafts: Drafts,
    /// Databases in which a step may have emptied a queue. We commit them first, because the apps that send its content
    /// must not be on before.
    first: BTreeSet<RelPath>,
    warnings: Vec<String>,
    record: &'m mut QuarantineRecord,
    persist: Persist<'m>,
}

struct StepPlan<'m> {
    recorded: &'m StepRecord,
    apps: Vec<AppPlan<'m>>,
}

struct AppPlan<'m> {
    recorded: &'m AppRecord,
    chosen: bool,
    verdict: Option<Verdict>,
    /// Whether it is removed from the record.
    done: bool,
}

#[derive(Debug)]
enum Verdict {
    Outcome(Outcome),
    /// The step of this name changed the same row later, and must be undone first.
    Covered(String),
}

impl<'m> StepPlan<'m> {
    fn new(recorded: &'m StepRecord, chosen: &Chosen) -> Self {
        let app = |app: &'m AppRecord| {
            let chosen = match chosen {
                Chosen::All => true,
                Chosen::Named(names) => names.iter().any(|name| recorded.is_named(app, name)),
            };
            AppPlan { recorded: app, chosen, verdict: None, done: false }
        };
        Self { recorded, apps: recorded.apps.iter().map(app).collect() }
    }

    /// The chosen apps, last one first.
    fn chosen(&mut self) -> impl Iterator<Item = &mut AppPlan<'m>> {
        self.apps.iter_mut().rev().filter(|app| app.chosen)
    }
}

impl<'m> Plan<'m> {
    fn new(
        root: &'m Path,
        whole: &'m QuarantineRecord,
        chosen: &Chosen,
        record: &'m mut QuarantineRecord,
        persist: Persist<'m>,
    ) -> Self {
        let acting = whole.steps.iter().map(|recorded| &recorded.step).filter(|step| step.at == Moment::Release);
        let steps = whole.steps.iter().rev().map(|recorded| StepPlan::new(recorded, chosen)).collect();
        let (drafts, first, warnings) = (Drafts::default(), BTreeSet::new(), Vec::new());
        Self { root, acting: acting.collect(), steps, drafts, first, warnings, record, persist }
    }

    /// Handles JSON documents, in memory, and the apps that only have to be removed from the record.
    fn documents(&mut self) -> Result<()> {
        for step in &self.acting {
            if let Action::Json(nodes) = &step.action {
                let acted = self.drafts.switch_off(self.root, &step.name, nodes, true, Vec::new());
                acted.map_err(|error| of_step(step, error))?;
            }
        }
        self.drafts.write_changed_first();
        let mut covers = Covers::default();
        for step in &mut self.steps {
            let recorded = step.recorded;
            if let Action::Json(nodes) = &recorded.step.action {
                let (mut apps, mut chosen) = (Vec::new(), Vec::new());
                for app in step.chosen() {
                    let Before::Node(node) = &app.recorded.was else { continue };
                    match covers.name_of_node(node) {
                        Some(name) => app.verdict = Some(Verdict::Covered(name.to_owned())),
                        None => {
                            apps.push(app);
                            chosen.push(node);
                        }
                    }
                }
                let outcomes = self.drafts.put_back(self.root, nodes, &chosen);
                let outcomes = outcomes.map_err(|error| of_step(&recorded.step, error))?;
                for (app, outcome) in apps.into_iter().zip(outcomes) {
                    app.verdict = Some(Verdict::Outcome(outcome));
                }
                covers.add(step);
            }
            for app in step.chosen().filter(|app| app.recorded.was == Before::Given) {
                app.verdict = Some(Verdict::Outcome(Outcome::Released));
            }
        }
        Ok(())
    }

    /// Opens all databases involved, and runs the steps that act at release.
    fn databases(&mut self) -> Result<Databases> {
        let tree = Tree::of(self.root, self.acting.iter().copied())?;
        self.first = tree.all_databases(self.acting.iter().copied())?;
        let mut paths = self.first.clone();
        for step in &mut self.steps {
            let recorded = &step.recorded.step;
            for app in step.chosen() {
                if let Before::Row(row) = &app.recorded.was
                    && !paths.contains(&row.database)
                    && tree::is_there(self.root, &row.database).map_err(|error| of_step(recorded, error))?
                {
                    paths.insert(row.database.clone());
                }
            }
        }
        let databases = Databases::begin(self.root, paths)?;
        for step in &self.acting {
            if let Action::Sqlite(rows) = &step.action {
                let acted = rows::act(&databases, &tree, step, rows, &mut self.warnings);
                acted.map_err(|error| of_step(step, error))?;
            }
        }
        Ok(databases)
    }

    fn undo_rows(&mut self, databases: &Databases) -> Result<()> {
        let mut covers = Covers::default();
        for step in &mut self.steps {
            let recorded = step.recorded;
            let Action::Sqlite(rows) = &recorded.step.action else { continue };
            let mut undoing = TableUndo::of(databases, rows);
            for app in step.chosen() {
                let Before::Row(row) = &app.recorded.was else { continue };
                app.verdict = Some(match covers.name(recorded, app.recorded) {
                    Some(name) => Verdict::Covered(name.to_owned()),
                    None => Verdict::Outcome(undoing.row(row).map_err(|error| of_step(&recorded.step, error))?),
                });
            }
            covers.add(step);
        }
        Ok(())
    }

    /// Commits store by store, and removes released apps from the record.
    fn commit(&mut self, databases: &mut Databases) -> Result<()> {
        self.drop_files()?;
        let (first, others): (Vec<_>, Vec<_>) =
            databases.paths().into_iter().partition(|path| self.first.contains(path));
        self.commit_all(first, databases)?;
        if self.drafts.changed().next().is_some() {
            self.drafts.commit(self.root)?;
            self.forget(|was| matches!(was, Before::Node(_)))?;
        }
        self.commit_all(others, databases)?;
        self.files()?;
        // Apps without a store, or whose store does not exist any more.
        self.forget(|_| true)
    }

    fn commit_all(&mut self, paths: Vec<RelPath>, databases: &mut Databases) -> Result<()> {
        paths.into_iter().try_for_each(|path| {
            databases.commit(&path)?;
            self.forget(|was| matches!(was, Before::Row(row) if row.database == path))
        })
    }

    fn drop_files(&mut self) -> Result<()> {
        for step in &self.acting {
            if let Action::File(files) = &step.action {
                let warnings = file::prepare(self.root, &step.name, files, true, Vec::new())
                    .and_then(|kept| file::commit(self.root, files, &file::moved(&kept).cloned().collect::<Vec<_>>()))
                    .map_err(|error| of_step(step, error))?;
                self.warnings.extend(warnings.into_iter().map(|what| format!("{}: {what}", step.name)));
            }
        }
        Ok(())
    }

    fn files(&mut self) -> Result<()> {
        for number in 0..self.steps.len() {
            let recorded = self.steps[number].recorded;
            let Action::File(files) = &recorded.step.action else { continue };
            for at in (0..recorded.apps.len()).rev() {
                let app = &mut self.steps[number].apps[at];
                let was = &app.recorded.was;
                if let (true, Before::Files(moved)) = (app.chosen, was) {
                    let outcome = file::put_back(self.root, files, moved);
                    let outcome = outcome.map_err(|error| of_step(&recorded.step, error))?;
                    app.verdict = Some(Verdict::Outcome(outcome));
                    self.forget(|other| other == was)?;
                }
            }
        }
        Ok(())
    }

    /// Removes apps with an outcome from the record, and persists it.
    fn forget(&mut self, is_final: impl Fn(&Before) -> bool) -> Result<()> {
        for (step, left) in self.steps.iter_mut().rev().zip(&mut self.record.steps) {
            for app in &mut step.apps {
                app.done |= matches!(app.verdict, Some(Verdict::Outcome(_))) && is_final(&app.recorded.was);
            }
            left.apps = step.apps.iter().filter(|app| !app.done).map(|app| app.recorded.clone()).collect();
        }
        (self.persist)(self.record)
    }

    fn report(self) -> Release {
        let steps = self.steps.into_iter().filter_map(|plan| {
            let step = plan.recorded.step.name.clone();
            let mut step = ReleasedStep { step, released: 0, of: 0, left: Vec::new() };
            for AppPlan { recorded, verdict, .. } in plan.apps {
                let (why, remembered) = match verdict {
                    None => continue,
                    Some(Verdict::Outcome(Outcome::Released)) => {
                        step.released += 1;
                        continue;
                    }
                    Some(Verdict::Outcome(Outcome::Left(why))) => (why, false),
                    Some(Verdict::Covered(by)) => {
                        (format!("the step \"{by}\" changed it later: release that first, or both"), true)
                    }
                };
                step.left.push(Left { id: recorded.id.clone(), why, remembered });
            }
            step.of = step.released + step.left.len();
            (step.of > 0).then_some(step)
        });
        Release { steps: steps.collect(), warnings: self.warnings }
    }
}
