//! The steps for the console's own apps. They act in addition to those of any profile, if the console's database
//! exists.

use super::{QuarantineRecord, record::StepRecord};
use crate::{metastore, prelude::*};
use profile::builtin;

pub(crate) fn is_of_console(step: &Step) -> bool {
    matches!(&step.action, Action::Sqlite(rows) if rows.database == metastore::PATH)
}

/// The steps that switch off the console's webhooks and mails. Does not fail in practice, because a test reads the
/// built-in profile.
pub fn console_steps() -> Result<Vec<Step>> {
    Ok(builtin::find("moorline")?.read()?.steps)
}

/// Replaces the console's steps in `steps`: adds them if its database exists, removes them otherwise.
pub(crate) fn with_console(mut steps: Vec<Step>, is_there: bool) -> Result<Vec<Step>> {
    steps.retain(|step| !is_of_console(step));
    if is_there {
        steps.extend(console_steps()?);
    }
    Ok(steps)
}

impl QuarantineRecord {
    /// Moves the entries of the console's apps into a separate record, which may be empty.
    pub(crate) fn take_console(&mut self) -> Self {
        let is_of_console = |remembered: &mut StepRecord| is_of_console(&remembered.step);
        let mut console = Self::new();
        console.steps = self.steps.extract_if(.., is_of_console).collect();
        console
    }

    pub(crate) fn put_console(&mut self, console: Self) {
        self.steps.retain(|remembered| !is_of_console(&remembered.step));
        self.steps.extend(console.steps);
    }

    pub(crate) fn has_console_apps(&self) -> bool {
        self.steps.iter().any(|remembered| is_of_console(&remembered.step) && !remembered.apps.is_empty())
    }
}
