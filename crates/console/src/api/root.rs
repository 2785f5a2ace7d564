//! `GET /api`, `GET /health`, `GET /metrics`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Site,
    auth::Principal,
    entities::{Links, settings},
    failure::HttpResult,
    health, metrics,
    permission::Permission,
};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Root {
    /// `moorline`.
    pub product: String,
    pub version: String,
    /// The setting `InstanceTitle`.
    pub instance_name: Option<String>,
    /// Kept for Seq's clients.
    pub enabled_features: Vec<String>,
    /// The paths of the groups of routes.
    pub links: Links,
}

/// The names of the groups of routes. The path is the name in lower case.
const GROUPS: [&str; 10] =
    ["ApiKeys", "AppInstances", "Apps", "Backups", "Events", "Quarantine", "Restores", "Settings", "Signals", "Users"];

pub(super) async fn show(State(site): State<Arc<Site>>) -> HttpResult<Json<Root>> {
    let title = site.console.database.call(|connection| settings::read(connection, "InstanceTitle")).await?;
    let pairs = GROUPS.map(|name| (format!("{name}Resources"), format!("api/{}", name.to_lowercase())));
    Ok(Json(Root {
        product: "moorline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_name: title.and_then(|title| title.as_str().map(str::to_owned)),
        enabled_features: Vec::new(),
        links: BTreeMap::from(pairs),
    }))
}

/// The state of the backups.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Status {
    /// `ok` or `degraded`.
    pub status: String,
    /// Why the status is `degraded`.
    pub reasons: Vec<String>,
    /// Findings that do not degrade the status.
    pub warnings: Vec<String>,
    /// `sound`, `doubtful`, `suspect` or `damaged`: the newest backup; null if there is none.
    pub soundness: Option<String>,
    /// The age of the newest verified backup, in seconds.
    pub age_seconds: Option<i64>,
    /// The time of the next scheduled backup.
    #[schema(value_type = String, format = DateTime)]
    pub next_run: jiff::Timestamp,
}

pub(super) async fn health(
    State(site): State<Arc<Site>>,
    principal: Principal,
) -> HttpResult<(StatusCode, Json<Status>)> {
    let health = health::check(&site.console).await?;
    let code = if health.degraded.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shows_reasons = principal.permissions.has(Permission::System);
    let visible = |lines: &[String]| if shows_reasons { lines.to_vec() } else { Vec::new() };
    let status = Status {
        status: health.status().to_owned(),
        reasons: visible(&health.degraded),
        warnings: visible(&health.warnings),
        soundness: health.soundness.map(|soundness| soundness.word().to_owned()),
        age_seconds: health.age_seconds,
        next_run: health.next_run,
    };
    Ok((code, Json(status)))
}

pub(super) async fn metrics(State(site): State<Arc<Site>>) -> HttpResult<Response> {
    let text = metrics::render(&site.console).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
