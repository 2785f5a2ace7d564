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

use super::take::Take;
use crate::{
    Site,
    auth::Who,
    backups::{self as logic, Backup, download, upload},
    failure::{Answer, Problem},
    restores::{self, Requested, RestoreInput},
};

/// The backups, newest first.
#[utoipa::path(get, path = "/api/backups", responses(
    (status = 200, body = Vec<Backup>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Answer<Json<Vec<Backup>>> {
    let (found, _) = logic::list(&site).await?;
    Ok(Json(found.into_iter().map(|found| found.backup).collect()))
}

/// One backup.
#[utoipa::path(get, path = "/api/backups/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Backup), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer<Json<Backup>> {
    Ok(Json(logic::find(&site, &id).await?.backup))
}

/// Download a backup's file. `Range`, `If-Range` and `If-None-Match` are understood.
#[utoipa::path(get, path = "/api/backups/files/{name}", params(("name" = String, Path)), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>),
    (status = 206, content_type = "application/octet-stream", body = Vec<u8>), (status = 304),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 416, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn file(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let found = logic::find_file(&site, &name).await?;
    download::file(&found, &headers).await
}

/// What an immediate backup is for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Immediate {
    /// Keep it among the others, and answer with its entity; else its bytes are the answer, and nothing is kept.
    #[serde(default)]
    store: bool,
}

/// Take a backup now, and download it.
#[utoipa::path(post, path = "/api/backups/immediate", params(Immediate), responses(
    (status = 200, content_type = "application/octet-stream", body = Vec<u8>), (status = 201, body = Backup),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn immediate(State(site): State<Arc<Site>>, Query(wanted): Query<Immediate>) -> Answer<Response> {
    if wanted.store {
        return Ok((StatusCode::CREATED, Json(logic::take(&site).await?)).into_response());
    }
    stream(&site).await
}

/// An immediate backup, as a download, for the API and for pages.
///
/// # Errors
/// `TryAgain` while another is being made; and as the backup fails before its first byte.
pub async fn stream(site: &Site) -> Answer<Response> {
    let stream = site.console.jobs.stream_backup(&site.console).await?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(stream, 64 << 10)).into_response();
    download::as_attachment(response.headers_mut(), &engine::backup::immediate(jiff::Timestamp::now()))?;
    Ok(response)
}

/// Upload a backup: the body itself, or a form with a file. It is verified before it is kept; one that another key
/// sealed is checked without it.
#[utoipa::path(post, path = "/api/backups", request_body(content(
        (Vec<u8> = "application/octet-stream"))), responses(
    (status = 201, body = Backup), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 408, body = Problem), (status = 409, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem),
    (status = 503, body = Problem), (status = 507, body = Problem)))]
pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    who: Who,
    request: Request,
) -> Answer<(StatusCode, Json<Backup>)> {
    Ok((StatusCode::CREATED, Json(upload::take(&site, &who, request).await?)))
}

/// What is in a backup: what `moorline inspect --json` prints.
#[utoipa::path(get, path = "/api/backups/{id}/contents", params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn contents(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let found = logic::find(&site, &id).await?;
    Ok(Json(logic::contents(&site, &found).await?))
}

/// How to compare.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Compare {
    /// As with `EnableApps`.
    #[serde(default, rename = "enableApps")]
    enable_apps: bool,
}

/// What restoring a backup would change: what `moorline restore --dry-run --json` prints.
#[utoipa::path(get, path = "/api/backups/{id}/diff", params(("id" = String, Path), Compare), responses(
    (status = 200, body = Object), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn diff(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Query(how): Query<Compare>,
) -> Answer<Json<Value>> {
    let found = logic::find(&site, &id).await?;
    Ok(Json(logic::diff(&site, &found, how.enable_apps, None).await?))
}

/// Ask for a restore: an init script is written, and the next start of the container makes it.
#[utoipa::path(post, path = "/api/backups/{id}/restore", params(("id" = String, Path)), request_body = RestoreInput,
    responses(
    (status = 202, body = Requested), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 408, body = Problem),
    (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn restore(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
    Take(input): Take<RestoreInput>,
) -> Answer<(StatusCode, Json<Requested>)> {
    let found = logic::find(&site, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(restores::request(&site, &who, &found, input).await?)))
}
