//! Users. The metastore holds the Argon2id hash of a password, and the API never shows it.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    Links, database_error, from_json, links, new_id, not_found, optional, roles, settings, short, title, to_json,
};
use crate::permission::{Permission, Permissions};
use volume::error::{Code, Error, Result};

/// Limited, because the list of users is a single response.
const MOST: usize = 1000;

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct User {
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
    /// Only in the response to a login: the value of `X-Seq-CsrfToken` for requests that change something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
    pub links: Links,
}

impl User {
    /// Includes `Public`, so that a user without roles can see itself and log out.
    pub fn permissions(&self) -> Permissions {
        roles::permissions(&self.role_ids).or(Permission::Public.into())
    }
}

/// Absent fields stay as they are; in a new user they are empty.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserInput {
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

const COLUMNS: &str = "id, username, display_name, email_address, preferences, view_filter, must_change_password, \
                       role_ids, password_hash IS NOT NULL";

fn from_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let id: String = row.get(0)?;
    Ok(User {
        links: links("users", &id),
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

/// Sorted by name.
pub fn list(connection: &Connection) -> Result<Vec<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users ORDER BY username");
    let read = || connection.prepare(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<_>>();
    read().map_err(|cause| database_error(&cause))
}

/// Fails with `NotFound`.
pub fn find(connection: &Connection, id: &str) -> Result<User> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    let found = connection.query_row(&sql, [id], from_row).optional().map_err(|cause| database_error(&cause))?;
    found.ok_or_else(|| not_found("user", id))
}

/// The user with this name, and the hash of the password.
pub fn by_name(connection: &Connection, username: &str) -> Result<Option<(User, Option<String>)>> {
    let sql = format!("SELECT {COLUMNS}, password_hash FROM users WHERE username = ?1");
    let read = |row: &Row<'_>| Ok((from_row(row)?, row.get(9)?));
    connection.query_row(&sql, [username], read).optional().map_err(|cause| database_error(&cause))
}

/// Whether any user exists.
pub fn are_there(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users)";
    connection.query_row(sql, [], |row| row.get(0)).map_err(|cause| database_error(&cause))
}

/// Whether an administrator with a password exists.
pub fn has_administrator(connection: &Connection) -> Result<bool> {
    let can = |user: &User| user.has_password && user.role_ids.iter().any(|id| id == roles::ADMINISTRATOR);
    Ok(list(connection)?.iter().any(can))
}

/// `hash` is the hash of the password.
pub fn create(connection: &mut Connection, input: UserInput, hash: Option<&str>) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    if list(&transaction)?.len() >= MOST {
        return Err(Error::usage(format!("cannot create more than {MOST} users")));
    }
    let id = new_id("user")?;
    let user = User {
        links: links("users", &id),
        id,
        username: String::new(),
        display_name: None,
        email_address: None,
        preferences: Map::new(),
        view_filter: None,
        must_change_password: false,
        role_ids: vec!["role-user-readonly".to_owned()],
        has_password: false,
        csrf_token: None,
    };
    if input.username.is_none() {
        return Err(Error::usage("Username is missing"));
    }
    let user = changed(&transaction, user, input)?;
    let insert = "INSERT INTO users (id, username) VALUES (?1, ?2)";
    transaction.execute(insert, [&user.id, &user.username]).map_err(|cause| database_error(&cause))?;
    write(&transaction, &user, hash)?;
    finish(transaction, &user.id)
}

/// Changes a user; `hash` is the hash of a new password. The user's sessions end with a new password, and if the password
/// must be changed from now on, because that happens at a login. Fails if no administrator could log in afterwards.
pub fn update(connection: &mut Connection, id: &str, input: UserInput, hash: Option<&str>) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    let before = find(&transaction, id)?;
    let had_to_change = before.must_change_password;
    let user = changed(&transaction, before, input)?;
    write(&transaction, &user, hash)?;
    if hash.is_some() || (user.must_change_password && !had_to_change) {
        let sql = "DELETE FROM sessions WHERE user_id = ?1";
        transaction.execute(sql, [id]).map_err(|cause| database_error(&cause))?;
    }
    refuse_lockout(&transaction)?;
    finish(transaction, id)
}

/// Sets a password that the user has chosen. The user's sessions end.
pub fn set_password(connection: &mut Connection, id: &str, hash: &str) -> Result<User> {
    let input = UserInput { must_change_password: Some(false), ..UserInput::default() };
    update(connection, id, input, Some(hash))
}

/// Removes a user with its sessions and API keys; its signals become shared. Fails if no administrator could log in
/// afterwards.
pub fn remove(connection: &mut Connection, id: &str) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    let user = find(&transaction, id)?;
    let gone = || {
        transaction.execute("DELETE FROM apikeys WHERE owner_id = ?1", [id])?;
        transaction.execute("UPDATE signals SET owner_id = NULL WHERE owner_id = ?1", [id])?;
        transaction.execute("DELETE FROM users WHERE id = ?1", [id])
    };
    gone().map_err(|cause| database_error(&cause))?;
    refuse_lockout(&transaction)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(user)
}

fn changed(connection: &Connection, mut user: User, input: UserInput) -> Result<User> {
    if let Some(username) = input.username {
        user.username = title("Username", &username)?;
        let taken = by_name(connection, &user.username)?.is_some_and(|(other, _)| other.id != user.id);
        if taken {
            return Err(Error::usage(format!("a user {:?} exists already", user.username)));
        }
    }
    if input.display_name.is_some() {
        user.display_name = optional("DisplayName", input.display_name)?;
    }
    if input.email_address.is_some() {
        user.email_address = optional("EmailAddress", input.email_address)?;
    }
    if input.view_filter.is_some() {
        user.view_filter = optional("ViewFilter", input.view_filter)?;
    }
    if let Some(preferences) = input.preferences {
        short("Preferences", &to_json(&preferences)?)?;
        user.preferences = preferences;
    }
    user.must_change_password = input.must_change_password.unwrap_or(user.must_change_password);
    if let Some(role_ids) = input.role_ids {
        if let Some(unknown) = role_ids.iter().find(|id| roles::find(id).is_none()) {
            return Err(not_found("role", unknown).with_code(Code::Usage));
        }
        user.role_ids = role_ids;
        user.role_ids.sort();
        user.role_ids.dedup();
    }
    Ok(user)
}

fn write(transaction: &Transaction<'_>, user: &User, hash: Option<&str>) -> Result<()> {
    let sql = "UPDATE users SET username = ?2, display_name = ?3, email_address = ?4, preferences = ?5,
               view_filter = ?6, must_change_password = ?7, role_ids = ?8, password_hash = coalesce(?9, password_hash)
               WHERE id = ?1";
    let (preferences, role_ids) = (to_json(&user.preferences)?, to_json(&user.role_ids)?);
    let values = params![
        user.id,
        user.username,
        user.display_name,
        user.email_address,
        preferences,
        user.view_filter,
        user.must_change_password,
        role_ids,
        hash
    ];
    transaction.execute(sql, values).map(drop).map_err(|cause| database_error(&cause))
}

fn refuse_lockout(connection: &Connection) -> Result<()> {
    if settings::is_authentication_enabled(connection)? && !has_administrator(connection)? {
        return Err(Error::new(Code::ConfirmationNeeded, "no administrator could log in any more")
            .hint("first give the role role-administrator to another user with a password"));
    }
    Ok(())
}

fn finish(transaction: Transaction<'_>, id: &str) -> Result<User> {
    let user = find(&transaction, id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(user)
}
