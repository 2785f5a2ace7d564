//! The apps of the metastore, as far as sending needs them.

use engine::sealed::Seal;
use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    signal::{self, SignalExpression, Signals},
    suppression,
};
use crate::Console;
use engine::metastore;
use seqbac_header::SecretKey;
use volume::{error::Result, events::Stored};

/// An app that is on.
#[derive(Debug, Clone, Default)]
pub struct App {
    /// The instance's id.
    pub id: String,
    /// Which app it is.
    pub app_id: String,
    /// What people call it.
    pub title: String,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// For how long events are suppressed after the first of them.
    pub suppression: Option<SignedDuration>,
    /// How many of them are sent all the same.
    pub events_per_window: u64,
    /// What people call this console.
    pub instance_title: Option<String>,
    /// Which events it is sent; all, where nobody says.
    pub(super) signal: Wanted,
    pub(super) signals: Signals,
    pub(super) secrets: BTreeMap<String, String>,
}

/// Which events an app is sent.
#[derive(Debug, Clone, Default)]
pub(super) enum Wanted {
    #[default]
    All,
    Of(SignalExpression),
    /// What is said makes no sense.
    None,
}

impl App {
    /// Whether it is to be sent an event.
    #[must_use]
    pub fn matches(&self, event: &Stored) -> bool {
        match &self.signal {
            Wanted::All => true,
            Wanted::Of(signal) => signal.matches(&self.signals, event),
            Wanted::None => false,
        }
    }

    /// With its secrets among its settings.
    ///
    /// # Errors
    /// Where another key has sealed one.
    pub fn with_secrets(mut self, key: &SecretKey) -> Result<Self> {
        for (name, sealed) in std::mem::take(&mut self.secrets) {
            let setting = name.rsplit('/').next().unwrap_or_default().to_owned();
            let opened = key.unseal(&name, &sealed)?;
            self.settings.insert(setting, opened.as_str().to_owned());
        }
        Ok(self)
    }
}

/// The ids of the apps that are on.
///
/// # Errors
/// Where the metastore cannot be read.
pub async fn on(console: &Console) -> Result<Vec<String>> {
    let path = metastore::file(&console.volume);
    let read = |connection: &Connection| {
        let mut query =
            connection.prepare("SELECT id FROM appinstances WHERE is_disabled = 0 AND accept_streamed_events <> 0")?;
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
    };
    console.database.call(move |connection| read(connection).map_err(|cause| metastore::explain(&path, &cause))).await
}

/// The app of this id, where it is on.
///
/// # Errors
/// Where the metastore cannot be read.
pub async fn find(console: &Arc<Console>, id: &str) -> Result<Option<App>> {
    let path = metastore::file(&console.volume);
    let id = id.to_owned();
    console
        .database
        .call(move |connection| read(connection, &id).map_err(|cause| metastore::explain(&path, &cause)))
        .await
}

fn read(connection: &Connection, id: &str) -> rusqlite::Result<Option<App>> {
    let select = "SELECT id, app_id, title, settings, streamed_signal_expression, suppression_time, \
                  events_per_suppression_window FROM appinstances \
                  WHERE id = ?1 AND is_disabled = 0 AND accept_streamed_events <> 0";
    let Some(mut app) = connection.query_row(select, [id], of_row).optional()? else { return Ok(None) };
    app.signals = signal::all(connection)?;
    let prefix = format!("appinstances/{id}/");
    let mut query = connection.prepare("SELECT name, sealed FROM secrets WHERE substr(name, 1, ?2) = ?1")?;
    let length = i64::try_from(prefix.chars().count()).unwrap_or(0);
    let rows = query.query_map((&prefix, length), |row| Ok((row.get(0)?, row.get(1)?)))?;
    app.secrets = rows.collect::<rusqlite::Result<_>>()?;
    let title = metastore::setting(connection, "InstanceTitle")?.and_then(|text| serde_json::from_str(&text).ok());
    app.instance_title = title.filter(|title: &String| !title.trim().is_empty());
    Ok(Some(app))
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<App> {
    let expression: Option<String> = row.get(4)?;
    let suppression: Option<String> = row.get(5)?;
    let per_window: Option<i64> = row.get(6)?;
    Ok(App {
        id: row.get(0)?,
        app_id: row.get(1)?,
        title: row.get(2)?,
        settings: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default(),
        suppression: suppression.and_then(|text| suppression::parse(&text).ok().flatten()),
        events_per_window: per_window.and_then(|count| u64::try_from(count).ok()).unwrap_or(1).max(1),
        signal: match expression.as_deref().filter(|text| *text != "null") {
            None => Wanted::All,
            Some(text) => serde_json::from_str(text).map_or(Wanted::None, Wanted::Of),
        },
        ..App::default()
    })
}

/// A backup that failed, so many minutes after three.
#[cfg(test)]
pub(super) fn event_at(minute: u32) -> Stored {
    let event = serde_json::json!({
        "@t": format!("2026-03-10T{:02}:{:02}:00Z", 3 + minute / 60, minute % 60),
        "@mt": "Backup failed: {Error}", "@l": "Error", "@i": "BackupFailed", "Error": "disk full",
    });
    let fields = event.as_object().cloned().unwrap_or_default();
    Stored { place: volume::events::Place { day: "20260310".to_owned(), offset: u64::from(minute) }, fields }
}
