//! Looking at the scripts of a volume: which are waiting, what became of the others, why one is not run.

use std::path::Path;

use super::{
    copy,
    ledger::{Entry, Ledger, Outcome, State},
    scan::{self, Script, Skipped},
    stage::Stage,
};
use seqbac_header::RelPath;
use volume::{Volume, error::Result};

/// What there is to say about the scripts of a volume.
#[derive(Debug, Default)]
pub struct Report {
    /// The next start runs these.
    pub waiting: Vec<RelPath>,
    /// These run once the server is healthy.
    pub after_start: Vec<RelPath>,
    /// These run at every start.
    pub every_start: Vec<RelPath>,
    /// These are done: the names of their marks, or their own where nothing could be renamed.
    pub done: Vec<RelPath>,
    /// These were set aside.
    pub failed: Vec<RelPath>,
}

/// Looks at the scripts of a volume, and changes nothing.
///
/// # Errors
/// Where a folder or the ledger cannot be read.
pub fn report(volume: &Volume, seqinit: &Path) -> Result<Report> {
    let folder = volume.init();
    let ledger = Ledger::load(volume)?;
    let mut names = scan::names(&folder)?;
    let after_start = scan::names_of(Stage::AfterStart, &folder)?;
    names.scripts.extend(after_start.scripts);
    names.marked.extend(after_start.marked);
    let mut report = Report { every_start: scan::names_of(Stage::EveryStart, &folder)?.scripts, ..Report::default() };
    for name in names.scripts {
        if find(&name, &folder, &ledger)?.is_ok() {
            let later = name.parent().is_some();
            if later { &mut report.after_start } else { &mut report.waiting }.push(name);
        } else if let Some(Entry { state: State::Marked { outcome, in_place: true }, .. }) = ledger.find(&name) {
            report.list(*outcome).push(name);
        }
    }
    for name in scan::names(seqinit)?.scripts {
        let Ok(script) = scan::open(seqinit, &name)? else { continue };
        if copy::check(&script, &folder, &ledger)?.is_ok() && !report.waiting.contains(&name) {
            report.waiting.push(name);
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

/// A script of `Init/` that is waiting, or why it is not run.
pub(super) fn find(name: &RelPath, folder: &Path, ledger: &Ledger) -> Result<std::result::Result<Script, Skipped>> {
    let script = match scan::open(folder, name)? {
        Ok(script) => script,
        Err(skipped) => return Ok(Err(skipped)),
    };
    let entry = ledger.find(&script.name);
    let changed = entry.is_some_and(|entry| entry.hash != script.hash);
    let path = script.path.display();
    if let Some(State::Marked { outcome, in_place: true }) = entry.map(|entry| &entry.state) {
        return Ok(match (outcome, changed) {
            (Outcome::Failed, true) => Ok(script),
            (Outcome::Done, true) => Err(copy::changed(&script)),
            (_, false) => {
                let what = &outcome.suffix()[1..];
                Err(Skipped::info(format!("{path} is not run again: the ledger says that it is {what}")))
            }
        });
    }
    if !scan::is_marked(folder, &script.name, Outcome::Done)? {
        return Ok(Ok(script));
    }
    let and_changed = if changed { " (and it has changed since it was done)" } else { "" };
    Ok(Err(Skipped::warning(format!(
        "{path} is not run, because {} is there{and_changed}: remove or rename that to run it again, or give the script another name",
        script.name.with_suffix(".done"),
    ))))
}
