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

pub mod memory;
pub mod value;

use std::path::Path;

use serde::Serialize;

pub use self::{
    memory::{App, Kind, Memory, Remembered, Requests},
    value::Value,
};
use crate::{
    error::{Code, Error, Result},
    profile::step::Step,
};

/// Which apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// All of them.
    All,
    /// Those with these ids, and those of the steps with these names.
    Named(Vec<String>),
}

/// Hands over what is to be kept, to be durable before it returns.
pub type Keep<'a> = &'a mut dyn FnMut(&Memory) -> Result<()>;

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

/// What a step finds, where it would only look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The step's name.
    pub step: String,
    /// The ids of the apps that it would switch off.
    pub apps: Vec<String>,
    /// What is not there that it needs; of no consequence where the step is optional.
    pub missing: Vec<String>,
    /// Whether the step may do without.
    pub optional: bool,
    /// Whether its `when` says that it does not exist here.
    pub absent: bool,
}

/// Switches off, in the tree at `root`, the apps that the steps find, in their order. `root` is a restore's stage or the
/// storage root.
///
/// `before` is what a quarantine of this very state remembered; where it remembers an app already, that stands. `keep`
/// is called twice: with `pending` once all is prepared and nothing is changed, and without it when all is done. Returns
/// what was kept last, and what a person should know, a line each.
///
/// # Errors
/// `AppsUnknown`, naming the step: a table, column or file that it needs is not there, or the change cannot be made.
/// Nothing was changed then, unless `keep` has been called.
pub fn quarantine(
    root: &Path,
    steps: &[Step],
    before: Option<Memory>,
    keep: Keep<'_>,
) -> Result<(Memory, Vec<String>)> {
    let _ = (root, steps, before, keep);
    Err(Error::new(Code::Bug, "quarantine is not there yet"))
}

/// Puts the chosen apps back as they were, in the tree at `root`: the steps that run at release in order, then the
/// others in reverse. What is put back, and what cannot be, is taken out of the memory; `keep` is called with it after
/// each database and file.
///
/// # Errors
/// `NotFound` where something chosen is no app, naming those that are near. Where something cannot be read or
/// written: what was done until then is done, and kept.
pub fn release(root: &Path, memory: &mut Memory, chosen: &Chosen, keep: Keep<'_>) -> Result<Release> {
    let _ = (root, memory, chosen, keep);
    Err(Error::new(Code::Bug, "release is not there yet"))
}

/// What each step finds in the tree at `root` as it is now. Reads only; a server may be running.
///
/// # Errors
/// Where something cannot be read, or a step's SQL makes no sense.
pub fn look(root: &Path, steps: &[Step]) -> Result<Vec<Look>> {
    let _ = (root, steps);
    Err(Error::new(Code::Bug, "looking is not there yet"))
}
