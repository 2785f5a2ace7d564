//! Reads notifications from the metastore, as far as sending needs them.

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

/// A notification that is switched on.
#[derive(Debug, Clone, Default)]
pub(super) struct Notification {
    pub id: String,
    /// The id of its kind: `app-http` or `app-smtp`.
    pub app_id: String,
    pub title: String,
    pub settings: BTreeMap<String, String>,
    /// Length of the window in which events are limited.
    pub suppression: Option<SignedDuration>,
    /// Number of events that are sent per window.
    pub events_per_window: u64,
    /// The console's `InstanceTitle`.
    pub instance_title: Option<String>,
    pub subscription: Subscription,
    pub signals: Signals,
    /// Encrypted settings, by their name in the table `secrets`.
    pub secrets: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default)]
pub(super) enum Subscription {
    #[default]
    AllEvents,
    Matching(SignalExpression),
    /// The stored expression cannot be parsed. No event matches.
    Invalid,
}

impl Notification {
    pub(super) fn matches(&self, event: &Stored) -> bool {
        match &self.subscription {
            Subscription::AllEvents => true,
            Subscription::Matching(expression) => expression.matches(&self.signals, event),
            Subscription::Invalid => false,
        }
    }

    /// Adds the decrypted secrets to the settings. Fails if another secret key encrypted one of them.
    pub(super) fn with_secrets(mut self, key: &SecretKey) -> Result<Self> {
        for (name, sealed) in std::mem::take(&mut self.secrets) {
            let setting = name.rsplit('/').next().unwrap_or_default().to_owned();
            let opened = key.unseal(&name, &sealed)?;
            self.settings.insert(setting, opened.as_str().to_owned());
        }
        Ok(self)
    }
}

/// The ids of all notifications that are switched on.
pub(super) async fn enabled(console: &Console) -> Result<Vec<String>> {
    let read = |connection: &Connection| {
        let mut query =
            connection.prepare("SELECT id FROM appinstances WHERE is_disabled = 0 AND accept_streamed_events <> 0")?;
        query.query_map([], |row| row.get(0))?.collect()
    };
    console.database.read(read).await
}

/// Returns `None` if the notification does not exist or is switched off.
pub(super) async fn find(console: &Arc<Console>, id: &str) -> Result<Option<Notification>> {
    let id = id.to_owned();
    console.database.read(move |connection| read(connection, &id)).await
}

fn read(connection: &Connection, id: &str) -> rusqlite::Result<Option<Notification>> {
    let select = "SELECT id, app_id, title, settings, streamed_signal_expression, suppression_time, \
                  events_per_suppression_window FROM appinstances \
                  WHERE id = ?1 AND is_disabled = 0 AND accept_streamed_events <> 0";
    let Some(mut notification) = connection.query_row(select, [id], of_row).optional()? else { return Ok(None) };
    notification.signals = signal::all(connection)?;
    let prefix = format!("appinstances/{id}/");
    let mut query = connection.prepare("SELECT name, sealed FROM secrets WHERE substr(name, 1, ?2) = ?1")?;
    let length = i64::try_from(prefix.chars().count()).unwrap_or(0);
    let rows = query.query_map((&prefix, length), |row| Ok((row.get(0)?, row.get(1)?)))?;
    notification.secrets = rows.collect::<rusqlite::Result<_>>()?;
    let title = metastore::setting(connection, "InstanceTitle")?.and_then(|text| serde_json::from_str(&text).ok());
    notification.instance_title = title.filter(|title: &String| !title.trim().is_empty());
    Ok(Some(notification))
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Notification> {
    let expression: Option<String> = row.get(4)?;
    let suppression: Option<String> = row.get(5)?;
    let per_window: Option<i64> = row.get(6)?;
    Ok(Notification {
        id: row.get(0)?,
        app_id: row.get(1)?,
        title: row.get(2)?,
        settings: serde_json::from_str(&row.get::<_, String>(3)?).unwrap_or_default(),
        suppression: suppression.and_then(|text| suppression::parse(&text).ok().flatten()),
        events_per_window: per_window.and_then(|count| u64::try_from(count).ok()).unwrap_or(1).max(1),
        subscription: match expression.as_deref().filter(|text| *text != "null") {
            None => Subscription::AllEvents,
            Some(text) => serde_json::from_str(text).map_or(Subscription::Invalid, Subscription::Matching),
        },
        ..Notification::default()
    })
}

/// A `BackupFailed` event, `minute` minutes after 03:00.
#[cfg(test)]
pub(super) fn event_at(minute: u32) -> Stored {
    let event = serde_json::json!({
        "@t": format!("2026-03-10T{:02}:{:02}:00Z", 3 + minute / 60, minute % 60),
        "@mt": "Backup failed: {Error}", "@l": "Error", "@i": "BackupFailed", "Error": "disk full",
    });
    let fields = event.as_object().cloned().unwrap_or_default();
    Stored { position: volume::events::EventPosition { day: "20260310".to_owned(), offset: u64::from(minute) }, fields }
}
