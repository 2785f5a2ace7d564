//! `moorline rollback`: bring back what a restore replaced.

use std::process::ExitCode;

use clap::Args;

use super::{Context, confirm, in_script::Replacing, output};
use engine::restore::{self, JournalState, PastRestore, RestoreSource};
use seqbac_header::Id;
use volume::{Lock, error::Result};

/// Bring back what a restore replaced
///
/// The state that is replaced by this is kept in turn.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The restore to take back [default: the newest]
    id: Option<Id>,
    /// Show the restores that were made, and what is kept of what they replaced
    #[arg(long, conflicts_with_all = ["id", "discard"])]
    list: bool,
    /// Delete what this restore replaced
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    discard: Option<Id>,
    /// Do it without asking
    #[arg(short, long = "yes")]
    yes: bool,
    /// In an init script: the script handles a failure, and does not fail with it
    #[arg(long)]
    may_fail: bool,
    /// Print the result as an object
    #[arg(long)]
    pub(super) json: bool,
}

impl Rollback {
    pub(super) fn replacing(&self) -> Option<Replacing> {
        (!self.list && self.discard.is_none()).then_some(Replacing { command: "rollback", may_fail: self.may_fail })
    }

    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let volume = context.volume()?;
        volume.prepare()?;
        if self.list {
            let kept = restore::history(&volume)?;
            if self.json {
                output::object(&serde_json::json!({ "restores": kept }))?;
            } else {
                show(&kept);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let question = match (self.discard, self.id) {
            (Some(id), _) => format!("delete what the restore {id} replaced?"),
            (None, Some(id)) => format!("bring back what the restore {id} replaced?"),
            (None, None) => "bring back what the newest restore replaced?".to_owned(),
        };
        confirm::ask(&question, self.yes)?;
        let _lock = Lock::take(&volume, "rollback", context.inherited_lock(&volume))?;
        for line in restore::recover(&volume)? {
            log::info!("{line}");
        }
        if let Some(id) = self.discard {
            let bytes = restore::discard(&volume, id)?;
            match self.json {
                true => output::object(&serde_json::json!({"discarded": id, "bytes": bytes}))?,
                false => output::answer(&format!("deleted what the restore {id} replaced: {}", output::size(bytes))),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let done = restore::rollback(&volume, self.id, context.environment.script_step()?)?;
        match self.json {
            true => output::object(&done)?,
            false => output::answer(&format!(
                "took back the restore {} of {:.0}; `moorline rollback {}` undoes this",
                done.restore, done.restored, done.id
            )),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(kept: &[PastRestore]) {
    let rows = kept.iter().map(|kept| {
        let state = match (kept.state, kept.can_roll_back) {
            (JournalState::Done, true) => "can be taken back",
            (JournalState::Done, false) => "nothing kept",
            (JournalState::Undone, _) => "failed, undone",
            (JournalState::Commit | JournalState::Undoing, _) => "unfinished",
        };
        let from = match &kept.source {
            RestoreSource::Backup { file, .. } => output::printable(file),
            RestoreSource::Rollback { of } => format!("rollback of {of}"),
        };
        [kept.id.to_string(), format!("{:.0}", kept.restored), state.to_owned(), output::size(kept.bytes), from]
    });
    output::table(["RESTORE", "MADE", "STATE", "SIZE", "FROM"], rows);
}
