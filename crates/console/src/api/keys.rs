//! `api/apikeys`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::take::Take;
use crate::{
    Failure, Site,
    auth::Who,
    entities::keys::{self as entity, ApiKey, ApiKeyInput},
    failure::{Answer, Problem},
    permission::{Permission, Permissions},
    router,
};
use volume::events::Kind;

/// The API keys that the caller may see: its own, with `Project` shared ones, with `Organization` all.
#[utoipa::path(get, path = "/api/apikeys", responses(
    (status = 200, body = Vec<ApiKey>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>, who: Who) -> Answer<Json<Vec<ApiKey>>> {
    Ok(Json(visible(&site, &who).await?))
}

/// The keys that somebody may see, for the API and for pages.
///
/// # Errors
/// Where the database cannot be read.
pub async fn visible(site: &Site, who: &Who) -> Answer<Vec<ApiKey>> {
    let mut all = site.console.database.call(|connection| entity::list(connection)).await?;
    all.retain(|key| may_see(who, key.owner_id.as_deref()));
    Ok(all)
}

/// One API key, without its token.
#[utoipa::path(get, path = "/api/apikeys/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = ApiKey), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Json<ApiKey>> {
    Ok(Json(own_key(&site, &who, id).await?))
}

/// Make an API key. This answer alone has its `Token`.
#[utoipa::path(post, path = "/api/apikeys", request_body = ApiKeyInput, responses(
    (status = 201, body = ApiKey),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    who: Who,
    Take(input): Take<ApiKeyInput>,
) -> Answer<(StatusCode, Json<ApiKey>)> {
    Ok((StatusCode::CREATED, Json(create_key(&site, &who, input).await?)))
}

/// Makes an API key, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense; 403 where it could do more than whoever makes it.
pub async fn create_key(site: &Site, who: &Who, mut input: ApiKeyInput) -> Answer<ApiKey> {
    if input.owner_id.is_none() {
        input.owner_id = Some(who.user_id().map(str::to_owned));
    }
    let given = input.assigned_permissions.clone().unwrap_or_default();
    may_make(who, given.into(), input.owner_id.as_ref())?;
    let key = site.console.database.call(move |connection| entity::create(connection, input)).await?;
    site.tell(Kind::ApiKeyCreated, ("Title", &key.title), who);
    Ok(key)
}

/// Change an API key; its token stays.
#[utoipa::path(put, path = "/api/apikeys/{id}", params(("id" = String, Path)), request_body = ApiKeyInput, responses(
    (status = 200, body = ApiKey),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
    Take(input): Take<ApiKeyInput>,
) -> Answer<Json<ApiKey>> {
    let key = key_to_change(&site, &who, id).await?;
    // Shared, or another's, a key may do what its owner may not: what it has already counts, too.
    if input.owner_id.is_some() || input.assigned_permissions.is_some() {
        let given = input.assigned_permissions.clone().map_or(key.assigned_permissions, Into::into);
        may_make(&who, given, input.owner_id.as_ref())?;
    }
    let key = site.console.database.call(move |connection| entity::update(connection, &key.id, input)).await?;
    site.tell(Kind::ApiKeyChanged, ("Title", &key.title), &who);
    Ok(Json(key))
}

/// Remove an API key: whoever has it is nobody from then on.
#[utoipa::path(delete, path = "/api/apikeys/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Response> {
    remove_key(&site, &who, id).await?;
    Ok(router::nothing())
}

/// Removes an API key, for the API and for pages.
///
/// # Errors
/// 404 where there is none that this somebody may see; 403 where it may do more than this somebody.
pub async fn remove_key(site: &Site, who: &Who, id: String) -> Answer<()> {
    let key = key_to_change(site, who, id).await?;
    let key = site.console.database.call(move |connection| entity::remove(connection, &key.id)).await?;
    site.tell(Kind::ApiKeyRemoved, ("Title", &key.title), who);
    Ok(())
}

/// A key that is somebody else's is as one that is not there.
/// One that one may see.
///
/// # Errors
/// 404.
pub async fn own_key(site: &Site, who: &Who, id: String) -> Answer<ApiKey> {
    let key = site.console.database.call(move |connection| entity::find(connection, &id)).await?;
    if may_see(who, key.owner_id.as_deref()) { Ok(key) } else { Err(Failure::not_found("API key")) }
}

/// One that one may change: it may do no more than oneself, or a key with one permission could take another with all.
async fn key_to_change(site: &Site, who: &Who, id: String) -> Answer<ApiKey> {
    let key = own_key(site, who, id).await?;
    let asked = key.clone();
    let permissions = site.console.database.call(move |connection| entity::permissions(connection, &asked)).await?;
    if permissions.within(who.permissions) {
        return Ok(key);
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "the key may do more than you may"))
}

fn may_see(who: &Who, owner: Option<&str>) -> bool {
    who.permissions.has(Permission::Organization)
        || match owner {
            None => who.permissions.has(Permission::Project),
            Some(owner) => who.user_id() == Some(owner),
        }
}

/// Nobody makes a key that may do more than oneself, or one for somebody else.
fn may_make(who: &Who, given: Permissions, owner: Option<&Option<String>>) -> Answer<()> {
    if !given.within(who.permissions) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "the key could do more than you may"));
    }
    match owner {
        Some(owner) if !may_see(who, owner.as_deref()) => {
            Err(Failure::new(StatusCode::FORBIDDEN, "the key would be somebody else's"))
        }
        _ => Ok(()),
    }
}
