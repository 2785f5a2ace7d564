//! The steps for the console's own apps. They act beside those of any profile, where the console's database is there.

use super::{QuarantineRecord, record::StepRecord};
use crate::metastore;
use profile::{
    builtin,
    step::{Action, Step},
};
use volume::error::Result;

/// Whether a step acts on the console's database.
#[must_use]
pub fn is_of_console(step: &Step) -> bool {
    matches!(&step.action, Action::Sqlite(rows) if rows.database == metastore::PATH)
}

/// The steps for the console's apps.
///
/// # Errors
/// None: a test reads the profile.
pub fn console_steps() -> Result<Vec<Step>> {
    Ok(builtin::find("moorline")?.read()?.steps)
}

/// These steps, and the console's where its database is there; without them where it is not.
///
/// # Errors
/// As [`console_steps`].
pub fn with_console(mut steps: Vec<Step>, is_there: bool) -> Result<Vec<Step>> {
    steps.retain(|step| !is_of_console(step));
    if is_there {
        steps.extend(console_steps()?);
    }
    Ok(steps)
}

impl QuarantineRecord {
    /// Takes out what is remembered of the console's apps: a memory of its own, which may be of nothing.
    #[must_use]
    pub fn take_console(&mut self) -> Self {
        let is_of_console = |remembered: &StepRecord| is_of_console(&remembered.step);
        let (ours, others) = std::mem::take(&mut self.steps).into_iter().partition(is_of_console);
        self.steps = others;
        let mut console = Self::new();
        console.steps = ours;
        console
    }

    /// Puts it back.
    pub fn put_console(&mut self, console: Self) {
        self.steps.retain(|remembered| !is_of_console(&remembered.step));
        self.steps.extend(console.steps);
    }

    /// Whether any of the console's apps is off.
    #[must_use]
    pub fn has_console_apps(&self) -> bool {
        self.steps.iter().any(|remembered| is_of_console(&remembered.step) && !remembered.apps.is_empty())
    }
}
