//! What a server's state is, and how its backups are called.
//!
//! Nobody has described the server: what is below the storage root decides ([`discovery`]), and what its apps are is
//! unknown.

pub mod discovery;
pub mod step;

use std::path::Path;

use serde::{Deserialize, Serialize};

use self::step::Step;
use crate::{error::Result, store::Scope};

/// What a server's state is, and what its apps are.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name. Discovery has none.
    pub name: Option<String>,
    /// What the names of backup files begin with.
    pub prefix: String,
    /// Its stores.
    pub scope: Scope,
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
        Ok(Self { name: None, prefix: DEFAULT_PREFIX.to_owned(), scope, apps: Apps::Unknown, steps: Vec::new() })
    }
}
