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

use crate::{
    Site,
    auth::Principal,
    backups::{self as logic, Backup, download, upload},
    body::JsonBody,
    failure::HttpResult,
    restores::{self, Requested, RestoreInput},
};

pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Backup>>> {
    let (found, _) = logic::list(&site).await?;
    Ok(Json(found.into_iter().map(|found| found.backup).collect()))
}

pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Backup>> {
    Ok(Json(logic::find(&site, &id).await?.backup))
}

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

pub(super) async fn immediate(State(site): State<Arc<Site>>, Query(wanted): Query<Immediate>) -> HttpResult<Response> {
    if wanted.store {
        return Ok((StatusCode::CREATED, Json(logic::take(&site).await?)).into_response());
    }
    stream(&site).await
}

/// An immediate backup as a download.
pub(crate) async fn stream(site: &Site) -> HttpResult<Response> {
    let stream = site.console.jobs.stream_backup(&site.console).await?;
    let mut response = Body::from_stream(ReaderStream::with_capacity(stream, 64 << 10)).into_response();
    download::as_attachment(response.headers_mut(), &engine::backup::immediate(jiff::Timestamp::now()))?;
    Ok(response)
}

pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    principal: Principal,
    request: Request,
) -> HttpResult<(StatusCode, Json<Backup>)> {
    Ok((StatusCode::CREATED, Json(upload::take(&site, &principal, request).await?)))
}

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

pub(super) async fn diff(
    State(site): State<Arc<Site>>,
    Path(id): Path<String>,
    Query(how): Query<Compare>,
) -> HttpResult<Json<Value>> {
    let found = logic::find(&site, &id).await?;
    Ok(Json(logic::diff(&site, &found, how.enable_apps, None).await?))
}

pub(super) async fn restore(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<RestoreInput>,
) -> HttpResult<(StatusCode, Json<Requested>)> {
    let found = logic::find(&site, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(restores::request(&site, &principal, &found, input).await?)))
}
