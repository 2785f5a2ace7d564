//! `api/backups`.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::io::ReaderStream;
use utoipa::IntoParams;

use super::json_body::JsonBody;
use crate::{
    Site,
    auth::Principal,
    backups::{self as logic, Backup, download, upload},
    failure::{HttpResult, Problem},
    restores::{self, Requested, RestoreInput},
};

/// List the backups, newest first.
#[utoipa::path(get, path = "/api/backups", responses(
    (status = 200, body = Vec<Backup>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Backup>>> {
    let (found, _) = logic::list(&site).await?;
    Ok(Json(found.into_iter().map(|found| found.backup).collect()))
}

/// Show one backup.
#[utoipa::path(get, path = "/api/backups/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Backup), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Backup>> {
    Ok(Json(logic::find(&site, &id).await?.backup))
}

/// Download a backup. Supports `Range`, `If-Range` and `If-None-Match`.
#[utoipa::path(get, path = "/api/backups/files/{name}", params(("name" = String, Path)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>), (status = 304),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 416, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn file(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let found = logic::find_file(&site, &name).await?;
    download::file(&found, &headers).await
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Immediate {
    /// Keep the backup and return its entity. Otherwise the response is the backup itself, and it is not kept.
    #[serde(default)]
    store: bool,
}

/// Take a backup, and download or keep it.
#[utoipa::path(post, path = "/api/backups/immediate", params(Immediate), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 201, body = Backup),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn immediate(State(site): State<Arc<Site>>, Query(wanted): Query<Immediate>) -> HttpResult<Response> {
    if wanted.store {
        return Ok((StatusCode::CREATED, Json(logic::take(&site).await?)).into_response());
    }
    stream(&site).await
}

/// An immediate backup as a download.
pub async fn stream(site: &Site) -> HttpResult<Response> {
    let stream = site.console.jobs.stream_backup(&site.console).await?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(stream, 64 << 10)).into_response();
    download::as_attachment(response.headers_mut(), &engine::backup::immediate(jiff::Timestamp::now()))?;
    Ok(response)
}

/// Upload a backup, as the body or as a file in a multipart form. It is verified before it is kept. If it is sealed with
/// another secret key, only its header, length and checksum are verified.
#[utoipa::path(post, path = "/api/backups", request_body(content(
        (Vec<u8> = "application/octet-stream"))), responses(
    (status = 201, body = Backup), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    principal: Principal,
    request: Request,
) -> HttpResult<(StatusCode, Json<Backup>)> {
    Ok((StatusCode::CREATED, Json(upload::take(&site, &principal, request).await?)))
}

/// List the contents of a backup, in the format of `moorline inspect --json`.
#[utoipa::path(get, path = "/api/backups/{id}/contents", params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn contents(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Value>> {
    let found = logic::find(&site, &id).await?;
    Ok(Json(logic::contents(&site, &found).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Compare {
    /// Compare as for a restore with `EnableApps`.
    #[serde(default, rename = "enableApps")]
    enable_apps: bool,
}

/// Show the changes that a restore would make, in the format of `moorline restore --dry-run --json`.
#[utoipa::path(get, path = "/api/backups/{id}/diff", params(("id" = String, Path), Compare), responses(
    (status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn diff(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Query(how): Query<Compare>,
) -> HttpResult<Json<Value>> {
    let found = logic::find(&site, &id).await?;
    Ok(Json(logic::diff(&site, &found, how.enable_apps, None).await?))
}

/// Request a restore. This writes an init script; the next start of the container restores the backup.
#[utoipa::path(post, path = "/api/backups/{id}/restore", params(("id" = String, Path)), request_body = RestoreInput,
    responses(
    (status = 202, body = Requested), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn restore(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<RestoreInput>,
) -> HttpResult<(StatusCode, Json<Requested>)> {
    let found = logic::find(&site, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(restores::request(&site, &principal, &found, input).await?)))
}
