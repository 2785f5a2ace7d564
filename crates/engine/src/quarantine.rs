//! Apps switched off in a tree of files, recorded, and released when the user asks for it.
//!
//! ```text
//! quarantine   every step acts in memory or in an open transaction: databases, JSON documents, files
//!              the caller persists what was on before                 a crash up to here leaves everything as it was
//!              commit, store by store                                 after a crash in here, run it again
//! release      the steps that run at release, then the others undone, last step first
//!              commit, store by store; after each, the caller persists what is left
//! ```
//! The invariant: **nothing changes before its previous value is durable.** The record contains everything that release
//! needs, including the steps, because the profile may be another one by then, or gone. Both operations are idempotent
//! after a crash: an app that is off already is not recorded again, and an app that has its old value already counts as
//! released.
//!
//! This module does not know restores, takes no lock, and prints nothing. The caller ensures that no server has the state
//! open.

mod align;
mod choose;
mod console;
mod databases;
mod file;
mod inspect;
pub mod json;
mod parts;
mod paths;
pub(crate) mod record;
mod release;
mod sqlite;
mod switch_off;
mod tree;
mod value;

use self::value::ColumnValue;
use crate::prelude::*;

pub(crate) use self::{
    choose::refuse_unknown,
    console::{is_of_console, with_console},
    inspect::inspect_unreplaced,
    parts::keep_reachable,
    record::failed,
};
pub use self::{
    console::console_steps,
    inspect::inspect,
    record::{App, AppKind, AppRecord, Before, QuarantineRecord, Requests, by_step, in_words},
    release::release,
    switch_off::quarantine,
};

/// Which apps to release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All apps that are off.
    All,
    /// Apps with these ids, and all apps of steps with these names.
    Named(Vec<String>),
}

/// Makes the record durable before it returns.
pub type Persist<'a> = &'a mut dyn FnMut(&QuarantineRecord) -> Result<()>;

/// The result of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Release {
    /// In the order in which the steps were undone.
    pub steps: Vec<ReleasedStep>,
    /// Other warnings for the user.
    pub warnings: Vec<String>,
}

/// The released apps of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleasedStep {
    /// The name of the step.
    pub step: String,
    /// How many apps are as they were before quarantine.
    pub released: usize,
    /// How many apps were chosen.
    pub of: usize,
    /// Chosen apps that were not released.
    pub left: Vec<Left>,
}

/// A chosen app that was not released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// The id of the app.
    pub id: String,
    /// The reason, for the user.
    pub why: String,
    /// Whether it can still be released. If not, it was removed from the record, because quarantine could never end
    /// otherwise.
    pub remembered: bool,
}

/// The result for one app that was to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it was before quarantine.
    Released,
    /// It was left as it is, for this reason.
    Left(String),
}

/// The result of a dry run of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepInspection {
    /// The name of the step.
    pub step: String,
    /// When the step acts.
    pub at: Moment,
    /// The ids of the apps that it would switch off.
    pub apps: Vec<String>,
    /// Files, tables and columns that it needs and does not find. No fault if the step is optional.
    pub missing: Vec<String>,
    /// Whether the step is `optional`.
    pub optional: bool,
    /// Whether its `when` is false here.
    pub absent: bool,
}
