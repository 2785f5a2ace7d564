//! A dry run of steps, on a volume that a server may be using.

use rusqlite::config::DbConfig;

use super::{
    StepInspection,
    databases::explain,
    file,
    json::Drafts,
    paths::{self, Directories},
    sqlite::{self, Failure},
    switch_off::{id, of_step},
    tree::Tree,
};
use crate::{prelude::*, store::sqlite::Source};
use profile::step::{Files, Nodes, Rows};

/// A running server holds its locks only briefly.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The apps that each step would switch off in the tree at `root`. A step does not see the changes of the steps before it.
pub fn inspect(root: &Path, steps: &[Step]) -> Result<Vec<StepInspection>> {
    let tree = Tree::of(root, steps.iter())?;
    let root = root.canonicalize().on("find", root)?;
    steps.iter().map(|step| inspect_step(&root, &tree, step).map_err(|error| of_step(step, error))).collect()
}

/// Apps that are on in files and databases that a restore does not replace. The copy's server would act on them,
/// although no step has seen them. Returns the names of the steps, and the paths.
pub fn inspect_unreplaced(
    root: &Path,
    steps: &[Step],
    is_replaced: &dyn Fn(&RelPath) -> bool,
) -> Result<Vec<(String, RelPath)>> {
    let tree = Tree::of(root, steps.iter())?;
    let mut found = Vec::new();
    for step in steps.iter().filter(|step| step.at == Moment::Restore) {
        let paths = match &step.action {
            Action::Sqlite(rows) => tree.databases(&rows.database)?,
            Action::Json(nodes) => paths::files(root, &nodes.files)?,
            Action::File(files) => {
                let entries = paths::entries(root, &files.files, Directories::Whole)?;
                entries.into_iter().map(|(path, _)| path).collect()
            }
            Action::Env(_) | Action::Args(_) => continue,
        };
        for path in paths.into_iter().filter(|path| !is_replaced(path)) {
            let Some(literal) = path.as_path().to_str().map(globset::escape) else { continue };
            let inspections = inspect(root, &[only(step, literal)])?;
            if inspections.iter().any(|inspection| !inspection.apps.is_empty()) {
                found.push((step.name.clone(), path));
            }
        }
    }
    Ok(found)
}

/// The step, restricted to one path.
fn only(step: &Step, path: String) -> Step {
    let mut step = Step { optional: true, ..step.clone() };
    match &mut step.action {
        Action::Sqlite(rows) => rows.database = path,
        Action::Json(nodes) => nodes.files = path,
        Action::File(files) => files.files = path,
        Action::Env(_) | Action::Args(_) => {}
    }
    step
}

fn inspect_step(root: &Path, tree: &Tree, step: &Step) -> Result<StepInspection> {
    let mut inspection = StepInspection {
        step: step.name.clone(),
        at: step.at,
        apps: Vec::new(),
        missing: Vec::new(),
        optional: step.optional,
        absent: false,
    };
    match &step.action {
        Action::Sqlite(rows) => inspect_rows(root, tree, step, rows, &mut inspection)?,
        Action::Json(nodes) => inspection.apps = Drafts::inspect(root, &step.name, nodes)?,
        Action::File(files) if file::inspect(root, files)?.is_empty() => {}
        Action::File(_) | Action::Env(_) | Action::Args(_) => inspection.apps.push(step.name.clone()),
    }
    if let Action::Json(Nodes { files, .. }) | Action::File(Files { files, .. }) = &step.action
        && inspection.apps.is_empty()
        && paths::is_nothing(root, files)?
    {
        inspection.missing.push(format!("{files} does not exist"));
    }
    Ok(inspection)
}

fn inspect_rows(root: &Path, tree: &Tree, step: &Step, rows: &Rows, inspection: &mut StepInspection) -> Result<()> {
    let paths = tree.databases(&rows.database)?;
    let mut exists = paths.is_empty();
    if paths.is_empty() {
        inspection.missing.push(format!("{} does not exist", rows.database));
    }
    for path in &paths {
        let source = Source::open(&path.under(root), BUSY_TIMEOUT)?;
        // As when steps act: a name in double quotes is not a string.
        let strict = source.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false);
        strict.map_err(|cause| explain(path, &cause.into()))?;
        let place = (paths.len() > 1).then_some(path);
        let found = match sqlite::exists(&source.connection, rows) {
            Ok(true) => sqlite::inspect(&source.connection, rows),
            Ok(false) => continue,
            Err(failure) => Err(failure),
        };
        exists = true;
        match found {
            Ok(keys) => inspection.apps.extend(keys.iter().map(|key| id(step, place, key))),
            Err(Failure::Missing(what)) => inspection.missing.push(format!("{path}: {what}")),
            Err(failure) => return Err(explain(path, &failure)),
        }
    }
    inspection.absent = !exists;
    Ok(())
}
