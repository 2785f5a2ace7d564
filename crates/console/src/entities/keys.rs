//! API keys: a token with some of its owner's permissions. The token is shown once; the metastore holds its SHA-256.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{
    Links, database_error, from_json, links, new_id, not_found, random_text, short, title, to_json, token_hash, users,
};
use crate::permission::{Permission, Permissions};
use volume::error::{Error, Result};

const MOST: usize = 1000;
/// Characters of a token that are stored and shown, so that users can recognize it.
const PREFIX: usize = 4;
/// Length of a token that the client chooses, in characters.
const SHORTEST: usize = 20;
const LONGEST: usize = 200;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ApiKey {
    pub id: String,
    pub title: String,
    /// Only in the response that creates the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The first characters of the token.
    pub token_prefix: String,
    /// Kept for Seq's clients.
    #[schema(value_type = Object)]
    pub input_settings: Map<String, Value>,
    /// Kept for Seq's clients.
    pub is_default: bool,
    /// Null for a shared key.
    pub owner_id: Option<String>,
    /// Limited to the permissions that the owner has at the time of a request.
    #[schema(value_type = Vec<Permission>)]
    pub assigned_permissions: Permissions,
    pub links: Links,
}

/// Absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ApiKeyInput {
    pub title: Option<String>,
    /// The token of a new key; random by default.
    pub token: Option<String>,
    /// Kept for Seq's clients.
    #[schema(value_type = Option<Object>)]
    pub input_settings: Option<Map<String, Value>>,
    /// Null for a shared key. In a new key, the default is the user who sends the request.
    #[serde(deserialize_with = "nullable")]
    #[schema(value_type = Option<String>)]
    pub owner_id: Option<Option<String>>,
    /// In a new key, the default is `Ingest`.
    pub assigned_permissions: Option<Vec<Permission>>,
}

/// Distinguishes null (`Some(None)`) from absent (`None`).
fn nullable<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

const COLUMNS: &str = "id, title, token_prefix, input_settings, is_default, owner_id, assigned_permissions";

fn from_row(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    let id: String = row.get(0)?;
    Ok(ApiKey {
        links: links("apikeys", &id),
        id,
        title: row.get(1)?,
        token: None,
        token_prefix: row.get(2)?,
        input_settings: from_json(&row.get::<_, String>(3)?),
        is_default: row.get(4)?,
        owner_id: row.get(5)?,
        assigned_permissions: from_json(&row.get::<_, String>(6)?),
    })
}

/// Sorted by title.
pub fn list(connection: &Connection) -> Result<Vec<ApiKey>> {
    let sql = format!("SELECT {COLUMNS} FROM apikeys ORDER BY title, id");
    let read = || connection.prepare(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<_>>();
    read().map_err(|cause| database_error(&cause))
}

/// Fails with `NotFound`.
pub fn find(connection: &Connection, id: &str) -> Result<ApiKey> {
    let sql = format!("SELECT {COLUMNS} FROM apikeys WHERE id = ?1");
    let found = connection.query_row(&sql, [id], from_row).optional().map_err(|cause| database_error(&cause))?;
    found.ok_or_else(|| not_found("API key", id))
}

/// The key with this token, its owner, and its present permissions, which are limited to the owner's.
pub fn by_token(connection: &Connection, token: &str) -> Result<Option<(ApiKey, Option<users::User>, Permissions)>> {
    let hash = token_hash(token);
    let sql = format!("SELECT {COLUMNS}, token_hash FROM apikeys WHERE token_hash = ?1");
    let read = |row: &Row<'_>| Ok((from_row(row)?, row.get::<_, String>(7)?));
    let found = connection.query_row(&sql, [&hash], read).optional().map_err(|cause| database_error(&cause))?;
    let Some((key, kept)) = found.filter(|(_, kept)| kept.as_bytes().ct_eq(hash.as_bytes()).into()) else {
        return Ok(None);
    };
    debug_assert_eq!(kept, hash);
    let Some(owner) = &key.owner_id else {
        let permissions = key.assigned_permissions;
        return Ok(Some((key, None, permissions)));
    };
    // Without its owner the key is invalid.
    let Ok(owner) = users::find(connection, owner) else { return Ok(None) };
    let permissions = key.assigned_permissions.and(owner.permissions());
    Ok(Some((key, Some(owner), permissions)))
}

/// The present permissions of a key, which are limited to its owner's.
pub fn permissions(connection: &Connection, key: &ApiKey) -> Result<Permissions> {
    let Some(owner) = &key.owner_id else { return Ok(key.assigned_permissions) };
    Ok(key.assigned_permissions.and(users::find(connection, owner)?.permissions()))
}

/// Creates a key. Only this result contains the token.
pub fn create(connection: &mut Connection, input: ApiKeyInput) -> Result<ApiKey> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    if list(&transaction)?.len() >= MOST {
        return Err(Error::usage(format!("cannot create more than {MOST} API keys")));
    }
    let token = match input.token.clone().filter(|token| !token.is_empty()) {
        Some(token) => usable(token)?,
        None => random_text::<24>()?,
    };
    let id = new_id("apikey")?;
    let insert = "INSERT INTO apikeys (id, title, token_hash, token_prefix) VALUES (?1, '', ?2, ?3)";
    let prefix: String = token.chars().take(PREFIX).collect();
    match transaction.execute(insert, [&id, &token_hash(&token), &prefix]) {
        Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
            return Err(Error::usage("this token cannot be used").hint("leave out Token to get a random one"));
        }
        other => other.map_err(|cause| database_error(&cause))?,
    };
    if input.title.is_none() {
        return Err(Error::usage("Title is missing"));
    }
    let key = ApiKey { assigned_permissions: Permission::Ingest.into(), ..find(&transaction, &id)? };
    write(&transaction, &changed(&transaction, key, input)?)?;
    let key = find(&transaction, &id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(ApiKey { token: Some(token), ..key })
}

pub fn update(connection: &mut Connection, id: &str, input: ApiKeyInput) -> Result<ApiKey> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    write(&transaction, &changed(&transaction, find(&transaction, id)?, input)?)?;
    let key = find(&transaction, id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(key)
}

pub fn remove(connection: &Connection, id: &str) -> Result<ApiKey> {
    let key = find(connection, id)?;
    connection.execute("DELETE FROM apikeys WHERE id = ?1", [id]).map_err(|cause| database_error(&cause))?;
    Ok(key)
}

fn usable(token: String) -> Result<String> {
    if token.len() < SHORTEST || token.len() > LONGEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::usage(format!("Token must have {SHORTEST} to {LONGEST} printable ASCII characters"))
            .hint("leave out Token to get a random one"));
    }
    Ok(token)
}

fn changed(connection: &Connection, mut key: ApiKey, input: ApiKeyInput) -> Result<ApiKey> {
    if let Some(text) = input.title {
        key.title = title("Title", &text)?;
    }
    if let Some(settings) = input.input_settings {
        short("InputSettings", &to_json(&settings)?)?;
        key.input_settings = settings;
    }
    if let Some(owner) = input.owner_id {
        if let Some(owner) = &owner {
            users::find(connection, owner).map_err(|error| error.with_code(volume::error::Code::Usage))?;
        }
        key.owner_id = owner;
    }
    if let Some(permissions) = input.assigned_permissions {
        key.assigned_permissions = permissions.into();
    }
    Ok(key)
}

fn write(connection: &Connection, key: &ApiKey) -> Result<()> {
    let sql =
        "UPDATE apikeys SET title = ?2, input_settings = ?3, owner_id = ?4, assigned_permissions = ?5 WHERE id = ?1";
    let values =
        params![key.id, key.title, to_json(&key.input_settings)?, key.owner_id, to_json(&key.assigned_permissions)?];
    connection.execute(sql, values).map(drop).map_err(|cause| database_error(&cause))
}
