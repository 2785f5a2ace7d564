//! App instances, which are the notifications of the console: webhooks and mails for the events of signals.
//!
//! Sensitive settings are stored in the table `secrets`, sealed with the secret key, under the name
//! `appinstances/<id>/<setting>`. The API shows only their names.

use engine::sealed::Seal;
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Links, database_error, from_json, links, new_id, not_found, signals, title, to_json};
use crate::notify::{
    kinds::{self, AppKind},
    signal::SignalExpression,
    suppression,
};
use seqbac_header::SecretKey;
use volume::error::{Error, Result};

const MOST: usize = 200;
const LONGEST_SETTING: usize = 16 << 10;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AppInstance {
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

/// Absent fields stay as they are. A setting with an empty value is removed; a sensitive setting that is absent stays.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct AppInstanceInput {
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

impl std::fmt::Debug for AppInstanceInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppInstanceInput").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

/// Distinguishes null (`Some(None)`) from absent (`None`).
fn nullable<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> std::result::Result<Option<Option<SignalExpression>>, D::Error> {
    Option::deserialize(from).map(Some)
}

const COLUMNS: &str = "id, app_id, title, settings, streamed_signal_expression, accept_streamed_events, \
                       suppression_time, events_per_suppression_window, is_disabled";

fn from_row(row: &Row<'_>) -> rusqlite::Result<AppInstance> {
    let id: String = row.get(0)?;
    let app_id: String = row.get(1)?;
    let expression: Option<String> = row.get(4)?;
    Ok(AppInstance {
        links: links("appinstances", &id),
        id,
        app_name: kinds::find(&app_id).map_or_else(|| app_id.clone(), |kind| kind.name.to_owned()),
        app_id,
        title: row.get(2)?,
        settings: from_json(&row.get::<_, String>(3)?),
        set_sensitive_settings: Vec::new(),
        streamed_signal_expression: expression.and_then(|text| serde_json::from_str(&text).ok()),
        accept_streamed_events: row.get(5)?,
        suppression_time: row.get(6)?,
        events_per_suppression_window: row.get(7)?,
        is_disabled: row.get(8)?,
        is_input: false,
    })
}

/// Sorted by title.
pub fn list(connection: &Connection) -> Result<Vec<AppInstance>> {
    let sql = format!("SELECT {COLUMNS} FROM appinstances ORDER BY title, id");
    let read = || connection.prepare(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<Vec<_>>>();
    let all = read().map_err(|cause| database_error(&cause))?;
    all.into_iter().map(|instance| with_secrets(connection, instance)).collect()
}

/// Fails with `NotFound`.
pub fn find(connection: &Connection, id: &str) -> Result<AppInstance> {
    let sql = format!("SELECT {COLUMNS} FROM appinstances WHERE id = ?1");
    let found = connection.query_row(&sql, [id], from_row).optional().map_err(|cause| database_error(&cause))?;
    with_secrets(connection, found.ok_or_else(|| not_found("app instance", id))?)
}

/// Fails with `Usage` for an unknown app or signal, and for invalid settings.
pub fn create(connection: &mut Connection, input: AppInstanceInput, key: &SecretKey) -> Result<AppInstance> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    if list(&transaction)?.len() >= MOST {
        return Err(Error::usage(format!("cannot create more than {MOST} app instances")));
    }
    let app_id = input.app_id.clone().ok_or_else(|| Error::usage("AppId is missing"))?;
    if input.title.is_none() {
        return Err(Error::usage("Title is missing"));
    }
    let id = new_id("appinstance")?;
    let insert = "INSERT INTO appinstances (id, app_id, title) VALUES (?1, ?2, '')";
    transaction.execute(insert, [&id, &app_id]).map_err(|cause| database_error(&cause))?;
    change(
        &transaction,
        &id,
        AppInstanceInput { settings: Some(input.settings.clone().unwrap_or_default()), ..input },
        key,
    )?;
    let instance = find(&transaction, &id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(instance)
}

pub fn update(connection: &mut Connection, id: &str, input: AppInstanceInput, key: &SecretKey) -> Result<AppInstance> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    change(&transaction, id, input, key)?;
    let instance = find(&transaction, id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(instance)
}

/// Removes an app instance and its sensitive settings.
pub fn remove(connection: &mut Connection, id: &str) -> Result<AppInstance> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    let instance = find(&transaction, id)?;
    for setting in &instance.set_sensitive_settings {
        remove_secret(&transaction, id, setting)?;
    }
    transaction.execute("DELETE FROM appinstances WHERE id = ?1", [id]).map_err(|cause| database_error(&cause))?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(instance)
}

fn change(connection: &Connection, id: &str, input: AppInstanceInput, key: &SecretKey) -> Result<()> {
    let mut instance = find(connection, id)?;
    if input.app_id.as_ref().is_some_and(|app_id| *app_id != instance.app_id) {
        return Err(Error::usage("AppId cannot be changed").hint("create another app instance"));
    }
    if let Some(text) = input.title {
        instance.title = title("Title", &text)?;
    }
    if let Some(settings) = input.settings {
        let secrets = take_settings(&mut instance, settings)?;
        for (setting, secret) in secrets {
            match secret.is_empty() {
                true => remove_secret(connection, id, &setting)?,
                false => store_secret(connection, id, &setting, &secret, key)?,
            }
        }
    }
    if let Some(expression) = input.streamed_signal_expression {
        if let Some(expression) = &expression {
            refuse_unknown_signals(connection, expression)?;
        }
        instance.streamed_signal_expression = expression;
    }
    if let Some(text) = input.suppression_time {
        let text = text.trim();
        suppression::parse(if text.is_empty() { "00:00:00" } else { text })
            .map_err(|error| error.context("SuppressionTime"))?;
        instance.suppression_time = Some(text.to_owned()).filter(|text| !text.is_empty());
    }
    instance.events_per_suppression_window =
        input.events_per_suppression_window.or(instance.events_per_suppression_window);
    instance.accept_streamed_events = input.accept_streamed_events.unwrap_or(instance.accept_streamed_events);
    instance.is_disabled = input.is_disabled.unwrap_or(instance.is_disabled);
    write(connection, &instance)
}

/// Replaces the plain settings of the instance, and returns the sensitive ones.
fn take_settings(instance: &mut AppInstance, input: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if let Some((name, _)) = input.iter().find(|(_, value)| value.len() > LONGEST_SETTING) {
        return Err(Error::usage(format!("Settings.{name} is too long: at most {LONGEST_SETTING} bytes")));
    }
    let kind = kinds::find(&instance.app_id);
    let is_sensitive = |name: &str| {
        kind.is_some_and(|kind: &AppKind| {
            kind.available_settings.iter().any(|known| known.name == name && known.is_sensitive)
        })
    };
    let (secrets, plain): (BTreeMap<_, _>, BTreeMap<_, _>) =
        input.into_iter().partition(|(name, _)| is_sensitive(name));
    instance.settings = plain.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
    let mut all = instance.settings.clone();
    for name in &instance.set_sensitive_settings {
        // A stand-in for the stored value, which `check` does not need to know. It is also valid as a header.
        all.insert(name.clone(), "X: x".to_owned());
    }
    all.extend(secrets.iter().map(|(name, value)| (name.clone(), value.clone())));
    kinds::check(&instance.app_id, &all)?;
    Ok(secrets)
}

fn refuse_unknown_signals(connection: &Connection, expression: &SignalExpression) -> Result<()> {
    match expression {
        SignalExpression::Signal { signal_id } => {
            signals::find(connection, signal_id).map(drop).map_err(|error| error.with_code(volume::error::Code::Usage))
        }
        SignalExpression::Intersection { left, right } | SignalExpression::Union { left, right } => {
            refuse_unknown_signals(connection, left)?;
            refuse_unknown_signals(connection, right)
        }
    }
}

fn secret_name(id: &str, setting: &str) -> String {
    format!("appinstances/{id}/{setting}")
}

fn store_secret(connection: &Connection, id: &str, setting: &str, secret: &str, key: &SecretKey) -> Result<()> {
    let name = secret_name(id, setting);
    let sealed = key.seal(&name, secret)?;
    let sql = "INSERT INTO secrets (name, sealed) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET sealed = ?2";
    connection.execute(sql, [&name, &sealed]).map(drop).map_err(|cause| database_error(&cause))
}

fn remove_secret(connection: &Connection, id: &str, setting: &str) -> Result<()> {
    let sql = "DELETE FROM secrets WHERE name = ?1";
    connection.execute(sql, [secret_name(id, setting)]).map(drop).map_err(|cause| database_error(&cause))
}

fn with_secrets(connection: &Connection, mut instance: AppInstance) -> Result<AppInstance> {
    let prefix = secret_name(&instance.id, "");
    let sql = "SELECT name FROM secrets WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name";
    let read = || {
        let mut query = connection.prepare(sql)?;
        query.query_map([&prefix], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()
    };
    let names = read().map_err(|cause| database_error(&cause))?;
    instance.set_sensitive_settings =
        names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect();
    Ok(instance)
}

fn write(connection: &Connection, instance: &AppInstance) -> Result<()> {
    let sql = "UPDATE appinstances SET title = ?2, settings = ?3, streamed_signal_expression = ?4,
               accept_streamed_events = ?5, suppression_time = ?6, events_per_suppression_window = ?7, is_disabled = ?8
               WHERE id = ?1";
    let expression = instance.streamed_signal_expression.as_ref().map(to_json).transpose()?;
    let values = params![
        instance.id,
        instance.title,
        to_json(&instance.settings)?,
        expression,
        instance.accept_streamed_events,
        instance.suppression_time,
        instance.events_per_suppression_window,
        instance.is_disabled
    ];
    connection.execute(sql, values).map(drop).map_err(|cause| database_error(&cause))
}
