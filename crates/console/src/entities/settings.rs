//! Settings. A value from the environment takes precedence and cannot be changed here.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Links, Result, links, not_found, short, title, to_json, users};
use crate::{failure::InputError, schedule::Schedule};
use engine::metastore;
use volume::error::{Code, Error};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    Switch,
    Count,
    Path,
    Text,
    TimeOfDay,
}

const SETTINGS: [(&str, ValueType, &str); 7] = [
    ("BackupLocation", ValueType::Path, "The folder for backups; Backups/ on the volume by default"),
    ("BackupsToKeep", ValueType::Count, "The number of scheduled backups to keep"),
    ("BackupUtcTimeOfDay", ValueType::TimeOfDay, "The time of the daily backup, in UTC"),
    ("InstanceTitle", ValueType::Text, "The title of the pages"),
    ("IsAuthenticationEnabled", ValueType::Switch, "Whether users must log in"),
    ("RequireApiKeyForWritingEvents", ValueType::Switch, "Whether sending events needs an API key"),
    ("SecretKeyIsBackedUp", ValueType::Switch, "Whether a user has confirmed that the secret key is saved elsewhere"),
];

/// Settings that the environment can set, and their variables.
pub const VARIABLES: [(&str, &str); 3] = [
    ("BackupLocation", "MOORLINE_BACKUP_LOCATION"),
    ("BackupsToKeep", "MOORLINE_BACKUPS_TO_KEEP"),
    ("BackupUtcTimeOfDay", "MOORLINE_BACKUP_UTC_TIME_OF_DAY"),
];

/// Values of settings from the environment, by name.
pub type Fixed = BTreeMap<&'static str, Value>;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Setting {
    /// `setting-` and the name in lower case.
    pub id: String,
    pub name: String,
    /// Null if it is not set.
    pub value: Value,
    pub description: String,
    /// Whether the environment sets it.
    pub is_read_only: bool,
    pub links: Links,
}

#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SettingInput {
    /// Null or absent resets the setting to its default.
    #[serde(default)]
    pub value: Value,
}

pub(crate) fn list(connection: &Connection, fixed: &Fixed) -> Result<Vec<Setting>> {
    SETTINGS.iter().map(|(name, ..)| get(connection, name, fixed)).collect()
}

pub(crate) fn find(connection: &Connection, id: &str, fixed: &Fixed) -> Result<Setting> {
    get(connection, name_of(id)?, fixed)
}

/// By name. The value is the environment's, else the stored one, else null.
pub(crate) fn get(connection: &Connection, name: &str, fixed: &Fixed) -> Result<Setting> {
    let (name, _, description) = SETTINGS.iter().find(|one| one.0 == name).ok_or_else(|| not_found("setting", name))?;
    let id = format!("setting-{}", name.to_lowercase());
    let value = match (fixed.get(name), *name) {
        (Some(value), _) => value.clone(),
        (None, "IsAuthenticationEnabled") => is_authentication_enabled(connection)?.into(),
        (None, _) => read(connection, name)?.unwrap_or(Value::Null),
    };
    Ok(Setting {
        links: links("settings", &id),
        id,
        name: (*name).to_owned(),
        value,
        description: (*description).to_owned(),
        is_read_only: fixed.contains_key(name),
    })
}

/// Changes a setting. Fails with `ConfirmationNeeded` if the environment sets it, or if it would lock out all users.
pub(crate) fn set(connection: &Connection, id: &str, value: &Value, fixed: &Fixed) -> Result<Setting> {
    let name = name_of(id)?;
    if let Some((_, variable)) = VARIABLES.iter().find(|one| one.0 == name).filter(|_| fixed.contains_key(name)) {
        let message = format!("{variable} sets {name}, so it cannot be changed here");
        return Err(Error::new(Code::ConfirmationNeeded, message)
            .hint("unset the variable and restart the console")
            .into());
    }
    let value = checked(name, value)?;
    if name == "IsAuthenticationEnabled" && value == Value::Bool(true) && !users::has_administrator(connection)? {
        return Err(Error::new(Code::ConfirmationNeeded, "no administrator could log in")
            .hint("first create a user with a password and the role role-administrator")
            .into());
    }
    write(connection, name, &value)?;
    get(connection, name, fixed)
}

/// Stores a value without checking it; null removes it.
pub(crate) fn write(connection: &Connection, name: &str, value: &Value) -> Result<()> {
    if value.is_null() {
        connection.execute("DELETE FROM settings WHERE name = ?1", [name])?;
    } else {
        let sql = "INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)";
        connection.execute(sql, params![name, to_json(value)?])?;
    }
    Ok(())
}

/// The stored value, without the environment.
pub(crate) fn read(connection: &Connection, name: &str) -> Result<Option<Value>> {
    Ok(metastore::setting(connection, name)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Whether users must log in. If the setting has no value, this is true as soon as a user exists.
pub(crate) fn is_authentication_enabled(connection: &Connection) -> Result<bool> {
    match read(connection, "IsAuthenticationEnabled")? {
        Some(Value::Bool(enabled)) => Ok(enabled),
        _ => users::are_there(connection),
    }
}

/// Parses the value of a variable. Fails with `Usage` if it is invalid.
pub fn parse_text(name: &str, text: &str) -> volume::error::Result<Value> {
    let value = match SETTINGS.iter().find(|one| one.0 == name).map(|one| one.1) {
        Some(ValueType::Count) => text.trim().parse::<u64>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    };
    Ok(checked(name, &value)?)
}

fn name_of(id: &str) -> Result<&'static str> {
    let named = |name: &str| id.strip_prefix("setting-").is_some_and(|rest| rest == name.to_lowercase());
    let found = SETTINGS.iter().find(|(name, ..)| named(name)).map(|(name, ..)| *name);
    found.ok_or_else(|| not_found("setting", id).into())
}

fn checked(name: &str, value: &Value) -> Result<Value> {
    let (name, kind, _) = *SETTINGS.iter().find(|one| one.0 == name).ok_or_else(|| not_found("setting", name))?;
    let wrong = |expected: &str| InputError::new(name, Error::usage(format!("{name} must be {expected}")));
    Ok(match (kind, value) {
        (_, Value::Null) => Value::Null,
        (ValueType::Path | ValueType::Text | ValueType::TimeOfDay, Value::String(text)) if text.trim().is_empty() => {
            Value::Null
        }
        (ValueType::Switch, Value::Bool(_)) => value.clone(),
        (ValueType::Switch, _) => return Err(wrong("true or false")),
        (ValueType::Count, Value::Number(number))
            if number.as_u64().is_some_and(|count| (1..=10_000).contains(&count)) =>
        {
            value.clone()
        }
        (ValueType::Count, _) => return Err(wrong("a number from 1 to 10000")),
        (ValueType::Text, Value::String(text)) => title(name, text)?.into(),
        (ValueType::Text, _) => return Err(wrong("a text")),
        (ValueType::Path, Value::String(text)) => {
            short(name, text)?;
            if !text.starts_with('/') || text.chars().any(char::is_control) {
                return Err(wrong("the absolute path of a folder"));
            }
            text.trim().into()
        }
        (ValueType::Path, _) => return Err(wrong("the absolute path of a folder")),
        (ValueType::TimeOfDay, Value::String(text)) => {
            let schedule: Schedule = text.parse().map_err(|_| wrong("a time such as 03:00"))?;
            schedule.at().strftime("%H:%M").to_string().into()
        }
        (ValueType::TimeOfDay, _) => return Err(wrong("a time such as 03:00")),
    })
}
