//! A quarantine record that is split into the apps inside a part of the tree and the others, and two such records joined.

use super::{
    QuarantineRecord, paths,
    record::{AppRecord, Before, StepRecord},
    switch_off::free,
    tree::Tree,
};
use crate::prelude::*;

/// Keeps the steps that can act in the tree at `root`, which is a part of the state.
pub(crate) fn keep_reachable(root: &Path, steps: &mut Vec<Step>) -> Result<()> {
    let tree = Tree::of(root, steps.iter())?;
    for step in std::mem::take(steps) {
        let is_reachable = match &step.action {
            Action::Sqlite(rows) => !tree.databases(&rows.database)?.is_empty(),
            Action::Json(nodes) => !paths::is_nothing(root, &nodes.files)?,
            Action::File(files) => !paths::is_nothing(root, &files.files)?,
            Action::Env(_) | Action::Args(_) => true,
        };
        if is_reachable {
            steps.push(step);
        }
    }
    Ok(())
}

impl QuarantineRecord {
    /// The apps inside the part, and the others. What the server gets as variables or arguments is in no part.
    pub(crate) fn split(self, is_inside: impl Fn(&RelPath) -> bool) -> (Self, Self) {
        let (mut inside, mut outside) = (self.clone(), self);
        inside.keep_apps(|app| app.paths().into_iter().any(&is_inside));
        outside.keep_apps(|app| !app.paths().into_iter().any(&is_inside));
        (inside, outside)
    }

    fn keep_apps(&mut self, is_kept: impl Fn(&AppRecord) -> bool) {
        for StepRecord { apps, .. } in &mut self.steps {
            apps.retain(&is_kept);
        }
        self.steps.retain(|kept| !kept.apps.is_empty() || kept.step.at == Moment::Release);
    }

    /// Adds the steps of `later`, which acted after these ones on other files.
    #[must_use]
    pub(crate) fn join(mut self, later: Self) -> Self {
        self.restore = later.restore.or(self.restore);
        for StepRecord { step, apps } in later.steps {
            let Some(known) = self.steps.iter_mut().find(|known| known.step == step) else {
                self.steps.push(StepRecord { step, apps });
                continue;
            };
            for app in apps {
                let is_given = |known: &AppRecord| known.was == Before::Given && known.id == app.id;
                if !known.apps.iter().any(is_given) {
                    let id = free(app.id, &known.apps);
                    known.apps.push(AppRecord { id, was: app.was });
                }
            }
        }
        self
    }
}

impl AppRecord {
    /// The files that it changes, by their names before and after.
    fn paths(&self) -> Vec<&RelPath> {
        match &self.was {
            Before::Row(row) => vec![&row.database],
            Before::Given => Vec::new(),
            Before::Node(node) => vec![&node.file],
            Before::Files(moved) => moved.iter().flat_map(|file| [&file.path, &file.kept]).collect(),
        }
    }
}
