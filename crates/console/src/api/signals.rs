//! `api/signals`, `api/appinstances` (notifications) and `api/apps` (their kinds).

use std::sync::Arc;

use axum::{Json, extract::Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::resource::Resource;
use crate::{
    Failure, Site,
    auth::Principal,
    entities::{
        Links,
        instances::{AppInstance, AppInstanceInput},
        links,
        signals::{Signal, SignalInput},
    },
    failure::HttpResult,
    notify::kinds::{self, AppKind},
    permission::Permission,
};
use seqbac_header::SecretKey;
use volume::events::Kind;

impl Resource for Signal {
    const EVENTS: [Kind; 3] = [Kind::SignalCreated, Kind::SignalChanged, Kind::SignalRemoved];

    fn title(&self) -> &str {
        &self.title
    }

    /// A signal that is protected, or not the principal's own, needs the permission `Project`.
    async fn prepare(
        before: Option<&Self>,
        _: &Site,
        principal: &Principal,
        input: &mut SignalInput,
    ) -> HttpResult<Option<String>> {
        if input.is_protected == Some(true) || before.is_some_and(|before| !before.is_free(principal)) {
            principal.require(Permission::Project)?;
        }
        Ok(principal.user_id().map(str::to_owned))
    }

    async fn refuse_removal(&self, _: &Site, principal: &Principal) -> HttpResult<()> {
        if self.is_free(principal) { Ok(()) } else { principal.require(Permission::Project) }
    }
}

impl Signal {
    /// Whether it is the principal's own and not protected.
    fn is_free(&self, principal: &Principal) -> bool {
        !self.is_protected && self.owner_id.is_some() && self.owner_id.as_deref() == principal.user_id()
    }
}

impl Resource for AppInstance {
    const EVENTS: [Kind; 3] = [Kind::AppCreated, Kind::AppChanged, Kind::AppRemoved];
    const TITLE: &'static str = "AppTitle";

    fn title(&self) -> &str {
        &self.title
    }

    async fn prepare(
        _: Option<&Self>,
        site: &Site,
        _: &Principal,
        _: &mut AppInstanceInput,
    ) -> HttpResult<Arc<SecretKey>> {
        Ok(Arc::clone(&site.console.key))
    }
}

/// A kind of notification, and the settings of its instances.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct App {
    #[serde(flatten)]
    pub kind: AppKind,
    /// Kept for Seq's clients.
    pub is_input: bool,
    pub links: Links,
}

fn of_kind(kind: &AppKind) -> App {
    App { kind: *kind, is_input: false, links: links("apps", kind.id) }
}

pub(super) async fn apps() -> Json<Vec<App>> {
    Json(kinds::ALL.iter().map(of_kind).collect())
}

pub(super) async fn app(Path(id): Path<String>) -> HttpResult<Json<App>> {
    kinds::find(&id).map(|kind| Json(of_kind(kind))).ok_or_else(|| Failure::not_found("app"))
}
