//! `/users`, `/apikeys`.

use axum::{extract::Path, response::Response};

use super::{
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    view::{
        self,
        access::{ApiKey, User},
    },
    visit::{Visit, refuse},
};
use crate::{
    api::{create_key, create_user, own_key, remove_key, remove_user, update_user, visible_keys},
    entities::{
        keys::ApiKeyInput,
        roles,
        users::{self, UserInput},
    },
    failure::HttpResult,
    permission::Permission,
};

const HERE: Section = Section::Access;
const FIELDS: &[(&str, &str)] = &[
    ("password", "NewPassword"),
    ("Username", "Username"),
    ("exists already", "Username"),
    ("DisplayName", "DisplayName"),
    ("EmailAddress", "EmailAddress"),
    ("Title", "Title"),
];

pub(super) async fn list(visit: Visit) -> HttpResult<Response> {
    let database = &visit.site.console.database;
    let users = match visit.who.permissions.has(Permission::Organization) {
        true => Some(database.call(|connection| users::list(connection)).await?),
        false => None,
    };
    let name_of = |id: &str| users.as_ref()?.iter().find(|user| user.id == id).map(|user| user.username.clone());
    let keys: Vec<ApiKey> = visible_keys(&visit.site, &visit.who)
        .await?
        .into_iter()
        .map(|key| ApiKey {
            owner: key.owner_id.as_deref().and_then(name_of),
            permissions: names(key.assigned_permissions.into()),
            id: key.id,
            title: key.title,
            prefix: key.token_prefix,
        })
        .collect();
    let users: Option<Vec<User>> = users.as_ref().map(|users| users.iter().map(shown).collect());
    let body = view::access::page(users.as_deref(), &keys, true);
    visit.page(HERE, HERE.title(), body).await
}

fn shown(user: &users::User) -> User {
    User {
        id: user.id.clone(),
        username: user.username.clone(),
        display_name: user.display_name.clone().unwrap_or_default(),
        roles: user.role_ids.iter().map(|id| roles::find(id).map_or_else(|| id.clone(), |role| role.title)).collect(),
        must_change_password: user.must_change_password,
    }
}

fn names(permissions: Vec<Permission>) -> Vec<String> {
    permissions.into_iter().map(|permission| permission.name().to_owned()).collect()
}

fn user_form(visit: &Visit, id: Option<&str>, filled: &Filled) -> maud::Markup {
    let roles: Vec<_> = roles::list().into_iter().map(|role| (role.id, role.title, role.description)).collect();
    view::access::user(id, &roles, visit.csrf(), filled)
}

pub(super) async fn new_user(visit: Visit) -> HttpResult<Response> {
    let first = roles::list().into_iter().next().map(|role| role.id).unwrap_or_default();
    let filled = Filled::with([("RoleId", first), ("MustChangePassword", "on".to_owned())]);
    let body = user_form(&visit, None, &filled);
    visit.page(HERE, "New user", body).await
}

pub(super) async fn edit_user(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let user_id = id.clone();
    let user = visit.site.console.database.call(move |connection| users::find(connection, &user_id)).await?;
    let mut filled = Filled::with([
        ("Username", user.username.clone()),
        ("DisplayName", user.display_name.unwrap_or_default()),
        ("EmailAddress", user.email_address.unwrap_or_default()),
        ("RoleId", user.role_ids.last().cloned().unwrap_or_default()),
    ]);
    if user.must_change_password {
        filled.values.insert("MustChangePassword".to_owned(), "on".to_owned());
    }
    let body = user_form(&visit, Some(&id), &filled);
    visit.page(HERE, &user.username, body).await
}

fn user_input(fields: &Fields) -> UserInput {
    UserInput {
        username: Some(fields.text("Username").to_owned()),
        display_name: Some(fields.text("DisplayName").to_owned()),
        email_address: Some(fields.text("EmailAddress").to_owned()),
        must_change_password: Some(fields.has("MustChangePassword")),
        role_ids: fields.optional("RoleId").map(|role| vec![role]),
        new_password: fields.optional("NewPassword"),
        ..UserInput::default()
    }
}

pub(super) async fn create(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let mut filled = fields.all();
    let input = user_input(&fields);
    if input.new_password.is_none() {
        filled.refuse("NewPassword", "Enter a password.");
    } else {
        match create_user(&visit.site, &visit.who, input).await {
            Ok(user) => return Ok(Flash::done(format!("User {} was created.", user.username)).redirect("/users")),
            Err(failure) => refuse(&mut filled, failure, FIELDS)?,
        }
    }
    let body = user_form(&visit, None, &filled);
    visit.again(HERE, "New user", body).await
}

pub(super) async fn update(visit: Visit, Path(id): Path<String>, fields: Fields) -> HttpResult<Response> {
    let mut filled = fields.all();
    if visit.who.user_id() == Some(id.as_str()) && fields.optional("NewPassword").is_some() {
        filled.refuse("NewPassword", "Change your own password under Your account.");
    } else {
        match update_user(&visit.site, &visit.who, id.clone(), user_input(&fields)).await {
            Ok(user) => return Ok(Flash::done(format!("User {} was changed.", user.username)).redirect("/users")),
            Err(failure) => refuse(&mut filled, failure, FIELDS)?,
        }
    }
    let body = user_form(&visit, Some(&id), &filled);
    visit.again(HERE, "User", body).await
}

pub(super) async fn ask_to_remove_user(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let user_id = id.clone();
    let user = visit.site.console.database.call(move |connection| users::find(connection, &user_id)).await?;
    let action = format!("/users/{id}/remove");
    let consequence = "The user’s API keys stop working immediately.";
    let body = view::remove::page(HERE, "the user", &user.username, consequence, &action, visit.csrf());
    visit.page(HERE, "Remove the user", body).await
}

pub(super) async fn remove(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    match remove_user(&visit.site, &visit.who, id).await {
        Ok(()) => Ok(Flash::done("The user was removed.").redirect("/users")),
        Err(failure) => Ok(visit.failed(&failure, "/users")),
    }
}

/// Descriptions of the permissions for the form of an API key.
const ALLOWS: [(Permission, &str); 6] = [
    (Permission::Ingest, "Send events."),
    (Permission::Read, "View events and signals."),
    (Permission::Write, "Manage its own signals and API keys."),
    (Permission::Project, "Manage shared signals and API keys."),
    (Permission::System, "Backups, restores, quarantine, notifications, settings, metrics."),
    (Permission::Organization, "Manage users."),
];

fn key_form(visit: &Visit, filled: &Filled) -> maud::Markup {
    let may = ALLOWS.iter().filter(|(permission, _)| visit.who.permissions.has(*permission));
    let permissions: Vec<_> = may.map(|(permission, allows)| (permission.name(), *allows)).collect();
    view::access::new_key(&permissions, visit.csrf(), filled)
}

pub(super) async fn new_key(visit: Visit) -> HttpResult<Response> {
    let body = key_form(&visit, &Filled::with([("Permission.Read", "on".to_owned())]));
    visit.page(HERE, "New API key", body).await
}

/// The response itself shows the token, because the console stores only its hash.
pub(super) async fn make_key(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let ticked: Vec<&str> = fields.below("Permission.").map(|(name, _)| name).collect();
    let permissions = Permission::ALL.into_iter().filter(|one| ticked.contains(&one.name()));
    let input = ApiKeyInput {
        title: Some(fields.text("Title").to_owned()),
        assigned_permissions: Some(permissions.collect()),
        ..ApiKeyInput::default()
    };
    match create_key(&visit.site, &visit.who, input).await {
        Ok(key) => {
            let body = view::access::token(&key.title, key.token.as_deref().unwrap_or_default());
            visit.page(HERE, "API key created", body).await
        }
        Err(failure) => {
            let mut filled = fields.all();
            refuse(&mut filled, failure, FIELDS)?;
            let body = key_form(&visit, &filled);
            visit.again(HERE, "New API key", body).await
        }
    }
}

pub(super) async fn ask_to_remove_key(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let key = own_key(&visit.site, &visit.who, id).await?;
    let action = format!("/apikeys/{}/remove", key.id);
    let consequence = "Programs that use it lose access immediately.";
    let body = view::remove::page(HERE, "the API key", &key.title, consequence, &action, visit.csrf());
    visit.page(HERE, "Remove the API key", body).await
}

pub(super) async fn drop_key(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    match remove_key(&visit.site, &visit.who, id).await {
        Ok(()) => Ok(Flash::done("The API key was removed.").redirect("/users")),
        Err(failure) => Ok(visit.failed(&failure, "/users")),
    }
}
