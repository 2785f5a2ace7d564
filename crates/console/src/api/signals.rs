//! `api/signals`.

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
    entities::signals::{self as entity, Signal, SignalInput},
    failure::{Answer, Problem},
    permission::Permission,
    router,
};
use volume::events::Kind;

/// All signals.
#[utoipa::path(get, path = "/api/signals", responses(
    (status = 200, body = Vec<Signal>), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 503, body = Problem)))]
pub(super) async fn list(State(site): State<Arc<Site>>) -> Answer<Json<Vec<Signal>>> {
    Ok(Json(site.console.database.call(|connection| entity::list(connection)).await?))
}

/// One signal.
#[utoipa::path(get, path = "/api/signals/{id}", params(("id" = String, Path)), responses(
    (status = 200, body = Signal), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer<Json<Signal>> {
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id)).await?))
}

/// Make a signal.
#[utoipa::path(post, path = "/api/signals", request_body = SignalInput, responses(
    (status = 201, body = Signal),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn create(
    State(site): State<Arc<Site>>,
    who: Who,
    Take(input): Take<SignalInput>,
) -> Answer<(StatusCode, Json<Signal>)> {
    Ok((StatusCode::CREATED, Json(create_signal(&site, &who, input).await?)))
}

/// Makes a signal, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense.
pub async fn create_signal(site: &Site, who: &Who, input: SignalInput) -> Answer<Signal> {
    if input.is_protected == Some(true) {
        who.require(Permission::Project)?;
    }
    let owner = who.user_id().map(str::to_owned);
    let signal = site.console.database.call(move |connection| entity::create(connection, input, owner)).await?;
    site.tell(Kind::SignalCreated, ("Title", &signal.title), who);
    Ok(signal)
}

/// Change a signal. A protected one, and somebody else's, need the permission `Project`.
#[utoipa::path(put, path = "/api/signals/{id}", params(("id" = String, Path)), request_body = SignalInput, responses(
    (status = 200, body = Signal),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 408, body = Problem), (status = 413, body = Problem),
    (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn update(
    State(site): State<Arc<Site>>,
    who: Who,
    Path(id): Path<String>,
    Take(input): Take<SignalInput>,
) -> Answer<Json<Signal>> {
    Ok(Json(update_signal(&site, &who, id, input).await?))
}

/// Changes a signal, for the API and for pages.
///
/// # Errors
/// 400 for what makes no sense, 403, 404.
pub async fn update_signal(site: &Site, who: &Who, id: String, input: SignalInput) -> Answer<Signal> {
    require_change(site, who, &id, input.is_protected == Some(true)).await?;
    let signal = site.console.database.call(move |connection| entity::update(connection, &id, input)).await?;
    site.tell(Kind::SignalChanged, ("Title", &signal.title), who);
    Ok(signal)
}

/// Remove a signal.
#[utoipa::path(delete, path = "/api/signals/{id}", params(("id" = String, Path)), responses(
    (status = 204), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 409, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn remove(State(site): State<Arc<Site>>, who: Who, Path(id): Path<String>) -> Answer<Response> {
    remove_signal(&site, &who, id).await?;
    Ok(router::nothing())
}

/// Removes a signal, for the API and for pages.
///
/// # Errors
/// 403, 404; 409 where an app is sent its events.
pub async fn remove_signal(site: &Site, who: &Who, id: String) -> Answer<()> {
    require_change(site, who, &id, false).await?;
    let signal = site.console.database.call(move |connection| entity::remove(connection, &id)).await?;
    site.tell(Kind::SignalRemoved, ("Title", &signal.title), who);
    Ok(())
}

async fn require_change(site: &Site, who: &Who, id: &str, protects: bool) -> Answer<()> {
    let id = id.to_owned();
    let signal = site.console.database.call(move |connection| entity::find(connection, &id)).await?;
    let is_own = signal.owner_id.is_some() && signal.owner_id.as_deref() == who.user_id();
    if signal.is_protected || protects || !is_own { who.require(Permission::Project) } else { Ok(()) }
}
