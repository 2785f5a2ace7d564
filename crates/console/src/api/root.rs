//! `GET /api`: what this is. `GET /health`, `GET /metrics`: how all is.

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
    auth::Who,
    entities::{Links, settings},
    failure::{Answer, Problem},
    health, metrics,
    permission::Permission,
};

/// What this is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Root {
    /// `moorline`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// What the console is called.
    pub instance_name: Option<String>,
    /// Kept for Seq's clients.
    pub enabled_features: Vec<String>,
    /// Where the groups of routes are.
    pub links: Links,
}

/// What there is.
const GROUPS: [(&str, &str); 10] = [
    ("ApiKeys", "api/apikeys"),
    ("AppInstances", "api/appinstances"),
    ("Apps", "api/apps"),
    ("Backups", "api/backups"),
    ("Events", "api/events"),
    ("Quarantine", "api/quarantine"),
    ("Restores", "api/restores"),
    ("Settings", "api/settings"),
    ("Signals", "api/signals"),
    ("Users", "api/users"),
];

/// What this is, and where the groups of routes are.
#[utoipa::path(get, path = "/api", security(()), responses((status = 200, body = Root)))]
pub(super) async fn show(State(site): State<Arc<Site>>) -> Answer<Json<Root>> {
    let title = site.console.database.call(|connection| settings::read(connection, "InstanceTitle")).await?;
    let pairs = GROUPS.map(|(name, path)| (format!("{name}Resources"), path.to_owned()));
    Ok(Json(Root {
        product: "moorline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance_name: title.and_then(|title| title.as_str().map(str::to_owned)),
        enabled_features: Vec::new(),
        links: BTreeMap::from(pairs),
    }))
}

/// How all is with backups.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// `ok` or `degraded`.
    pub status: String,
    /// Why it is degraded.
    pub reasons: Vec<String>,
    /// What somebody should know all the same.
    pub warnings: Vec<String>,
    /// How old the newest verified backup is, in seconds.
    pub age_seconds: Option<i64>,
    /// When the next scheduled backup is due.
    #[schema(value_type = String, format = DateTime)]
    pub next_run: jiff::Timestamp,
}

/// Whether all is well with backups, for probes: 503 where it is not. Only somebody with the permission `System` is told
/// why.
#[utoipa::path(get, path = "/health", security((), ("ApiKey" = []), ("Session" = [])), responses(
    (status = 200, body = Status), (status = 503, body = Status)))]
pub(super) async fn health(State(site): State<Arc<Site>>, who: Who) -> Answer<(StatusCode, Json<Status>)> {
    let health = health::of(&site.console).await?;
    let code = if health.degraded.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let is_told = who.permissions.has(Permission::System);
    let told = |lines: &[String]| if is_told { lines.to_vec() } else { Vec::new() };
    let status = Status {
        status: health.status().to_owned(),
        reasons: told(&health.degraded),
        warnings: told(&health.warnings),
        age_seconds: health.age_seconds,
        next_run: health.next_run,
    };
    Ok((code, Json(status)))
}

/// The same, and more, as Prometheus reads it. An API key may come as a bearer token.
#[utoipa::path(get, path = "/metrics", responses(
    (status = 200, content_type = "application/openmetrics-text", body = String), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn metrics(State(site): State<Arc<Site>>) -> Answer<Response> {
    let text = metrics::of(&site.console).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
