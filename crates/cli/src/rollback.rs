//! `moorline rollback`: brings back the state that a restore replaced; lists or deletes kept states.

use clap::Args;

use super::{Context, ServerStopped, confirm, in_script::Replacing, output};
use engine::restore::{self, JournalState, PastRestore, RestoreSource};
use seqbac_header::Id;
use volume::error::Result;

/// Bring back the state that a restore replaced
///
/// The state that the rollback replaces is kept as well, so a rollback can be undone.
#[derive(Debug, Args)]
pub struct Rollback {
    /// ID of the restore to undo [default: the newest]
    id: Option<Id>,
    /// List the restores, and the size of the replaced state that is kept
    #[arg(long, conflicts_with_all = ["id", "discard"])]
    list: bool,
    /// Delete the state that this restore replaced
    #[arg(long, value_name = "ID", conflicts_with = "id")]
    discard: Option<Id>,
    /// Do not ask for confirmation
    #[arg(short, long = "yes")]
    yes: bool,
    #[command(flatten)]
    server: ServerStopped,
    /// In an init script: the script handles a failure itself, so a failure does not make the script fail
    #[arg(long)]
    may_fail: bool,
    /// Print the result as a JSON object
    #[arg(long)]
    json: bool,
}

impl Rollback {
    pub(super) fn replacing(&self) -> Option<Replacing> {
        (!self.list && self.discard.is_none()).then_some(Replacing { command: "rollback", may_fail: self.may_fail })
    }

    pub(super) fn run(self, context: &Context) -> Result<()> {
        let volume = context.volume()?;
        volume.prepare()?;
        if self.list {
            let kept = restore::history(&volume)?;
            return output::result(self.json, &serde_json::json!({ "restores": kept }), |_| show(&kept));
        }
        let question = match (self.discard, self.id) {
            (Some(id), _) => format!("delete the state that restore {id} replaced?"),
            (None, Some(id)) => format!("bring back the state that restore {id} replaced?"),
            (None, None) => "bring back the state that the newest restore replaced?".to_owned(),
        };
        confirm::ask(&question, self.yes)?;
        let _lock = context.lock_and_recover(&volume, "rollback", self.server.answer())?;
        if let Some(id) = self.discard {
            let bytes = restore::discard(&volume, id)?;
            let discarded = serde_json::json!({"discarded": id, "bytes": bytes});
            return output::result(self.json, &discarded, |_| {
                output::answer(&format!("deleted the state that restore {id} replaced: {}", output::size(bytes)));
            });
        }
        let step = context.environment.script_step()?;
        let in_script = step.is_some();
        let done = restore::rollback(&volume, self.id, step)?;
        output::result(self.json, &done, |done| {
            let (restore, restored, id) = (done.restore, done.restored, done.id);
            let line = format!("undid restore {restore} of {restored:.0}; to redo it: `moorline rollback {id}`");
            // In a script, stdout is the container's log, where each line of moorline says so.
            if in_script { log::info!("{line}") } else { output::answer(&line) }
        })
    }
}

fn show(kept: &[PastRestore]) {
    let rows = kept.iter().map(|kept| {
        let state = match (kept.state, kept.can_roll_back) {
            (JournalState::Done, true) => "can be undone",
            (JournalState::Done, false) => "old state not kept",
            (JournalState::Undone, _) => "failed, old state intact",
            (JournalState::Commit | JournalState::Undoing, _) => "unfinished",
        };
        let from = match &kept.source {
            RestoreSource::Backup { file, .. } => output::printable(file),
            RestoreSource::Rollback { of } => format!("rollback of {of}"),
        };
        [kept.id.to_string(), format!("{:.0}", kept.restored), state.to_owned(), output::size(kept.bytes), from]
    });
    output::table(["RESTORE", "TIME", "STATE", "SIZE", "FROM"], rows);
}
