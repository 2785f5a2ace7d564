//! Inspecting the scripts of a volume: which ones are waiting, done or failed, and why one does not run.

use std::path::Path;

use super::{
    broken::{Broken, Rejected, second_source},
    copy,
    ledger::{Entry, Ledger, Outcome, RunState},
    scan::{self, Script, Skipped},
    stage::Stage,
};
use seqbac_header::RelPath;
use volume::{Volume, error::Result};

/// The scripts of a volume, by state.
#[derive(Debug, Default)]
pub struct Report {
    /// The next start runs these.
    pub waiting: Vec<RelPath>,
    /// These run once the server is healthy.
    pub after_start: Vec<RelPath>,
    /// These run at every start.
    pub every_start: Vec<RelPath>,
    /// These are done: the names of their `.done` files, or their own if they could not be renamed.
    pub done: Vec<RelPath>,
    /// These have failed and do not run again.
    pub failed: Vec<RelPath>,
}

/// Inspects the scripts of a volume without changing anything.
pub fn report(volume: &Volume, seqinit: &Path) -> Result<Report> {
    let folder = volume.init();
    let ledger = Ledger::load(volume)?;
    let mut names = scan::listed(scan::names(&folder));
    let after_start = scan::listed(scan::names_of(Stage::AfterStart, &folder));
    names.scripts.extend(after_start.scripts);
    names.marked.extend(after_start.marked);
    let mut report =
        Report { every_start: scan::listed(scan::names_of(Stage::EveryStart, &folder)).scripts, ..Report::default() };
    for name in names.scripts {
        if !matches!(find(&name, &folder, &ledger), Err(Rejected::Skipped(_))) {
            let later = name.parent().is_some();
            if later { &mut report.after_start } else { &mut report.waiting }.push(name);
        } else if let Some(Entry { state: RunState::Marked { outcome, in_place: true }, .. }) = ledger.find(&name) {
            report.list(*outcome).push(name);
        }
    }
    for name in scan::listed(scan::names(seqinit)).scripts {
        let is_waiting = !matches!(copy::find(&name, seqinit, &folder, &ledger), Err(Rejected::Skipped(_)));
        let is_broken = || matches!(scan::open(seqinit, &name), Err(Rejected::Broken(_)));
        if is_waiting && !report.waiting.contains(&name) {
            report.waiting.push(name);
        } else if !is_waiting && ledger.find(&second_source(&name)).is_some() && is_broken() {
            report.failed.push(name);
        }
    }
    for name in names.marked {
        let ends_in = |outcome: &Outcome| name.as_bytes().ends_with(outcome.suffix().as_bytes());
        if let Some(outcome) = [Outcome::Done, Outcome::Failed].into_iter().find(ends_in) {
            report.list(outcome).push(name);
        }
    }
    report.waiting.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
    Ok(report)
}

impl Report {
    fn list(&mut self, outcome: Outcome) -> &mut Vec<RelPath> {
        match outcome {
            Outcome::Done => &mut self.done,
            Outcome::Failed => &mut self.failed,
        }
    }
}

/// Opens a script of `Init/` that is waiting; else the reason why it does not run.
pub(super) fn find(name: &RelPath, folder: &Path, ledger: &Ledger) -> std::result::Result<Script, Rejected> {
    let script = match scan::open(folder, name) {
        Err(Rejected::Broken(broken)) => return Err(broken.unless_concluded(folder, ledger)),
        other => other?,
    };
    let entry = ledger.find(&script.name);
    let changed = entry.is_some_and(|entry| entry.hash != script.hash);
    let path = script.path.display();
    if let Some(RunState::Marked { outcome, in_place: true }) = entry.map(|entry| &entry.state) {
        return match (outcome, changed) {
            (Outcome::Failed, true) => Ok(script),
            (Outcome::Done, true) => Err(copy::changed(&script).into()),
            (_, false) => {
                let what = &outcome.suffix()[1..];
                Err(Skipped::info(format!("{path} does not run again, because the ledger records it as {what}")).into())
            }
        };
    }
    let is_done = scan::is_marked(folder, &script.name, Outcome::Done);
    if !is_done.map_err(|error| Broken::unknown(&script.path, &script.name, error))? {
        return Ok(script);
    }
    let and_changed = if changed { " (the script has changed since it ran)" } else { "" };
    Err(Skipped::warning(format!(
        "{path} does not run, because {} exists{and_changed}; to run it again, remove or rename that file, or rename the script",
        script.name.with_suffix(".done"),
    ))
    .into())
}
