//! `api/restores`, `api/quarantine`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};

use crate::{
    Site,
    auth::Principal,
    body::JsonBody,
    failure::HttpResult,
    quarantine::{self, Quarantine, ReleaseInput, Released},
    restores::{self as logic, Requested, Restore},
};

pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Restore>>> {
    Ok(Json(logic::list(&site).await?))
}

pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Restore>> {
    Ok(Json(logic::find(&site, &id).await?))
}

pub(super) async fn roll_back(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<(StatusCode, Json<Requested>)> {
    Ok((StatusCode::ACCEPTED, Json(logic::request_rollback(&site, &principal, &id).await?)))
}

pub(super) async fn requested(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Requested>>> {
    Ok(Json(logic::requested(&site).await?))
}

pub(super) async fn cancel(State(site): State<Arc<Site>>, Path(script): Path<String>) -> HttpResult<StatusCode> {
    logic::cancel(&site, &script).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn off(State(site): State<Arc<Site>>) -> HttpResult<Json<Quarantine>> {
    Ok(Json(quarantine::show(&site).await?))
}

pub(super) async fn release(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<ReleaseInput>,
) -> HttpResult<Json<Released>> {
    Ok(Json(quarantine::release(&site, &principal, input).await?))
}
