//! The state that all tasks of the console share.

use std::{collections::BTreeMap, sync::Arc};

use super::{Database, Jobs};
use engine::metastore;
use process::{Own, Variables};
use profile::Choice;
use seqbac_header::SecretKey;
use volume::{Volume, error::Result};

/// Shared as `Arc<Console>`.
#[derive(Debug)]
pub struct Console {
    pub volume: Volume,
    pub profile: Choice,
    pub key: Arc<SecretKey>,
    /// The metastore: users, API keys, signals, app instances, settings.
    pub database: Database,
    /// This program, for children.
    pub own: Own,
    /// The environment of children.
    pub environment: Variables,
    /// Values of settings from the environment, by the names in `api/settings`.
    pub fixed: BTreeMap<&'static str, serde_json::Value>,
    pub jobs: Jobs,
    /// Notified after each change of a setting, so that the scheduler applies it immediately.
    pub settings: tokio::sync::watch::Sender<()>,
}

impl Console {
    /// Mirrors the settings that every command needs from the metastore to `.moorline/settings.json`.
    pub async fn mirror_settings(&self) -> Result<()> {
        let volume = self.volume.clone();
        self.database.call(move |connection| metastore::mirror(connection, &volume)).await
    }
}
