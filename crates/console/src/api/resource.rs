//! Listing, showing, creating, changing and removing the objects of the metastore, with the checks of permissions and the
//! events. The API and the pages do it with the same functions.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Serialize;

use crate::{
    Failure, Site,
    auth::Principal,
    body::JsonBody,
    entities::{self, Entity},
    failure::HttpResult,
};
use volume::events::Kind;

pub(crate) trait Resource: Entity + Clone + PartialEq + Serialize + Sync {
    /// The events of a creation, a change and a removal.
    const EVENTS: [Kind; 3];
    /// The property of the events that has the title.
    const TITLE: &'static str = "Title";

    fn title(&self) -> &str;

    /// Refuses ids that the principal may not ask for, whether they exist or not.
    fn refuse_id(_id: &str, _principal: &Principal) -> HttpResult<()> {
        Ok(())
    }

    /// Objects that the principal may not see are 404, so that their ids are not revealed.
    fn is_visible(&self, _principal: &Principal) -> bool {
        true
    }

    /// Checks and completes the input of a creation (`before` is `None`) or a change.
    fn prepare(
        before: Option<&Self>,
        site: &Site,
        principal: &Principal,
        input: &mut Self::Input,
    ) -> impl Future<Output = HttpResult<Self::Context>> + Send;

    fn refuse_removal(&self, _site: &Site, _principal: &Principal) -> impl Future<Output = HttpResult<()>> + Send {
        std::future::ready(Ok(()))
    }

    /// Whether a change is recorded even if the object looks the same afterwards.
    fn is_always_recorded(_context: &Self::Context) -> bool {
        true
    }
}

pub(crate) async fn all<E: Resource>(site: &Site, principal: &Principal) -> HttpResult<Vec<E>> {
    let mut all: Vec<E> = site.console.database.call(|connection| entities::list(connection)).await?;
    all.retain(|one| one.is_visible(principal));
    Ok(all)
}

pub(crate) async fn one<E: Resource>(site: &Site, principal: &Principal, id: String) -> HttpResult<E> {
    E::refuse_id(&id, principal)?;
    let found: E = site.console.database.call(move |connection| entities::find(connection, &id)).await?;
    if found.is_visible(principal) { Ok(found) } else { Err(Failure::not_found(E::NAME)) }
}

pub(crate) async fn add<E: Resource>(site: &Site, principal: &Principal, mut input: E::Input) -> HttpResult<E> {
    let context = E::prepare(None, site, principal, &mut input).await?;
    let added: E = site.console.database.call(move |connection| entities::create(connection, input, context)).await?;
    record(site, principal, 0, &added);
    Ok(added)
}

pub(crate) async fn change<E: Resource>(
    site: &Site,
    principal: &Principal,
    id: String,
    mut input: E::Input,
) -> HttpResult<E> {
    let before: E = one(site, principal, id.clone()).await?;
    let context = E::prepare(Some(&before), site, principal, &mut input).await?;
    let is_recorded = E::is_always_recorded(&context);
    let work = move |connection: &mut _| entities::update(connection, &id, input, context);
    let changed: E = site.console.database.call(work).await?;
    if is_recorded || changed != before {
        record(site, principal, 1, &changed);
    }
    Ok(changed)
}

pub(crate) async fn take_away<E: Resource>(site: &Site, principal: &Principal, id: String) -> HttpResult<()> {
    let before: E = one(site, principal, id.clone()).await?;
    before.refuse_removal(site, principal).await?;
    let removed: E = site.console.database.call(move |connection| entities::remove(connection, &id)).await?;
    record(site, principal, 2, &removed);
    Ok(())
}

fn record<E: Resource>(site: &Site, principal: &Principal, what: usize, entity: &E) {
    site.record(E::EVENTS[what], (E::TITLE, entity.title()), principal);
}

pub(super) async fn list<E: Resource>(State(site): State<Arc<Site>>, principal: Principal) -> HttpResult<Json<Vec<E>>> {
    Ok(Json(all(&site, &principal).await?))
}

pub(super) async fn find<E: Resource>(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Json<E>> {
    Ok(Json(one(&site, &principal, id).await?))
}

pub(super) async fn create<E: Resource>(
    State(site): State<Arc<Site>>,
    principal: Principal,
    JsonBody(input): JsonBody<E::Input>,
) -> HttpResult<(StatusCode, Json<E>)> {
    Ok((StatusCode::CREATED, Json(add(&site, &principal, input).await?)))
}

pub(super) async fn update<E: Resource>(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<E::Input>,
) -> HttpResult<Json<E>> {
    Ok(Json(change(&site, &principal, id, input).await?))
}

pub(super) async fn remove<E: Resource>(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<StatusCode> {
    take_away::<E>(&site, &principal, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
