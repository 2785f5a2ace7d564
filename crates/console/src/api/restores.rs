//! `api/restores`, `api/quarantine`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};

use super::take::Take;
use crate::{
    Site,
    auth::Who,
    failure::{Answer, Problem},
    quarantine::{self, Quarantine, ReleaseInput, Released},
    restores::{self as logic, Requested, Restore},
    router,
};

/// The restores that were made, newest first.
#[utoipa::path(get, path = "/api/restores", responses(
    (status = 200, body = Vec<Restore>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Answer<Json<Vec<Restore>>> {
    Ok(Json(logic::list(&site).await?))
}

/// One restore.
#[utoipa::path(get, path = "/api/restores/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Restore), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer<Json<Restore>> {
    Ok(Json(logic::find(&site, &id).await?))
}

/// Ask for what a restore replaced: an init script is written, and the next start of the container brings it back.
#[utoipa::path(post, path = "/api/restores/{id}/rollback", params(("id" = String, Path)), responses(
    (status = 202, body = Requested), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn roll_back(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
) -> Answer<(StatusCode, Json<Requested>)> {
    Ok((StatusCode::ACCEPTED, Json(logic::request_rollback(&site, &who, &id).await?)))
}

/// What the next start of the container does, because somebody asked for it here.
#[utoipa::path(get, path = "/api/restores/requested", responses(
    (status = 200, body = Vec<Requested>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn requested(State(site): State<Arc<Site>>) -> Answer<Json<Vec<Requested>>> {
    Ok(Json(logic::requested(&site).await?))
}

/// Take back what was asked for.
#[utoipa::path(delete, path = "/api/restores/requested/{script}", params(("script" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn cancel(State(site): State<Arc<Site>>, Path(script): Path<String>) -> Answer<Response> {
    logic::cancel(&site, &script).await?;
    Ok(router::nothing())
}

/// The apps that are off.
#[utoipa::path(get, path = "/api/quarantine", responses(
    (status = 200, body = Quarantine), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn off(State(site): State<Arc<Site>>) -> Answer<Json<Quarantine>> {
    Ok(Json(quarantine::show(&site).await?))
}

/// Put apps back on: the console's own at once, another server's at its next start.
#[utoipa::path(post, path = "/api/quarantine/release", request_body = ReleaseInput, responses(
    (status = 200, body = Released), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn release(
    State(site): State<Arc<Site>>,
    who: Who,
    Take(input): Take<ReleaseInput>,
) -> Answer<Json<Released>> {
    Ok(Json(quarantine::release(&site, &who, input).await?))
}
