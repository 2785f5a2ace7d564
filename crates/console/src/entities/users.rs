//! Users. The metastore holds the Argon2id hash of a password, and the API never shows it.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Entity, Links, Result, from_json, links, list, not_found, optional, require_title, roles, settings, short, title,
    to_json,
};
use crate::{
    failure::InputError,
    permission::{Permission, Permissions},
};
use volume::error::{Code, Error};

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct User {
    pub id: String,
    pub username: String,
    pub display_name: Option<String>,
    pub email_address: Option<String>,
    /// Kept for Seq's clients.
    #[schema(value_type = Object)]
    pub preferences: Map<String, Value>,
    /// Kept for Seq's clients.
    pub view_filter: Option<String>,
    /// Whether the password must be changed at the next login.
    pub must_change_password: bool,
    pub role_ids: Vec<String>,
    /// If false, the user cannot log in.
    pub has_password: bool,
    /// Only in the response to a login. Kept for Seq's clients, which send it as `X-Seq-CsrfToken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
    pub links: Links,
}

impl User {
    /// Includes `Public`, so that a user without roles can see itself and log out.
    pub(crate) fn permissions(&self) -> Permissions {
        roles::permissions(&self.role_ids).or(Permission::Public.into())
    }
}

/// Absent fields stay as they are; in a new user they are empty.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct UserInput {
    pub username: Option<String>,
    pub display_name: Option<String>,
    pub email_address: Option<String>,
    /// Kept for Seq's clients.
    #[schema(value_type = Option<Object>)]
    pub preferences: Option<Map<String, Value>>,
    /// Kept for Seq's clients.
    pub view_filter: Option<String>,
    /// Whether the password must be changed at the next login.
    pub must_change_password: Option<bool>,
    pub role_ids: Option<Vec<String>>,
    pub new_password: Option<String>,
    /// Required if you change your own password.
    pub current_password: Option<String>,
}

/// What a change of a user's password needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Credentials {
    /// The hash of the new password.
    pub hash: Option<String>,
    /// The hash of the session that continues.
    pub session: Option<String>,
}

impl Entity for User {
    type Input = UserInput;
    type Context = Credentials;

    const TABLE: &'static str = "users";
    const ID: &'static str = "user";
    const NAME: &'static str = "user";
    const COLUMNS: &'static str = "id, username, display_name, email_address, preferences, view_filter, \
                                   must_change_password, role_ids, password_hash IS NOT NULL";
    const ORDER: &'static str = "username";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id: String = row.get(0)?;
        Ok(Self {
            links: links(Self::TABLE, &id),
            id,
            username: row.get(1)?,
            display_name: row.get(2)?,
            email_address: row.get(3)?,
            preferences: from_json(&row.get::<_, String>(4)?),
            view_filter: row.get(5)?,
            must_change_password: row.get(6)?,
            role_ids: from_json(&row.get::<_, String>(7)?),
            has_password: row.get(8)?,
            csrf_token: None,
        })
    }

    fn insert(connection: &Connection, id: &str, input: &UserInput, _: &Credentials) -> Result<()> {
        require_title("Username", input.username.as_ref())?;
        connection.execute("INSERT INTO users (id, username) VALUES (?1, '')", [id])?;
        Ok(())
    }

    /// The user's sessions end with a new password, and if the password must be changed from now on, because that happens
    /// at a login. Fails if no administrator could log in afterwards.
    fn change(mut self, connection: &Connection, input: UserInput, credentials: Credentials) -> Result<Self> {
        // A new user cannot lock out anyone.
        let is_new = self.username.is_empty();
        if let Some(username) = input.username {
            self.username = title("Username", &username)?;
            if by_name(connection, &self.username)?.is_some_and(|(other, _)| other.id != self.id) {
                let error = Error::usage(format!("a user {:?} exists already", self.username));
                return Err(InputError::new("Username", error));
            }
        }
        if let Some(text) = input.display_name {
            self.display_name = optional("DisplayName", &text)?;
        }
        if let Some(text) = input.email_address {
            self.email_address = optional("EmailAddress", &text)?;
        }
        if let Some(text) = input.view_filter {
            self.view_filter = optional("ViewFilter", &text)?;
        }
        if let Some(preferences) = input.preferences {
            short("Preferences", &to_json(&preferences)?)?;
            self.preferences = preferences;
        }
        let must_log_in = input.must_change_password == Some(true) && !self.must_change_password;
        self.must_change_password = input.must_change_password.unwrap_or(self.must_change_password);
        if let Some(role_ids) = input.role_ids {
            if let Some(unknown) = role_ids.iter().find(|id| roles::find(id).is_none()) {
                return Err(not_found("role", unknown).with_code(Code::Usage).into());
            }
            self.role_ids = role_ids;
            self.role_ids.sort();
            self.role_ids.dedup();
        }
        self.has_password |= credentials.hash.is_some();
        let sql = "UPDATE users SET username = ?2, display_name = ?3, email_address = ?4, preferences = ?5,
                   view_filter = ?6, must_change_password = ?7, role_ids = ?8,
                   password_hash = coalesce(?9, password_hash) WHERE id = ?1";
        let values = params![
            self.id,
            self.username,
            self.display_name,
            self.email_address,
            to_json(&self.preferences)?,
            self.view_filter,
            self.must_change_password,
            to_json(&self.role_ids)?,
            credentials.hash
        ];
        connection.execute(sql, values)?;
        if credentials.hash.is_some() || must_log_in {
            let sql = "DELETE FROM sessions WHERE user_id = ?1 AND token_hash IS NOT ?2";
            connection.execute(sql, params![self.id, credentials.session])?;
        }
        if !is_new {
            refuse_lockout(connection)?;
        }
        Ok(self)
    }

    /// Removes the user's sessions and API keys, too; its signals become shared. Fails if no administrator could log in
    /// afterwards.
    fn delete(&self, connection: &Connection, id: &str) -> Result<()> {
        connection.execute("DELETE FROM apikeys WHERE owner_id = ?1", [id])?;
        connection.execute("UPDATE signals SET owner_id = NULL WHERE owner_id = ?1", [id])?;
        connection.execute("DELETE FROM users WHERE id = ?1", [id])?;
        refuse_lockout(connection)
    }
}

/// The user with this name, and the hash of the password.
pub(crate) fn by_name(connection: &Connection, username: &str) -> Result<Option<(User, Option<String>)>> {
    let sql = format!("SELECT {}, password_hash FROM users WHERE username = ?1", User::COLUMNS);
    let read = |row: &Row<'_>| Ok((User::from_row(row)?, row.get(9)?));
    Ok(connection.query_row(&sql, [username], read).optional()?)
}

pub(crate) fn are_there(connection: &Connection) -> Result<bool> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM users)", [], |row| row.get(0))?)
}

/// Whether an administrator with a password exists.
pub(crate) fn has_administrator(connection: &Connection) -> Result<bool> {
    let can = |user: &User| user.has_password && user.role_ids.iter().any(|id| id == roles::ADMINISTRATOR);
    Ok(list(connection)?.iter().any(can))
}

fn refuse_lockout(connection: &Connection) -> Result<()> {
    if settings::is_authentication_enabled(connection)? && !has_administrator(connection)? {
        return Err(Error::new(Code::ConfirmationNeeded, "no administrator could log in any more")
            .hint("first give the role role-administrator to another user with a password")
            .into());
    }
    Ok(())
}
