//! The state that all tasks share, the state of all routes, and [`blocking`] for work on files.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Database, Jobs,
    auth::{Logins, Principal},
    pages::Comparisons,
};
use engine::{metastore, trust::Trust};
use process::{Own, Variables};
use profile::Choice;
use seqbac_header::SecretKey;
use volume::{
    Volume,
    error::{Code, Error, Result},
    events::{self, Event, Kind},
};

#[derive(Debug)]
pub(crate) struct Console {
    pub volume: Volume,
    pub profile: Choice,
    pub key: Arc<SecretKey>,
    /// The metastore: users, API keys, signals, app instances, settings.
    pub database: Database,
    pub own: Own,
    pub environment: Variables,
    /// Values of settings from the environment, by the names in `api/settings`.
    pub fixed: BTreeMap<&'static str, serde_json::Value>,
    pub jobs: Jobs,
    /// The private CAs of servers that receive notifications.
    pub trust: Trust,
    /// Notified after each change of a setting, so that the scheduler applies it immediately.
    pub settings: tokio::sync::watch::Sender<()>,
}

impl Console {
    /// Mirrors the settings that every command needs from the metastore to `.moorline/settings.json`.
    pub(crate) async fn mirror_settings(&self) -> Result<()> {
        let volume = self.volume.clone();
        self.database.call(move |connection| metastore::mirror(connection, &volume)).await
    }
}

#[derive(Debug)]
pub(crate) struct Site {
    pub console: Arc<Console>,
    pub logins: Logins,
    /// `MOORLINE_FIRSTRUN_NOAUTHENTICATION`: without a login, other hosts get access, too.
    pub open_to_all: bool,
    /// Whether it listens on a loopback address.
    pub is_local: bool,
    /// Whether the console is the server itself, so that a restore needs a restart of the console.
    pub is_server: bool,
    pub comparisons: Comparisons,
    /// Whether it listens with TLS, so that cookies need `Secure`.
    pub is_tls: bool,
}

impl Site {
    /// Records that a principal created, changed or removed an object; `property` is the event's name for its title.
    pub(crate) fn record(&self, kind: Kind, (property, title): (&str, &str), by: &Principal) {
        events::record(&self.console.volume, &Event::new(kind).with(property, title).with("By", by.name()));
    }

    /// Call this after a change of settings: it mirrors them to the volume, and wakes the scheduler.
    pub(crate) async fn settings_changed(&self) -> Result<()> {
        self.console.mirror_settings().await?;
        self.console.settings.send_replace(());
        Ok(())
    }
}

/// Runs blocking work on another thread, because a single thread serves all requests.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Error::new(Code::TryAgain, "the console is stopping"))?
}
