//! App instances, which are the notifications of the console: webhooks and mails for the events of signals.
//!
//! Sensitive settings are stored in the table `secrets`, sealed with the secret key, under the name
//! `appinstances/<id>/<setting>`. The API shows only their names.

use std::{collections::BTreeMap, sync::Arc};

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Entity, Links, Result, find, from_json, links, nullable, require_title, signals::Signal, title, to_json};
use crate::{
    failure::InputError,
    notify::{
        kinds::{self, AppKind},
        signal::SignalExpression,
        suppression,
    },
};
use engine::sealed::Seal;
use seqbac_header::SecretKey;
use volume::error::Error;

const LONGEST_SETTING: usize = 16 << 10;

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AppInstance {
    pub id: String,
    /// `app-http` or `app-smtp`.
    pub app_id: String,
    pub app_name: String,
    pub title: String,
    /// Without the sensitive settings.
    pub settings: BTreeMap<String, String>,
    /// Names of the sensitive settings that have a value.
    pub set_sensitive_settings: Vec<String>,
    /// If false, no events are sent.
    pub accept_streamed_events: bool,
    /// Selects the events, as in Seq: `{"Kind": "Signal", "SignalId": …}`, or an `Intersection` or `Union` of `Left` and
    /// `Right`. If null, all events are sent.
    #[schema(value_type = Option<Object>)]
    pub streamed_signal_expression: Option<SignalExpression>,
    /// The length of the suppression window, which starts with the first event: `00:05:00`.
    pub suppression_time: Option<String>,
    /// The number of events that are sent per window.
    pub events_per_suppression_window: Option<u32>,
    /// Whether quarantine or a user has switched it off.
    pub is_disabled: bool,
    /// Kept for Seq's clients.
    pub is_input: bool,
    pub links: Links,
}

// Without `Debug`, because it may hold secrets.
/// Absent fields stay as they are. A setting with an empty value is removed; a sensitive setting that is absent stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct AppInstanceInput {
    /// Required in a new app instance; cannot be changed.
    pub app_id: Option<String>,
    pub title: Option<String>,
    /// Including sensitive settings.
    pub settings: Option<BTreeMap<String, String>>,
    /// If false, no events are sent.
    pub accept_streamed_events: Option<bool>,
    /// If null, all events are sent.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<Object>)]
    pub streamed_signal_expression: Option<Option<SignalExpression>>,
    /// The length of the suppression window: `00:05:00`. Empty for none.
    pub suppression_time: Option<String>,
    /// The number of events that are sent per window.
    pub events_per_suppression_window: Option<u32>,
    pub is_disabled: Option<bool>,
}

impl Entity for AppInstance {
    type Input = AppInstanceInput;
    /// The key that seals the sensitive settings.
    type Context = Arc<SecretKey>;

    const TABLE: &'static str = "appinstances";
    const ID: &'static str = "appinstance";
    const NAME: &'static str = "app instance";
    // The last column are the names of the sensitive settings, without the prefix `appinstances/<id>/`.
    const COLUMNS: &'static str = "id, app_id, title, settings, streamed_signal_expression, accept_streamed_events, \
        suppression_time, events_per_suppression_window, is_disabled, \
        (SELECT json_group_array(substr(name, length(id) + 15) ORDER BY name) FROM secrets \
         WHERE substr(name, 1, length(id) + 14) = 'appinstances/' || id || '/')";
    const MOST: usize = 200;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id: String = row.get(0)?;
        let app_id: String = row.get(1)?;
        let expression: Option<String> = row.get(4)?;
        Ok(Self {
            links: links(Self::TABLE, &id),
            id,
            app_name: kinds::find(&app_id).map_or_else(|| app_id.clone(), |kind| kind.name.to_owned()),
            app_id,
            title: row.get(2)?,
            settings: from_json(&row.get::<_, String>(3)?),
            streamed_signal_expression: expression.and_then(|text| serde_json::from_str(&text).ok()),
            accept_streamed_events: row.get(5)?,
            suppression_time: row.get(6)?,
            events_per_suppression_window: row.get(7)?,
            is_disabled: row.get(8)?,
            set_sensitive_settings: from_json(&row.get::<_, String>(9)?),
            is_input: false,
        })
    }

    fn insert(connection: &Connection, id: &str, input: &AppInstanceInput, _: &Arc<SecretKey>) -> Result<()> {
        let app_id = input.app_id.as_ref().ok_or_else(|| Error::usage("AppId is missing"))?;
        require_title("Title", input.title.as_ref())?;
        if input.settings.is_none() {
            kinds::check(app_id, &BTreeMap::new())?;
        }
        connection.execute("INSERT INTO appinstances (id, app_id, title) VALUES (?1, ?2, '')", [id, app_id])?;
        Ok(())
    }

    fn change(mut self, connection: &Connection, input: AppInstanceInput, key: Arc<SecretKey>) -> Result<Self> {
        if input.app_id.as_ref().is_some_and(|app_id| *app_id != self.app_id) {
            return Err(Error::usage("AppId cannot be changed").hint("create another app instance").into());
        }
        if let Some(text) = input.title {
            self.title = title("Title", &text)?;
        }
        if let Some(settings) = input.settings {
            for (setting, secret) in self.take_settings(settings)? {
                let name = format!("appinstances/{}/{setting}", self.id);
                if secret.is_empty() {
                    connection.execute("DELETE FROM secrets WHERE name = ?1", [name])?;
                } else {
                    let sealed = key.seal(&name, &secret)?;
                    let sql = "INSERT OR REPLACE INTO secrets (name, sealed) VALUES (?1, ?2)";
                    connection.execute(sql, [name, sealed])?;
                }
            }
        }
        if let Some(expression) = input.streamed_signal_expression {
            for id in expression.iter().flat_map(SignalExpression::signals) {
                find::<Signal>(connection, id).map_err(InputError::into_usage)?;
            }
            self.streamed_signal_expression = expression;
        }
        if let Some(text) = input.suppression_time {
            let text = text.trim();
            let wrong = |error: Error| InputError::new("SuppressionTime", error.context("SuppressionTime"));
            suppression::parse(if text.is_empty() { "00:00:00" } else { text }).map_err(wrong)?;
            self.suppression_time = Some(text.to_owned()).filter(|text| !text.is_empty());
        }
        self.events_per_suppression_window = input.events_per_suppression_window.or(self.events_per_suppression_window);
        self.accept_streamed_events = input.accept_streamed_events.unwrap_or(self.accept_streamed_events);
        self.is_disabled = input.is_disabled.unwrap_or(self.is_disabled);
        let sql = "UPDATE appinstances SET title = ?2, settings = ?3, streamed_signal_expression = ?4,
                   accept_streamed_events = ?5, suppression_time = ?6, events_per_suppression_window = ?7,
                   is_disabled = ?8 WHERE id = ?1";
        let values = params![
            self.id,
            self.title,
            to_json(&self.settings)?,
            self.streamed_signal_expression.as_ref().map(to_json).transpose()?,
            self.accept_streamed_events,
            self.suppression_time,
            self.events_per_suppression_window,
            self.is_disabled
        ];
        connection.execute(sql, values)?;
        find(connection, &self.id)
    }

    /// Removes the sensitive settings, too.
    fn delete(&self, connection: &Connection, id: &str) -> Result<()> {
        connection
            .execute("DELETE FROM secrets WHERE substr(name, 1, length(?1)) = ?1", [format!("appinstances/{id}/")])?;
        connection.execute("DELETE FROM appinstances WHERE id = ?1", [id])?;
        Ok(())
    }
}

impl AppInstance {
    /// Replaces the plain settings, and returns the sensitive ones.
    fn take_settings(&mut self, input: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        if let Some((name, _)) = input.iter().find(|(_, value)| value.len() > LONGEST_SETTING) {
            return Err(Error::usage(format!("Settings.{name} is too long: at most {LONGEST_SETTING} bytes")).into());
        }
        let kind = kinds::find(&self.app_id);
        let is_sensitive = |name: &str| {
            kind.is_some_and(|kind: &AppKind| {
                kind.available_settings.iter().any(|known| known.name == name && known.is_sensitive)
            })
        };
        let (secrets, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
            input.into_iter().partition(|(name, _)| is_sensitive(name));
        self.settings = plain.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let mut all = self.settings.clone();
        for name in &self.set_sensitive_settings {
            // A stand-in for the stored value, which `check` does not need to know. It is also valid as a header.
            all.insert(name.clone(), "X: x".to_owned());
        }
        all.extend(secrets.iter().map(|(name, value)| (name.clone(), value.clone())));
        kinds::check(&self.app_id, &all)?;
        Ok(secrets)
    }
}
