//! Settings: a name and a value. What the environment says wins, and cannot be changed here.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Links, links, none_such, short, stored, title, to_json, users};
use engine::metastore;
use volume::error::{Code, Error, Result};

/// What a setting's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Switch,
    Count,
    Path,
    Text,
    TimeOfDay,
}

const SETTINGS: [(&str, Kind, &str); 7] = [
    ("BackupLocation", Kind::Path, "The folder that backups are kept in; Backups/ on the volume unless it is said"),
    ("BackupsToKeep", Kind::Count, "How many scheduled backups are kept"),
    ("BackupUtcTimeOfDay", Kind::TimeOfDay, "The time of day, in UTC, at which the daily backup is made"),
    ("InstanceTitle", Kind::Text, "What this console is called"),
    ("IsAuthenticationEnabled", Kind::Switch, "Whether one has to log in"),
    ("RequireApiKeyForWritingEvents", Kind::Switch, "Whether events may be sent with an API key only"),
    ("SecretKeyIsBackedUp", Kind::Switch, "Whether somebody has said that the secret key is kept elsewhere"),
];

/// The variables that decide settings.
pub const VARIABLES: [(&str, &str); 3] = [
    ("BackupLocation", "MOORLINE_BACKUP_LOCATION"),
    ("BackupsToKeep", "MOORLINE_BACKUPS_TO_KEEP"),
    ("BackupUtcTimeOfDay", "MOORLINE_BACKUP_UTC_TIME_OF_DAY"),
];

/// Settings that the environment decides, by name.
pub type Fixed = BTreeMap<&'static str, Value>;

/// A setting, as it is shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Setting {
    /// Its id: `setting-` and its name in lower case.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its value; null where it has none.
    pub value: Value,
    /// What it is for.
    pub description: String,
    /// Whether the environment decides it.
    pub is_read_only: bool,
    /// Where it is.
    pub links: Links,
}

/// A setting, as it is sent.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct SettingInput {
    /// Its value; null or absent puts the default back.
    #[serde(default)]
    pub value: Value,
}

/// All settings.
///
/// # Errors
/// Where the database cannot be read.
pub fn list(connection: &Connection, fixed: &Fixed) -> Result<Vec<Setting>> {
    SETTINGS.iter().map(|(name, ..)| get(connection, name, fixed)).collect()
}

/// One, by its id.
///
/// # Errors
/// `NotFound` where there is none.
pub fn find(connection: &Connection, id: &str, fixed: &Fixed) -> Result<Setting> {
    get(connection, name_of(id)?, fixed)
}

/// The value of one, by its name: the environment's, else the stored one, else null.
///
/// # Errors
/// `NotFound` where there is none of this name.
pub fn get(connection: &Connection, name: &str, fixed: &Fixed) -> Result<Setting> {
    let (name, _, description) = SETTINGS.iter().find(|one| one.0 == name).ok_or_else(|| none_such("setting", name))?;
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

/// Gives one another value.
///
/// # Errors
/// `Usage` for a value that makes no sense; `ConfirmationNeeded` where the environment decides it, and where nobody could
/// log in.
pub fn set(connection: &Connection, id: &str, value: &Value, fixed: &Fixed) -> Result<Setting> {
    let name = name_of(id)?;
    if let Some((_, variable)) = VARIABLES.iter().find(|one| one.0 == name).filter(|_| fixed.contains_key(name)) {
        return Err(Error::new(Code::ConfirmationNeeded, format!("{name} is decided by {variable}"))
            .hint("unset the variable, and start again, to change it here"));
    }
    let value = checked(name, value)?;
    if name == "IsAuthenticationEnabled" && value == Value::Bool(true) && !users::has_administrator(connection)? {
        return Err(Error::new(Code::ConfirmationNeeded, "nobody could log in")
            .hint("make a user with a password and the role role-administrator first"));
    }
    write(connection, name, &value)?;
    get(connection, name, fixed)
}

/// Stores a value that is known to make sense.
///
/// # Errors
/// Where the database cannot be written.
pub fn write(connection: &Connection, name: &str, value: &Value) -> Result<()> {
    let done = if value.is_null() {
        connection.execute("DELETE FROM settings WHERE name = ?1", [name])
    } else {
        let sql = "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2";
        connection.execute(sql, params![name, to_json(value)?])
    };
    done.map(drop).map_err(|cause| stored(&cause))
}

/// The stored value of a setting, without the environment.
///
/// # Errors
/// Where the database cannot be read.
pub fn read(connection: &Connection, name: &str) -> Result<Option<Value>> {
    let text = metastore::setting(connection, name).map_err(|cause| stored(&cause))?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Whether one has to log in. Where nobody has said: as soon as there are users.
///
/// # Errors
/// Where the database cannot be read.
pub fn is_authentication_enabled(connection: &Connection) -> Result<bool> {
    match read(connection, "IsAuthenticationEnabled")? {
        Some(Value::Bool(said)) => Ok(said),
        _ => users::are_there(connection),
    }
}

/// A value as the environment has it.
///
/// # Errors
/// `Usage` for one that makes no sense.
pub fn parse_text(name: &str, text: &str) -> Result<Value> {
    let value = match SETTINGS.iter().find(|one| one.0 == name).map(|one| one.1) {
        Some(Kind::Count) => text.trim().parse::<u64>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    };
    checked(name, &value)
}

fn name_of(id: &str) -> Result<&'static str> {
    let named = |name: &str| id.strip_prefix("setting-").is_some_and(|rest| rest == name.to_lowercase());
    let found = SETTINGS.iter().find(|(name, ..)| named(name)).map(|(name, ..)| *name);
    found.ok_or_else(|| none_such("setting", id))
}

fn checked(name: &str, value: &Value) -> Result<Value> {
    let kind = SETTINGS.iter().find(|one| one.0 == name).map(|one| one.1).ok_or_else(|| none_such("setting", name))?;
    let wrong = |what: &str| Error::usage(format!("the value of {name} makes no sense: {what}"));
    Ok(match (kind, value) {
        (_, Value::Null) => Value::Null,
        (Kind::Path | Kind::Text | Kind::TimeOfDay, Value::String(text)) if text.trim().is_empty() => Value::Null,
        (Kind::Switch, Value::Bool(_)) => value.clone(),
        (Kind::Switch, _) => return Err(wrong("say true or false")),
        (Kind::Count, Value::Number(number)) if number.as_u64().is_some_and(|count| (1..=10_000).contains(&count)) => {
            value.clone()
        }
        (Kind::Count, _) => return Err(wrong("say a number from 1 to 10000")),
        (Kind::Text, Value::String(text)) => title(name, text)?.into(),
        (Kind::Text, _) => return Err(wrong("say a text")),
        (Kind::Path, Value::String(text)) => {
            short(name, text)?;
            if !text.starts_with('/') || text.chars().any(char::is_control) {
                return Err(wrong("say the absolute path of a folder"));
            }
            text.trim().into()
        }
        (Kind::Path, _) => return Err(wrong("say the absolute path of a folder")),
        (Kind::TimeOfDay, Value::String(text)) => {
            let time = text.trim();
            let parsed = jiff::civil::Time::strptime("%H:%M", time)
                .or_else(|_| jiff::civil::Time::strptime("%H:%M:%S", time))
                .map_err(|_| wrong("say a time such as 03:00"))?;
            parsed.strftime("%H:%M").to_string().into()
        }
        (Kind::TimeOfDay, _) => return Err(wrong("say a time such as 03:00")),
    })
}
