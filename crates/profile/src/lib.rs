//! What a server's state is, what its apps are, when it is healthy, and how its backups are called.
//!
//! A profile is one TOML file ([`written`]), or nobody has described the server: then what is below the storage root
//! decides ([`discovery`]), and what its apps are is unknown. [`choice`] is the one way to a volume's profile.

pub mod builtin;
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
    choice::Choice,
    health::Health,
    scope::{PathKind, Scope},
    written::Written,
};
use volume::error::Result;

/// What a server's state is, and what its apps are.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name. Discovery has none.
    pub name: Option<String>,
    /// What the names of backup files begin with.
    pub prefix: String,
    /// Its stores.
    pub scope: Scope,
    /// When it counts as healthy, where the profile says.
    pub health: Option<Health>,
    /// What its apps are.
    pub apps: Apps,
    /// What switches them off, in this order; undone in reverse.
    pub steps: Vec<Step>,
}

/// What a profile says about the apps of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Apps {
    /// Nobody has said.
    Unknown,
    /// The server has none.
    None,
    /// Those that the steps find.
    Listed,
}

/// What the names of backup files begin with where no profile says otherwise.
pub const DEFAULT_PREFIX: &str = "seq";

impl Profile {
    /// The profile of a server that nobody has described.
    ///
    /// # Errors
    /// Where `.moorlineignore` cannot be read, or has a line that makes no sense.
    pub fn discover(root: &Path) -> Result<Self> {
        let scope = discovery::discovered(root)?;
        Ok(Self {
            name: None,
            prefix: DEFAULT_PREFIX.to_owned(),
            scope,
            health: None,
            apps: Apps::Unknown,
            steps: Vec::new(),
        })
    }
}
