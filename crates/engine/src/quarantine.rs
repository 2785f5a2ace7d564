//! Apps switched off in a restored copy, remembered, and put back on when a person says so.
//!
//! ```text
//! quarantine   every step acts in memory or inside an open transaction: databases, JSON documents, files
//!              what had been on is handed to the caller to keep       a crash up to here leaves all as it was
//!              commit, store by store                                 a crash in here is made good by doing it again
//! release      the steps that run at release, then the others undone, last step first
//!              commit, store by store; after each, what is left is handed to the caller to keep
//! ```
//! The invariant: **nothing is changed before what it was is kept.** What is kept says all that release needs, the steps
//! included: the profile may be another one by then, or gone. Either may be done again after a crash, and comes to the
//! same: what is off already is not remembered anew, and what has its old value already counts as released.
//!
//! This room knows no server, takes no lock, and prints nothing. That no server has the state open is the caller's
//! business.

mod align;
mod choose;
mod console;
mod databases;
pub mod file;
pub mod json;
mod inspect;
mod paths;
pub mod record;
mod release;
pub mod sqlite;
mod switch_off;
mod tree;
pub mod value;

use serde::Serialize;

pub use self::{
    choose::refuse_unknown,
    console::{console_steps, is_of_console, with_console},
    inspect::{inspect, inspect_unreplaced},
    record::{App, Before, AppRecord, AppKind, QuarantineRecord, StepRecord, Requests, by_step, failed, in_words},
    release::release,
    switch_off::quarantine,
    value::ColumnValue,
};
use profile::step::Moment;
use volume::error::Result;

/// Which apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    All,
    /// Those with these ids, and those of the steps with these names.
    Named(Vec<String>),
}

/// Hands over what is to be kept, to be durable before it returns.
pub type Persist<'a> = &'a mut dyn FnMut(&QuarantineRecord) -> Result<()>;

/// What a release came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Step by step, in the order in which they were undone.
    pub steps: Vec<ReleasedStep>,
    /// What a person should know besides.
    pub warnings: Vec<String>,
}

/// What became of the apps of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleasedStep {
    /// The step's name.
    pub step: String,
    /// How many are as they were before quarantine.
    pub released: usize,
    /// Of how many that were chosen.
    pub of: usize,
    /// Those that are not.
    pub left: Vec<Left>,
}

/// An app that was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
    /// Whether it can still be released: otherwise it was forgotten, so that quarantine can end.
    pub remembered: bool,
}

/// What became of one app when it was to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is as it was before quarantine.
    Released,
    /// It was left as it is, for this reason.
    Left(String),
}

/// What a step finds, where it would only look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepInspection {
    /// The step's name.
    pub step: String,
    /// When it acts.
    pub at: Moment,
    /// The ids of the apps that it would switch off.
    pub apps: Vec<String>,
    /// What is not there that it needs; of no consequence where the step is optional.
    pub missing: Vec<String>,
    /// Whether the step may do without.
    pub optional: bool,
    /// Whether its `when` says that it does not exist here.
    pub absent: bool,
}
