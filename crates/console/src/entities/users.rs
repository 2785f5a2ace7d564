//! Users. What is kept of a password is its Argon2id hash, and is never shown.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Links, from_json, links, new_id, none_such, optional, roles, settings, short, stored, title, to_json};
use crate::permission::{Permission, Permissions};
use volume::error::{Code, Error, Result};

/// Nobody has that many, and the list is one answer.
const MOST: usize = 1000;

/// A user, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct User {
    /// Its id.
    pub id: String,
    /// What it logs in as.
    pub username: String,
    /// What it is called.
    pub display_name: Option<String>,
    /// Where mails to it go.
    pub email_address: Option<String>,
    /// What it prefers.
    #[schema(value_type = Object)]
    pub preferences: Map<String, Value>,
    /// Events that it is shown; kept for Seq's clients.
    pub view_filter: Option<String>,
    /// Whether the password has to be changed at the next login.
    pub must_change_password: bool,
    /// Its roles.
    pub role_ids: Vec<String>,
    /// Whether it can log in at all.
    pub has_password: bool,
    /// At a login: what requests that change something carry as `X-Seq-CsrfToken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csrf_token: Option<String>,
    /// Where it is.
    pub links: Links,
}

impl User {
    /// What it may do. Without any role it may still see itself, and log out.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        roles::permissions(&self.role_ids).or(Permission::Public.into())
    }
}

/// A user, as it is sent. Whatever is absent stays as it is, or is empty in a new one.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserInput {
    /// What it logs in as.
    pub username: Option<String>,
    /// What it is called.
    pub display_name: Option<String>,
    /// Where mails to it go.
    pub email_address: Option<String>,
    /// What it prefers.
    #[schema(value_type = Option<Object>)]
    pub preferences: Option<Map<String, Value>>,
    /// Kept for Seq's clients.
    pub view_filter: Option<String>,
    /// Whether the password has to be changed at the next login.
    pub must_change_password: Option<bool>,
    /// Its roles.
    pub role_ids: Option<Vec<String>>,
    /// Another password. Never shown.
    pub new_password: Option<String>,
    /// The present password: needed where a user changes its own.
    pub current_password: Option<String>,
}

const COLUMNS: &str = "id, username, display_name, email_address, preferences, view_filter, must_change_password, \
                       role_ids, password_hash IS NOT NULL";

fn of_row(row: &Row<'_>) -> rusqlite::Result<User> {
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

/// All users, by name.
///
/// # Errors
/// Where the database cannot be read.
pub fn list(connection: &Connection) -> Result<Vec<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users ORDER BY username");
    let read = || connection.prepare(&sql)?.query_map([], of_row)?.collect::<rusqlite::Result<_>>();
    read().map_err(|cause| stored(&cause))
}

/// One of them.
///
/// # Errors
/// `NotFound` where there is none.
pub fn find(connection: &Connection, id: &str) -> Result<User> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    let found = connection.query_row(&sql, [id], of_row).optional().map_err(|cause| stored(&cause))?;
    found.ok_or_else(|| none_such("user", id))
}

/// The user of this name, and the hash of its password.
///
/// # Errors
/// Where the database cannot be read.
pub fn by_name(connection: &Connection, username: &str) -> Result<Option<(User, Option<String>)>> {
    let sql = format!("SELECT {COLUMNS}, password_hash FROM users WHERE username = ?1");
    let read = |row: &Row<'_>| Ok((of_row(row)?, row.get(9)?));
    connection.query_row(&sql, [username], read).optional().map_err(|cause| stored(&cause))
}

/// Whether there is any.
///
/// # Errors
/// Where the database cannot be read.
pub fn are_there(connection: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users)";
    connection.query_row(sql, [], |row| row.get(0)).map_err(|cause| stored(&cause))
}

/// Whether somebody can log in and administer.
///
/// # Errors
/// Where the database cannot be read.
pub fn has_administrator(connection: &Connection) -> Result<bool> {
    let can = |user: &User| user.has_password && user.role_ids.iter().any(|id| id == roles::ADMINISTRATOR);
    Ok(list(connection)?.iter().any(can))
}

/// Makes one. `hash` is of its password.
///
/// # Errors
/// `Usage` for what makes no sense, a name that is taken among it.
pub fn create(connection: &mut Connection, input: UserInput, hash: Option<&str>) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| stored(&cause))?;
    if list(&transaction)?.len() >= MOST {
        return Err(Error::usage(format!("there are {MOST} users, and that is enough")));
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
        return Err(Error::usage("Username is absent"));
    }
    let user = changed(&transaction, user, input)?;
    let insert = "INSERT INTO users (id, username) VALUES (?1, ?2)";
    transaction.execute(insert, [&user.id, &user.username]).map_err(|cause| stored(&cause))?;
    write(&transaction, &user, hash)?;
    finish(transaction, &user.id)
}

/// Changes one. With `hash` it has another password. Its sessions end then, and where the password has to be changed
/// from now on: that is asked for at a login.
///
/// # Errors
/// `NotFound`; `Usage` for what makes no sense; and where nobody could administer any more.
pub fn update(connection: &mut Connection, id: &str, input: UserInput, hash: Option<&str>) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| stored(&cause))?;
    let before = find(&transaction, id)?;
    let had_to_change = before.must_change_password;
    let user = changed(&transaction, before, input)?;
    write(&transaction, &user, hash)?;
    if hash.is_some() || (user.must_change_password && !had_to_change) {
        let sql = "DELETE FROM sessions WHERE user_id = ?1";
        transaction.execute(sql, [id]).map_err(|cause| stored(&cause))?;
    }
    refuse_lockout(&transaction)?;
    finish(transaction, id)
}

/// Another password; its sessions end.
///
/// # Errors
/// Where the database cannot be written.
pub fn set_password(connection: &mut Connection, id: &str, hash: &str) -> Result<User> {
    let input = UserInput { must_change_password: Some(false), ..UserInput::default() };
    update(connection, id, input, Some(hash))
}

/// Removes one, its sessions and its API keys.
///
/// # Errors
/// `NotFound`; and where nobody could administer any more.
pub fn remove(connection: &mut Connection, id: &str) -> Result<User> {
    let transaction = connection.transaction().map_err(|cause| stored(&cause))?;
    let user = find(&transaction, id)?;
    let gone = || {
        transaction.execute("DELETE FROM apikeys WHERE owner_id = ?1", [id])?;
        transaction.execute("UPDATE signals SET owner_id = NULL WHERE owner_id = ?1", [id])?;
        transaction.execute("DELETE FROM users WHERE id = ?1", [id])
    };
    gone().map_err(|cause| stored(&cause))?;
    refuse_lockout(&transaction)?;
    transaction.commit().map_err(|cause| stored(&cause))?;
    Ok(user)
}

fn changed(connection: &Connection, mut user: User, input: UserInput) -> Result<User> {
    if let Some(username) = input.username {
        user.username = title("Username", &username)?;
        let taken = by_name(connection, &user.username)?.is_some_and(|(other, _)| other.id != user.id);
        if taken {
            return Err(Error::usage(format!("there is a user {:?} already", user.username)));
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
            return Err(none_such("role", unknown).with_code(Code::Usage));
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
    transaction.execute(sql, values).map(drop).map_err(|cause| stored(&cause))
}

fn refuse_lockout(connection: &Connection) -> Result<()> {
    if settings::is_authentication_enabled(connection)? && !has_administrator(connection)? {
        return Err(Error::new(Code::ConfirmationNeeded, "nobody could administer this console any more")
            .hint("give another user with a password the role role-administrator first"));
    }
    Ok(())
}

fn finish(transaction: Transaction<'_>, id: &str) -> Result<User> {
    let user = find(&transaction, id)?;
    transaction.commit().map_err(|cause| stored(&cause))?;
    Ok(user)
}
