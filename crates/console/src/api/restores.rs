//! `api/restores`, `api/quarantine`.

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
    failure::{HttpResult, Problem},
    quarantine::{self, Quarantine, ReleaseInput, Released},
    restores::{self as logic, Requested, Restore},
    router,
};

/// List the restores, newest first.
#[utoipa::path(get, path = "/api/restores", responses(
    (status = 200, body = Vec<Restore>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Restore>>> {
    Ok(Json(logic::list(&site).await?))
}

/// Show one restore.
#[utoipa::path(get, path = "/api/restores/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Restore), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Restore>> {
    Ok(Json(logic::find(&site, &id).await?))
}

/// Request a rollback. This writes an init script; the next start of the container brings back the replaced state.
#[utoipa::path(post, path = "/api/restores/{id}/rollback", params(("id" = String, Path)), responses(
    (status = 202, body = Requested), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn roll_back(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<(StatusCode, Json<Requested>)> {
    Ok((StatusCode::ACCEPTED, Json(logic::request_rollback(&site, &principal, &id).await?)))
}

/// List the requested restores and rollbacks, which the next start of the container performs.
#[utoipa::path(get, path = "/api/restores/requested", responses(
    (status = 200, body = Vec<Requested>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn requested(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Requested>>> {
    Ok(Json(logic::requested(&site).await?))
}

/// Cancel a requested restore or rollback.
#[utoipa::path(delete, path = "/api/restores/requested/{script}", params(("script" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn cancel(State(site): State<Arc<Site>>, Path(script): Path<String>) -> HttpResult<Response> {
    logic::cancel(&site, &script).await?;
    Ok(router::nothing())
}

/// List the apps in quarantine.
#[utoipa::path(get, path = "/api/quarantine", responses(
    (status = 200, body = Quarantine), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn off(State(site): State<Arc<Site>>) -> HttpResult<Json<Quarantine>> {
    Ok(Json(quarantine::show(&site).await?))
}

/// Release apps from quarantine: the console's own immediately, the server's at its next start.
#[utoipa::path(post, path = "/api/quarantine/release", request_body = ReleaseInput, responses(
    (status = 200, body = Released), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn release(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<ReleaseInput>,
) -> HttpResult<Json<Released>> {
    Ok(Json(quarantine::release(&site, &principal, input).await?))
}
