//! `api/apikeys`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::json_body::JsonBody;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::keys::{self as entity, ApiKey, ApiKeyInput},
    failure::{HttpResult, Problem},
    permission::{Permission, Permissions},
    router,
};
use volume::events::Kind;

/// List API keys: your own, with `Project` also shared ones, with `Organization` all.
#[utoipa::path(get, path = "/api/apikeys", responses(
    (status = 200, body = Vec<ApiKey>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>, principal: Principal) -> HttpResult<Json<Vec<ApiKey>>> {
    Ok(Json(visible(&site, &principal).await?))
}

/// The keys that the principal may see.
pub async fn visible(site: &Site, principal: &Principal) -> HttpResult<Vec<ApiKey>> {
    let mut all = site.console.database.call(|connection| entity::list(connection)).await?;
    all.retain(|key| may_see(principal, key.owner_id.as_deref()));
    Ok(all)
}

/// Show one API key, without its token.
#[utoipa::path(get, path = "/api/apikeys/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = ApiKey), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Json<ApiKey>> {
    Ok(Json(own_key(&site, &principal, id).await?))
}

/// Create an API key. Only this response contains its `Token`.
#[utoipa::path(post, path = "/api/apikeys", request_body = ApiKeyInput, responses(
    (status = 201, body = ApiKey),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<ApiKeyInput>,
) -> HttpResult<(StatusCode, Json<ApiKey>)> {
    Ok((StatusCode::CREATED, Json(create_key(&site, &principal, input).await?)))
}

pub async fn create_key(site: &Site, principal: &Principal, mut input: ApiKeyInput) -> HttpResult<ApiKey> {
    if input.owner_id.is_none() {
        input.owner_id = Some(principal.user_id().map(str::to_owned));
    }
    let permissions = input.assigned_permissions.clone().unwrap_or_default();
    refuse_more(principal, permissions.into(), input.owner_id.as_ref())?;
    let key = site.console.database.call(move |connection| entity::create(connection, input)).await?;
    site.record(Kind::ApiKeyCreated, ("Title", &key.title), principal);
    Ok(key)
}

/// Change an API key. Its token stays the same.
#[utoipa::path(put, path = "/api/apikeys/{id}", params(("id" = String, Path)), request_body = ApiKeyInput, responses(
    (status = 200, body = ApiKey),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<ApiKeyInput>,
) -> HttpResult<Json<ApiKey>> {
    let key = key_to_change(&site, &principal, id).await?;
    // Check the old permissions, too, because with another owner, or shared, the key may use more of them.
    if input.owner_id.is_some() || input.assigned_permissions.is_some() {
        let permissions = input.assigned_permissions.clone().map_or(key.assigned_permissions, Into::into);
        refuse_more(&principal, permissions, input.owner_id.as_ref())?;
    }
    let key = site.console.database.call(move |connection| entity::update(connection, &key.id, input)).await?;
    site.record(Kind::ApiKeyChanged, ("Title", &key.title), &principal);
    Ok(Json(key))
}

/// Remove an API key. Requests with it fail from then on.
#[utoipa::path(delete, path = "/api/apikeys/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Response> {
    remove_key(&site, &principal, id).await?;
    Ok(router::nothing())
}

pub async fn remove_key(site: &Site, principal: &Principal, id: String) -> HttpResult<()> {
    let key = key_to_change(site, principal, id).await?;
    let key = site.console.database.call(move |connection| entity::remove(connection, &key.id)).await?;
    site.record(Kind::ApiKeyRemoved, ("Title", &key.title), principal);
    Ok(())
}

/// A key that the principal may see. Others are 404, so that their ids are not revealed.
pub async fn own_key(site: &Site, principal: &Principal, id: String) -> HttpResult<ApiKey> {
    let key = site.console.database.call(move |connection| entity::find(connection, &id)).await?;
    if may_see(principal, key.owner_id.as_deref()) { Ok(key) } else { Err(Failure::not_found("API key")) }
}

/// A key that the principal may change: its permissions must be within the principal's, because otherwise a key with few
/// permissions could take over a key with all of them.
async fn key_to_change(site: &Site, principal: &Principal, id: String) -> HttpResult<ApiKey> {
    let key = own_key(site, principal, id).await?;
    let copy = key.clone();
    let permissions = site.console.database.call(move |connection| entity::permissions(connection, &copy)).await?;
    if permissions.within(principal.permissions) {
        return Ok(key);
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "this key has more permissions than you have"))
}

fn may_see(principal: &Principal, owner: Option<&str>) -> bool {
    principal.permissions.has(Permission::Organization)
        || match owner {
            None => principal.permissions.has(Permission::Project),
            Some(owner) => principal.user_id() == Some(owner),
        }
}

/// Refuses a key with more permissions than the principal's, or with an owner whose keys the principal may not see.
fn refuse_more(principal: &Principal, permissions: Permissions, owner: Option<&Option<String>>) -> HttpResult<()> {
    if !permissions.within(principal.permissions) {
        return Err(Failure::new(StatusCode::FORBIDDEN, "the key would have more permissions than you have"));
    }
    match owner {
        Some(owner) if !may_see(principal, owner.as_deref()) => {
            Err(Failure::new(StatusCode::FORBIDDEN, "you cannot give this key to that owner"))
        }
        _ => Ok(()),
    }
}
