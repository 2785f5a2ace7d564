//! The apps in quarantine, and their release.
//!
//! The console's own apps are released immediately. For the server's apps, the release is recorded if the server runs,
//! and happens at its next start.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Failure, Site, auth::Principal, blocking, failure::HttpResult};
use engine::quarantine::QuarantineRecord;
use volume::{
    error::Result,
    events::{self, Event, Kind},
};

/// The apps in quarantine.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Quarantine {
    /// Whether any app is in quarantine.
    pub is_active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<jiff::Timestamp>,
    /// The restore that began the quarantine.
    pub restore_id: Option<String>,
    /// Whether switching off was interrupted, so that some apps may be on until the next start.
    pub is_pending: bool,
    pub apps: Vec<AppOff>,
}

/// An app in quarantine.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AppOff {
    /// Accepted by the release.
    pub id: String,
    /// The step of the profile that switched it off.
    pub step: String,
    /// The place in the state.
    pub detail: String,
    /// Whether its release is requested, so that the next start of the server switches it on.
    pub is_requested: bool,
}

/// The apps to release.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ReleaseInput {
    pub all: bool,
    /// Ids of apps, or names of steps.
    pub names: Vec<String>,
}

/// The result of a release.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Released {
    /// Whether apps are left for the next start of the server.
    pub waits_for_restart: bool,
    /// The quarantine after the release.
    pub quarantine: Quarantine,
}

pub(crate) async fn show(site: &Site) -> Result<Quarantine> {
    let volume = site.console.volume.clone();
    blocking(move || Ok(from_record(QuarantineRecord::load(&volume)?))).await
}

/// Releases apps, or requests their release at the next start. Fails with 404 if one is not in quarantine.
pub(crate) async fn release(site: &Site, principal: &Principal, input: ReleaseInput) -> HttpResult<Released> {
    if input.all != input.names.is_empty() {
        return Err(volume::error::Error::usage("send either All or Names").into());
    }
    let before = show(site).await?;
    let is_off = |name: &String| before.apps.iter().any(|app| app.id == *name || app.step == *name);
    if !before.is_active || input.names.iter().any(|name| !is_off(name)) {
        return Err(Failure::not_found("app in quarantine"));
    }
    let mut command = vec!["apps", "release", "--json"];
    match input.all {
        true => command.push("--all"),
        false => {
            command.push("--");
            command.extend(input.names.iter().map(String::as_str));
        }
    }
    let answer = site.console.jobs.command(&site.console, &command).await?;
    site.console.settings.send_replace(());
    let waits_for_restart = answer.get("requested").is_some_and(|requested| !requested.is_null());
    if waits_for_restart {
        let event = Event::new(Kind::AppsReleaseRequested).with("Username", principal.name());
        events::record(&site.console.volume, &event);
    }
    Ok(Released { waits_for_restart, quarantine: show(site).await? })
}

fn from_record(record: Option<QuarantineRecord>) -> Quarantine {
    let Some(record) = record else {
        return Quarantine { is_active: false, since: None, restore_id: None, is_pending: false, apps: Vec::new() };
    };
    let is_requested = |name: &String| record.requested.all || record.requested.named.contains(name);
    let apps = record.apps().map(|app| AppOff {
        is_requested: is_requested(&app.id) || is_requested(&app.step),
        id: app.id,
        step: app.step,
        detail: app.detail,
    });
    Quarantine {
        is_active: true,
        since: Some(record.since),
        restore_id: record.restore.map(|id| format!("restore-{id}")),
        is_pending: record.pending,
        apps: apps.collect(),
    }
}
