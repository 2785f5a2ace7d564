//! What every part of the console shares.

use std::{collections::BTreeMap, sync::Arc};

use super::{Database, Jobs};
use engine::metastore;
use process::{Own, Variables};
use profile::Choice;
use seqbac_header::SecretKey;
use volume::{Volume, error::Result};

/// The console's process, shared by its tasks as `Arc<Console>`.
#[derive(Debug)]
pub struct Console {
    /// The volume.
    pub volume: Volume,
    /// Its profile.
    pub profile: Choice,
    /// The instance's own secret key.
    pub key: Arc<SecretKey>,
    /// Users, keys, signals, apps, settings.
    pub database: Database,
    /// This program, for the verbs that are its children.
    pub own: Own,
    /// The environment that they get.
    pub environment: Variables,
    /// Settings that the environment decides, by the names of `api/settings`.
    pub fixed: BTreeMap<&'static str, serde_json::Value>,
    /// What is done by children.
    pub jobs: Jobs,
    /// Told whenever a setting was changed, so that the schedule is what it says at once.
    pub settings: tokio::sync::watch::Sender<()>,
}

impl Console {
    /// Writes down what every verb needs of the settings.
    ///
    /// # Errors
    /// Where the metastore cannot be read, or the volume not be written.
    pub async fn mirror_settings(&self) -> Result<()> {
        let volume = self.volume.clone();
        self.database.call(move |connection| metastore::mirror(connection, &volume)).await
    }
}
