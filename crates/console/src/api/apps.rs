//! `api/apps` (kinds of notification) and `api/appinstances` (notifications).

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::json_body::JsonBody;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::{
        Links,
        instances::{self as entity, AppInstance, AppInstanceInput},
        links,
    },
    failure::{HttpResult, Problem},
    notify::kinds::{self, AppKind},
    router,
};
use volume::events::Kind;

/// A kind of notification, and the settings of its instances.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct App {
    #[serde(flatten)]
    pub kind: AppKind,
    /// Kept for Seq's clients.
    pub is_input: bool,
    pub links: Links,
}

fn of_kind(kind: &AppKind) -> App {
    App { kind: *kind, is_input: false, links: links("apps", kind.id) }
}

/// List the kinds of notification.
#[utoipa::path(get, path = "/api/apps", responses(
    (status = 200, body = Vec<App>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn apps() -> Json<Vec<App>> {
    Json(kinds::ALL.iter().map(of_kind).collect())
}

/// Show one kind of notification.
#[utoipa::path(get, path = "/api/apps/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = App), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn app(Path(id): Path<String>) -> HttpResult<Json<App>> {
    kinds::find(&id).map(|kind| Json(of_kind(kind))).ok_or_else(|| Failure::not_found("app"))
}

/// List the app instances, without their sensitive settings.
#[utoipa::path(get, path = "/api/appinstances", responses(
    (status = 200, body = Vec<AppInstance>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<AppInstance>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// Show one app instance, without its sensitive settings.
#[utoipa::path(get, path = "/api/appinstances/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = AppInstance), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<AppInstance>> {
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Create an app instance.
#[utoipa::path(post, path = "/api/appinstances", request_body = AppInstanceInput, responses(
    (status = 201, body = AppInstance),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<AppInstanceInput>,
) -> HttpResult<(StatusCode, Json<AppInstance>)> {
    Ok((StatusCode::CREATED, Json(create_instance(&site, &principal, input).await?)))
}

pub async fn create_instance(site: &Site, principal: &Principal, input: AppInstanceInput) -> HttpResult<AppInstance> {
    let key = Arc::clone(&site.console.key);
    let app = site.console.database.call(move |connection| entity::create(connection, input, &key)).await?;
    site.record(Kind::AppCreated, ("AppTitle", &app.title), principal);
    Ok(app)
}

/// Change an app instance. A sensitive setting that is absent stays; an empty one is removed.
#[utoipa::path(put, path = "/api/appinstances/{id}", params(("id" = String, Path)), request_body = AppInstanceInput,
    responses(
    (status = 200, body = AppInstance),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<AppInstanceInput>,
) -> HttpResult<Json<AppInstance>> {
    Ok(Json(update_instance(&site, &principal, id, input).await?))
}

pub async fn update_instance(
    site: &Site,
    principal: &Principal,
    id: String,
    input: AppInstanceInput,
) -> HttpResult<AppInstance> {
    let key = Arc::clone(&site.console.key);
    let app = site.console.database.call(move |connection| entity::update(connection, &id, input, &key)).await?;
    site.record(Kind::AppChanged, ("AppTitle", &app.title), principal);
    Ok(app)
}

/// Remove an app instance.
#[utoipa::path(delete, path = "/api/appinstances/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Response> {
    remove_instance(&site, &principal, id).await?;
    Ok(router::nothing())
}

pub async fn remove_instance(site: &Site, principal: &Principal, id: String) -> HttpResult<()> {
    let app = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    site.record(Kind::AppRemoved, ("AppTitle", &app.title), principal);
    Ok(())
}
