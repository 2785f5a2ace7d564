//! Profiles: TOML files that describe a server's state, its apps, its health check and the names of its backups.
//!
//! This crate reads and validates profiles. It does not act on a volume: matching globs, running steps and checking
//! health belong to `engine` and to PID 1. Without a profile, every file and database below the storage root is state,
//! and the apps are unknown.
//!
//! - `lib.rs` (this file): [`Profile`], the form that the rest of the program uses
//! - `choice.rs`: which profile applies: `--profile` or `MOORLINE_PROFILE`, then the image's file, then none
//! - `builtin.rs`: the built-in profiles (`builtin/*.toml`), their marks, and suggestions for a misspelt name
//! - `discovery.rs`: the state without a profile, and `.moorlineignore`
//! - `written.rs`: reads a profile: `name`, `prefix`, `apps`, `[state]` and `[health]`
//! - `capture.rs`: reads the `[[capture]]` tables: commands that copy a live database
//! - `quarantine.rs`: reads the `[[quarantine]]` steps of a profile; `values.rs`: the values and conditions in them
//! - `document.rs`: typed access to the TOML tables, and errors with line, key and suggestion
//! - `step.rs`: a quarantine step, as it is executed and as `quarantine.json` stores it
//! - `scope.rs`: the globs of the state, and their syntax
//! - `health.rs`: health checks (`http://…`, `tcp:…`, `alive:…`); `duration.rs`: durations such as `30s` or `7d`

pub mod builtin;
pub mod capture;
pub mod choice;
pub mod discovery;
mod document;
pub mod duration;
pub mod health;
mod quarantine;
pub mod scope;
pub mod step;
mod values;
pub mod written;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::step::Step;
pub use self::{
    capture::Capture,
    choice::Choice,
    health::Health,
    scope::{PathKind, Scope},
    written::Written,
};
use volume::error::Result;

/// The description of the server on a volume: a profile file, or the result of discovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// `None` if the state was discovered.
    pub name: Option<String>,
    /// Prefix of the file names of scheduled backups.
    pub prefix: String,
    /// The stores.
    pub scope: Scope,
    /// Globs of foreign databases whose copies are accepted although they are in use.
    pub accept_live: Vec<String>,
    /// The health check, if the profile has one.
    pub health: Option<Health>,
    /// Whether the profile lists the apps.
    pub apps: Apps,
    /// The steps that switch apps off, in this order. Release undoes them in reverse order.
    pub steps: Vec<Step>,
    /// The commands that copy live databases.
    pub captures: Vec<Capture>,
}

/// Whether it is known which apps the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apps {
    /// The profile does not say, or no profile applies.
    Unknown,
    /// The server has no apps.
    None,
    /// The steps of the profile find them.
    Listed,
}

/// Prefix of the file names of scheduled backups, unless the profile sets one.
pub const DEFAULT_PREFIX: &str = "seq";

impl Profile {
    /// The profile of a volume to which no profile applies. Fails if `.moorlineignore` cannot be read.
    pub fn discover(root: &Path) -> Result<Self> {
        let scope = discovery::discovered(root)?;
        Ok(Self {
            name: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            scope,
            accept_live: Vec::new(),
            health: None,
            apps: Apps::Unknown,
            steps: Vec::new(),
            captures: Vec::new(),
        })
    }
}
