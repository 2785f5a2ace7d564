//! `api/users`, `api/roles`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use zeroize::Zeroizing;

use super::take::Take;
use crate::{
    Failure, Site,
    auth::Who,
    entities::{
        roles::{self, Role},
        users::{self as entity, User, UserInput},
    },
    failure::{Answer, Problem},
    permission::{Permission, Permissions},
    router,
};
use volume::{
    error::Error,
    events::{self, Event, Kind},
};

/// The user that the request is from.
#[utoipa::path(get, path = "/api/users/current", responses(
    (status = 200, body = User), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn current(who: Who) -> Answer<Json<User>> {
    who.user.map(Json).ok_or_else(|| Failure::not_found("user: nobody is logged in"))
}

/// All users.
#[utoipa::path(get, path = "/api/users", responses(
    (status = 200, body = Vec<User>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Answer<Json<Vec<User>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// One user: another's needs the permission `Organization`.
#[utoipa::path(get, path = "/api/users/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = User), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Json<User>> {
    require_own_or_all(&who, &id)?;
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Make a user.
#[utoipa::path(post, path = "/api/users", request_body = UserInput, responses(
    (status = 201, body = User),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    who: Who,
    Take(input): Take<UserInput>,
) -> Answer<(StatusCode, Json<User>)> {
    Ok((StatusCode::CREATED, Json(create_user(&site, &who, input).await?)))
}

/// Makes a user, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense; 403 where it could do more than whoever makes it.
pub async fn create_user(site: &Site, who: &Who, mut input: UserInput) -> Answer<User> {
    may_give(who, input.role_ids.as_deref())?;
    let hash = hash_of(site, &mut input).await?;
    let user = site.console.database.call(move |connection| entity::create(connection, input, hash.as_deref())).await?;
    note(site, Kind::UserCreated, &user, who);
    Ok(user)
}

/// Change a user. Without the permission `Organization`, a user may change its own name, mail address and preferences,
/// and its own password with `CurrentPassword`.
#[utoipa::path(put, path = "/api/users/{id}", params(("id" = String, Path)), request_body = UserInput, responses(
    (status = 200, body = User),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
    Take(input): Take<UserInput>,
) -> Answer<Json<User>> {
    Ok(Json(update_user(&site, &who, id, input).await?))
}

/// Changes a user, for the API and for pages. The session that it is done from goes on, unless the password has to be
/// changed from now on.
///
/// # Errors
/// 400 for what makes no sense; 403, 404; 409 where nobody could administer any more.
pub async fn update_user(site: &Site, who: &Who, id: String, mut input: UserInput) -> Answer<User> {
    require_own_or_all(who, &id)?;
    let is_own = who.user_id() == Some(id.as_str());
    let wanted = id.clone();
    let before = site.console.database.call(move |connection| entity::find(connection, &wanted)).await?;
    let sets_password = input.new_password.as_ref().is_some_and(|password| !password.is_empty());
    if who.permissions.has(Permission::Organization) {
        may_give(who, input.role_ids.as_deref())?;
        may_give(who, Some(&before.role_ids))?;
    } else {
        refuse_more(&before, &input)?;
    }
    input.new_password = input.new_password.filter(|password| !password.is_empty());
    if is_own && let Some(new) = &input.new_password {
        let current = input.current_password.take().map(Zeroizing::new);
        let is_same = current.as_ref().is_some_and(|current| **current == *new);
        check_current(site, &before, current).await?;
        if is_same {
            return Err(Error::usage("the new password is the old one").into());
        }
        // Whoever has just chosen it need not choose again.
        input.must_change_password = Some(false);
    }
    let hash = hash_of(site, &mut input).await?;
    let goes_on = is_own && input.must_change_password != Some(true);
    let session = who.session.clone().filter(|_| goes_on);
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
        note(site, Kind::UserChanged, &user, who);
    }
    Ok(user)
}

/// Remove a user, its sessions and its API keys.
#[utoipa::path(delete, path = "/api/users/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Response> {
    remove_user(&site, &who, id).await?;
    Ok(router::nothing())
}

/// Removes a user, for the API and for pages.
///
/// # Errors
/// 404; 409 where nobody could administer any more.
pub async fn remove_user(site: &Site, who: &Who, id: String) -> Answer<()> {
    let wanted = id.clone();
    let before = site.console.database.call(move |connection| entity::find(connection, &wanted)).await?;
    may_give(who, Some(&before.role_ids))?;
    let user = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    note(site, Kind::UserRemoved, &user, who);
    Ok(())
}

/// All roles.
#[utoipa::path(get, path = "/api/roles", responses(
    (status = 200, body = Vec<Role>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn roles() -> Json<Vec<Role>> {
    Json(roles::list())
}

/// One role.
#[utoipa::path(get, path = "/api/roles/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Role), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn role(Path(id): Path<String>) -> Answer<Json<Role>> {
    roles::find(&id).map(Json).ok_or_else(|| Failure::not_found("role"))
}

fn require_own_or_all(who: &Who, id: &str) -> Answer<()> {
    if who.user_id() == Some(id) { Ok(()) } else { who.require(Permission::Organization) }
}

/// Nobody makes somebody who may do more than oneself, or changes such a one: an API key with one permission of many
/// would be all of them.
fn may_give(who: &Who, role_ids: Option<&[String]>) -> Answer<()> {
    let given = role_ids.map_or(Permissions::NONE, roles::permissions);
    if given.within(who.permissions) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this user may do more than you may"))
}

/// What a user may not change of itself. Clients send the whole entity, so what is as it was is no change.
fn refuse_more(before: &User, input: &UserInput) -> Answer<()> {
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

async fn check_current(site: &Site, user: &User, current: Option<Zeroizing<String>>) -> Answer<()> {
    if !user.has_password {
        return Ok(());
    }
    let wrong = || Failure::new(StatusCode::FORBIDDEN, "CurrentPassword is not the present password");
    let current = current.ok_or_else(wrong)?;
    site.logins.attempt_own(&user.id)?;
    let username = user.username.clone();
    let found = site.console.database.call(move |connection| entity::by_name(connection, &username)).await?;
    let hash = found.and_then(|(_, hash)| hash);
    if site.logins.is(current, hash).await? { Ok(()) } else { Err(wrong()) }
}

async fn hash_of(site: &Site, input: &mut UserInput) -> Answer<Option<String>> {
    match input.new_password.take().filter(|password| !password.is_empty()).map(Zeroizing::new) {
        Some(password) => Ok(Some(site.logins.hash(password).await?)),
        None => Ok(None),
    }
}

fn note(site: &Site, kind: Kind, user: &User, who: &Who) {
    let event = Event::new(kind).with("Username", user.username.as_str()).with("By", who.name());
    events::record(&site.console.volume, &event);
}
