//! `api/signals`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::json_body::JsonBody;
use crate::{
    Site,
    auth::Principal,
    entities::signals::{self as entity, Signal, SignalInput},
    failure::{HttpResult, Problem},
    permission::Permission,
    router,
};
use volume::events::Kind;

/// List the signals.
#[utoipa::path(get, path = "/api/signals", responses(
    (status = 200, body = Vec<Signal>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Signal>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// Show one signal.
#[utoipa::path(get, path = "/api/signals/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Signal), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Signal>> {
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Create a signal.
#[utoipa::path(post, path = "/api/signals", request_body = SignalInput, responses(
    (status = 201, body = Signal),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<SignalInput>,
) -> HttpResult<(StatusCode, Json<Signal>)> {
    Ok((StatusCode::CREATED, Json(create_signal(&site, &principal, input).await?)))
}

pub async fn create_signal(site: &Site, principal: &Principal, input: SignalInput) -> HttpResult<Signal> {
    if input.is_protected == Some(true) {
        principal.require(Permission::Project)?;
    }
    let owner = principal.user_id().map(str::to_owned);
    let signal = site.console.database.call(move |connection| entity::create(connection, input, owner)).await?;
    site.record(Kind::SignalCreated, ("Title", &signal.title), principal);
    Ok(signal)
}

/// Change a signal. A signal that is protected or not your own needs the permission `Project`.
#[utoipa::path(put, path = "/api/signals/{id}", params(("id" = String, Path)), request_body = SignalInput, responses(
    (status = 200, body = Signal),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<SignalInput>,
) -> HttpResult<Json<Signal>> {
    Ok(Json(update_signal(&site, &principal, id, input).await?))
}

pub async fn update_signal(site: &Site, principal: &Principal, id: String, input: SignalInput) -> HttpResult<Signal> {
    require_change(site, principal, &id, input.is_protected == Some(true)).await?;
    let signal = site.console.database.call(move |connection| entity::update(connection, &id, input)).await?;
    site.record(Kind::SignalChanged, ("Title", &signal.title), principal);
    Ok(signal)
}

/// Remove a signal.
#[utoipa::path(delete, path = "/api/signals/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Response> {
    remove_signal(&site, &principal, id).await?;
    Ok(router::nothing())
}

/// Fails with 409 if an app instance uses the signal.
pub async fn remove_signal(site: &Site, principal: &Principal, id: String) -> HttpResult<()> {
    require_change(site, principal, &id, false).await?;
    let signal = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    site.record(Kind::SignalRemoved, ("Title", &signal.title), principal);
    Ok(())
}

async fn require_change(site: &Site, principal: &Principal, id: &str, protects: bool) -> HttpResult<()> {
    let id = id.to_owned();
    let signal = site.console.database.call(move |connection| entity::find(connection, &id)).await?;
    let is_own = signal.owner_id.is_some() && signal.owner_id.as_deref() == principal.user_id();
    if signal.is_protected || protects || !is_own { principal.require(Permission::Project) } else { Ok(()) }
}
