//! `api/users`, `api/roles`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use zeroize::Zeroizing;

use super::json_body::JsonBody;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::{
        roles::{self, Role},
        users::{self as entity, User, UserInput},
    },
    failure::{HttpResult, Problem},
    permission::{Permission, Permissions},
    router,
};
use volume::{
    error::Error,
    events::{self, Event, Kind},
};

/// Show the user who sends the request.
#[utoipa::path(get, path = "/api/users/current", responses(
    (status = 200, body = User), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn current(principal: Principal) -> HttpResult<Json<User>> {
    principal
        .user
        .map(Json)
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "the request is not from a logged-in user"))
}

/// List the users.
#[utoipa::path(get, path = "/api/users", responses(
    (status = 200, body = Vec<User>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<User>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// Show one user. Users other than yourself need the permission `Organization`.
#[utoipa::path(get, path = "/api/users/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = User), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Json<User>> {
    require_own_or_all(&principal, &id)?;
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Create a user.
#[utoipa::path(post, path = "/api/users", request_body = UserInput, responses(
    (status = 201, body = User),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<UserInput>,
) -> HttpResult<(StatusCode, Json<User>)> {
    Ok((StatusCode::CREATED, Json(create_user(&site, &principal, input).await?)))
}

pub async fn create_user(site: &Site, principal: &Principal, mut input: UserInput) -> HttpResult<User> {
    require_roles(principal, input.role_ids.as_deref())?;
    let hash = hash_of(site, &mut input).await?;
    let user = site.console.database.call(move |connection| entity::create(connection, input, hash.as_deref())).await?;
    record_event(site, Kind::UserCreated, &user, principal);
    Ok(user)
}

/// Change a user. Without the permission `Organization`, you can change your own display name, mail address and
/// preferences, and, with `CurrentPassword`, your password.
#[utoipa::path(put, path = "/api/users/{id}", params(("id" = String, Path)), request_body = UserInput, responses(
    (status = 200, body = User),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<UserInput>,
) -> HttpResult<Json<User>> {
    Ok(Json(update_user(&site, &principal, id, input).await?))
}

/// A new password ends all sessions of the user except the session of the request. That one ends, too, if the password
/// must be changed at the next login.
pub async fn update_user(site: &Site, principal: &Principal, id: String, mut input: UserInput) -> HttpResult<User> {
    require_own_or_all(principal, &id)?;
    let is_own = principal.user_id() == Some(id.as_str());
    let wanted = id.clone();
    let before = site.console.database.call(move |connection| entity::find(connection, &wanted)).await?;
    let sets_password = input.new_password.as_ref().is_some_and(|password| !password.is_empty());
    if principal.permissions.has(Permission::Organization) {
        require_roles(principal, input.role_ids.as_deref())?;
        require_roles(principal, Some(&before.role_ids))?;
    } else {
        refuse_more(&before, &input)?;
    }
    input.new_password = input.new_password.filter(|password| !password.is_empty());
    if is_own && let Some(new) = &input.new_password {
        let current = input.current_password.take().map(Zeroizing::new);
        let is_same = current.as_ref().is_some_and(|current| **current == *new);
        check_current(site, &before, current).await?;
        if is_same {
            return Err(Error::usage("the new password is the same as the old one").into());
        }
        // The user has just chosen this password.
        input.must_change_password = Some(false);
    }
    let hash = hash_of(site, &mut input).await?;
    let continues = is_own && input.must_change_password != Some(true);
    let session = principal.session.clone().filter(|_| continues);
    let user = site
        .console
        .database
        .call(move |connection| {
            let keep = session.as_deref().map(|hash| crate::auth::session::read(connection, hash)).transpose()?;
            let user = entity::update(connection, &id, input, hash.as_deref())?;
            if let Some(kept) = keep.flatten() {
                crate::auth::session::put_back(connection, &kept)?;
            }
            Ok(user)
        })
        .await?;
    if sets_password || user != before {
        record_event(site, Kind::UserChanged, &user, principal);
    }
    Ok(user)
}

/// Remove a user, its sessions and its API keys.
#[utoipa::path(delete, path = "/api/users/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Response> {
    remove_user(&site, &principal, id).await?;
    Ok(router::nothing())
}

pub async fn remove_user(site: &Site, principal: &Principal, id: String) -> HttpResult<()> {
    let wanted = id.clone();
    let before = site.console.database.call(move |connection| entity::find(connection, &wanted)).await?;
    require_roles(principal, Some(&before.role_ids))?;
    let user = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    record_event(site, Kind::UserRemoved, &user, principal);
    Ok(())
}

/// List the roles.
#[utoipa::path(get, path = "/api/roles", responses(
    (status = 200, body = Vec<Role>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn roles() -> Json<Vec<Role>> {
    Json(roles::list())
}

/// Show one role.
#[utoipa::path(get, path = "/api/roles/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Role), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn role(Path(id): Path<String>) -> HttpResult<Json<Role>> {
    roles::find(&id).map(Json).ok_or_else(|| Failure::not_found("role"))
}

fn require_own_or_all(principal: &Principal, id: &str) -> HttpResult<()> {
    if principal.user_id() == Some(id) { Ok(()) } else { principal.require(Permission::Organization) }
}

/// Refuses roles with more permissions than the principal's, because otherwise an API key with the permission
/// `Organization` alone could create an administrator.
fn require_roles(principal: &Principal, role_ids: Option<&[String]>) -> HttpResult<()> {
    let permissions = role_ids.map_or(Permissions::NONE, roles::permissions);
    if permissions.within(principal.permissions) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this user has more permissions than you have"))
}

/// Refuses changes that need `Organization`. Clients send the whole entity, so unchanged values are accepted.
fn refuse_more(before: &User, input: &UserInput) -> HttpResult<()> {
    let other_roles = input.role_ids.as_ref().is_some_and(|ids| {
        let mut ids = ids.clone();
        ids.sort();
        ids != before.role_ids
    });
    let other_name = input.username.as_ref().is_some_and(|name| *name != before.username);
    let other_must = input.must_change_password.is_some_and(|must| must != before.must_change_password);
    if other_roles || other_name || other_must {
        return Err(Failure::new(StatusCode::FORBIDDEN, "this needs the permission Organization"));
    }
    Ok(())
}

async fn check_current(site: &Site, user: &User, current: Option<Zeroizing<String>>) -> HttpResult<()> {
    if !user.has_password {
        return Ok(());
    }
    let wrong = || Failure::new(StatusCode::FORBIDDEN, "CurrentPassword is wrong");
    let current = current.ok_or_else(wrong)?;
    site.logins.attempt_own(&user.id)?;
    let username = user.username.clone();
    let found = site.console.database.call(move |connection| entity::by_name(connection, &username)).await?;
    let hash = found.and_then(|(_, hash)| hash);
    if site.logins.verify(current, hash).await? { Ok(()) } else { Err(wrong()) }
}

async fn hash_of(site: &Site, input: &mut UserInput) -> HttpResult<Option<String>> {
    match input.new_password.take().filter(|password| !password.is_empty()).map(Zeroizing::new) {
        Some(password) => Ok(Some(site.logins.hash(password).await?)),
        None => Ok(None),
    }
}

fn record_event(site: &Site, kind: Kind, user: &User, principal: &Principal) {
    let event = Event::new(kind).with("Username", user.username.as_str()).with("By", principal.name());
    events::record(&site.console.volume, &event);
}
