//! API keys: a token with some of its owner's permissions. The token is shown once; the metastore holds its SHA-256.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{
    Entity, Links, Result, find, from_json, links, nullable, require_title, short, title, to_json, token_hash,
    users::User,
};
use crate::{
    failure::InputError,
    permission::{Permission, Permissions},
};
use volume::error::Error;

/// Characters of a token that are stored and shown, so that users can recognize it.
const PREFIX: usize = 4;
/// Length of a token that the client chooses, in characters.
const SHORTEST: usize = 20;
const LONGEST: usize = 200;

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ApiKey {
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
pub(crate) struct ApiKeyInput {
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

impl Entity for ApiKey {
    type Input = ApiKeyInput;
    /// The token of a new key.
    type Context = Option<String>;

    const TABLE: &'static str = "apikeys";
    const ID: &'static str = "apikey";
    const NAME: &'static str = "API key";
    const COLUMNS: &'static str = "id, title, token_prefix, input_settings, is_default, owner_id, assigned_permissions";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id: String = row.get(0)?;
        Ok(Self {
            links: links(Self::TABLE, &id),
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

    fn insert(connection: &Connection, id: &str, input: &ApiKeyInput, token: &Option<String>) -> Result<()> {
        require_title("Title", input.title.as_ref())?;
        let token = usable(token.as_deref().unwrap_or_default())?;
        let prefix: String = token.chars().take(PREFIX).collect();
        let sql = "INSERT INTO apikeys (id, title, token_hash, token_prefix) VALUES (?1, '', ?2, ?3)";
        match connection.execute(sql, [id, &token_hash(token), &prefix]) {
            Err(cause) if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Err(Error::usage("this token cannot be used").hint("leave out Token to get a random one").into())
            }
            other => Ok(other.map(drop)?),
        }
    }

    /// Only the key that results from its creation contains the token.
    fn change(mut self, connection: &Connection, input: ApiKeyInput, token: Option<String>) -> Result<Self> {
        self.token = token;
        if let Some(text) = input.title {
            self.title = title("Title", &text)?;
        }
        if let Some(settings) = input.input_settings {
            short("InputSettings", &to_json(&settings)?)?;
            self.input_settings = settings;
        }
        if let Some(owner) = input.owner_id {
            if let Some(owner) = &owner {
                find::<User>(connection, owner).map_err(InputError::into_usage)?;
            }
            self.owner_id = owner;
        }
        if let Some(permissions) = input.assigned_permissions {
            self.assigned_permissions = permissions.into();
        }
        let sql = "UPDATE apikeys SET title = ?2, input_settings = ?3, owner_id = ?4, assigned_permissions = ?5
                   WHERE id = ?1";
        let (settings, permissions) = (to_json(&self.input_settings)?, to_json(&self.assigned_permissions)?);
        connection.execute(sql, params![self.id, self.title, settings, self.owner_id, permissions])?;
        Ok(self)
    }
}

/// The owner of the key with this token, and the key's present permissions, which are limited to the owner's.
pub(crate) fn by_token(connection: &Connection, token: &str) -> Result<Option<(Option<User>, Permissions)>> {
    let hash = token_hash(token);
    let sql = format!("SELECT {}, token_hash FROM apikeys WHERE token_hash = ?1", ApiKey::COLUMNS);
    let read = |row: &Row<'_>| Ok((ApiKey::from_row(row)?, row.get::<_, String>(7)?));
    let found = connection.query_row(&sql, [&hash], read).optional()?;
    let Some((key, _)) = found.filter(|(_, kept)| kept.as_bytes().ct_eq(hash.as_bytes()).into()) else {
        return Ok(None);
    };
    // Without its owner the key is invalid.
    Ok(owner_and_permissions(connection, &key).ok())
}

/// The owner of a key, and its present permissions, which are limited to the owner's.
pub(crate) fn owner_and_permissions(connection: &Connection, key: &ApiKey) -> Result<(Option<User>, Permissions)> {
    let Some(owner) = &key.owner_id else { return Ok((None, key.assigned_permissions)) };
    let owner = find::<User>(connection, owner)?;
    let permissions = key.assigned_permissions.and(owner.permissions());
    Ok((Some(owner), permissions))
}

fn usable(token: &str) -> Result<&str> {
    if token.len() < SHORTEST || token.len() > LONGEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::usage(format!("Token must have {SHORTEST} to {LONGEST} printable ASCII characters"))
            .hint("leave out Token to get a random one")
            .into());
    }
    Ok(token)
}
