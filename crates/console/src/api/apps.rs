//! `api/apps`, `api/appinstances`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::take::Take;
use crate::{
    Failure, Site,
    auth::Who,
    entities::{
        Links,
        instances::{self as entity, AppInstance, AppInstanceInput},
        links,
    },
    failure::{Answer, Problem},
    notify::kinds::{self, AppKind},
    router,
};
use volume::events::Kind;

/// An app that instances can be made of.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct App {
    /// What it is, and what an instance has to be told.
    #[serde(flatten)]
    pub kind: AppKind,
    /// Kept for Seq's clients.
    pub is_input: bool,
    /// Where it is.
    pub links: Links,
}

fn of_kind(kind: &AppKind) -> App {
    App { kind: *kind, is_input: false, links: links("apps", kind.id) }
}

/// The apps that instances can be made of.
#[utoipa::path(get, path = "/api/apps", responses(
    (status = 200, body = Vec<App>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn apps() -> Json<Vec<App>> {
    Json(kinds::ALL.iter().map(of_kind).collect())
}

/// One app.
#[utoipa::path(get, path = "/api/apps/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = App), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn app(Path(id): Path<String>) -> Answer<Json<App>> {
    kinds::find(&id).map(|kind| Json(of_kind(kind))).ok_or_else(|| Failure::not_found("app"))
}

/// All app instances, without their sensitive settings.
#[utoipa::path(get, path = "/api/appinstances", responses(
    (status = 200, body = Vec<AppInstance>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Answer<Json<Vec<AppInstance>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// One app instance, without its sensitive settings.
#[utoipa::path(get, path = "/api/appinstances/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = AppInstance), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer<Json<AppInstance>> {
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Make an app instance.
#[utoipa::path(post, path = "/api/appinstances", request_body = AppInstanceInput, responses(
    (status = 201, body = AppInstance),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    who: Who,
    Take(input): Take<AppInstanceInput>,
) -> Answer<(StatusCode, Json<AppInstance>)> {
    Ok((StatusCode::CREATED, Json(create_instance(&site, &who, input).await?)))
}

/// Makes an app instance, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense.
pub async fn create_instance(site: &Site, who: &Who, input: AppInstanceInput) -> Answer<AppInstance> {
    let key = Arc::clone(&site.console.key);
    let app = site.console.database.call(move |connection| entity::create(connection, input, &key)).await?;
    site.tell(Kind::AppCreated, ("AppTitle", &app.title), who);
    Ok(app)
}

/// Change an app instance. A sensitive setting that is absent stays, an empty one is removed.
#[utoipa::path(put, path = "/api/appinstances/{id}", params(("id" = String, Path)), request_body = AppInstanceInput,
    responses(
    (status = 200, body = AppInstance),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
    Take(input): Take<AppInstanceInput>,
) -> Answer<Json<AppInstance>> {
    Ok(Json(update_instance(&site, &who, id, input).await?))
}

/// Changes an app instance, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense, 404.
pub async fn update_instance(site: &Site, who: &Who, id: String, input: AppInstanceInput) -> Answer<AppInstance> {
    let key = Arc::clone(&site.console.key);
    let app = site.console.database.call(move |connection| entity::update(connection, &id, input, &key)).await?;
    site.tell(Kind::AppChanged, ("AppTitle", &app.title), who);
    Ok(app)
}

/// Remove an app instance.
#[utoipa::path(delete, path = "/api/appinstances/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Response> {
    remove_instance(&site, &who, id).await?;
    Ok(router::nothing())
}

/// Removes an app instance, for the API and for pages.
///
/// # Errors
/// 404 where there is none.
pub async fn remove_instance(site: &Site, who: &Who, id: String) -> Answer<()> {
    let app = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    site.tell(Kind::AppRemoved, ("AppTitle", &app.title), who);
    Ok(())
}
