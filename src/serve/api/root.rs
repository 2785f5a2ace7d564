//! `GET /api`: what this is. `GET /health`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::serve::{
    Site,
    entities::{Links, settings},
    failure::{Answer, Problem},
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

/// Whether all is well.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// `ok`.
    pub status: String,
}

/// Whether the console is well, for probes.
#[utoipa::path(get, path = "/health", security(()), responses((status = 200, body = Status), (status = 503, body = Problem)))]
pub(super) async fn health() -> Json<Status> {
    Json(Status { status: "ok".to_owned() })
}
