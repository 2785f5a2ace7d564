//! Apps that are off in a restored copy, and their release.
//!
//! The console's own apps are released at once. Another server's are noted where it runs, and put back on at its next
//! start.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Failure, Site, auth::Who, blocking, failure::Answer};
use engine::quarantine::QuarantineRecord;
use volume::{
    error::Result,
    events::{self, Event, Kind},
};

/// What is off.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Quarantine {
    /// Whether anything is.
    pub is_active: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<jiff::Timestamp>,
    /// The restore that it began with.
    pub restore_id: Option<String>,
    /// Whether switching off was cut off, so that some may be on until the next start.
    pub is_pending: bool,
    /// The apps that are off.
    pub apps: Vec<AppOff>,
}

/// An app that is off.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct AppOff {
    /// Its id, by which it is released.
    pub id: String,
    /// The step of the profile that switched it off.
    pub step: String,
    /// Where it is.
    pub detail: String,
    /// Whether its release was asked for: the next start of the server puts it back on.
    pub is_requested: bool,
}

/// Which apps to put back on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReleaseInput {
    /// All of them.
    pub all: bool,
    /// Ids of apps, or names of steps.
    pub names: Vec<String>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Released {
    /// Whether the rest waits for the next start of the server.
    pub waits_for_restart: bool,
    /// What is off now.
    pub quarantine: Quarantine,
}

/// What is off.
///
/// # Errors
/// Where the memory of quarantine cannot be read.
pub async fn show(site: &Site) -> Result<Quarantine> {
    let volume = site.console.volume.clone();
    blocking(move || Ok(of_memory(QuarantineRecord::load(&volume)?))).await
}

/// Puts apps back on, or notes that the next start is to.
///
/// # Errors
/// 400 where none was named; 404 where one is not off; and as the release fails.
pub async fn release(site: &Site, who: &Who, input: ReleaseInput) -> Answer<Released> {
    if input.all != input.names.is_empty() {
        return Err(volume::error::Error::usage("say All, or Names").into());
    }
    let before = show(site).await?;
    let is_off = |name: &String| before.apps.iter().any(|app| app.id == *name || app.step == *name);
    if !before.is_active || input.names.iter().any(|name| !is_off(name)) {
        return Err(Failure::not_found("app in quarantine"));
    }
    let mut verb = vec!["apps", "release", "--json"];
    match input.all {
        true => verb.push("--all"),
        false => {
            verb.push("--");
            verb.extend(input.names.iter().map(String::as_str));
        }
    }
    let answer = site.console.jobs.verb(&site.console, &verb).await?;
    site.console.settings.send_replace(());
    let waits_for_restart = answer.get("requested").is_some_and(|requested| !requested.is_null());
    if waits_for_restart {
        let event = Event::new(Kind::AppsReleaseRequested).with("Username", who.name());
        events::record(&site.console.volume, &event);
    }
    Ok(Released { waits_for_restart, quarantine: show(site).await? })
}

fn of_memory(memory: Option<QuarantineRecord>) -> Quarantine {
    let Some(memory) = memory else {
        return Quarantine { is_active: false, since: None, restore_id: None, is_pending: false, apps: Vec::new() };
    };
    let asked = |name: &String| memory.requested.all || memory.requested.named.contains(name);
    let apps = memory.apps().map(|app| AppOff {
        is_requested: asked(&app.id) || asked(&app.step),
        id: app.id,
        step: app.step,
        detail: app.detail,
    });
    Quarantine {
        is_active: true,
        since: Some(memory.since),
        restore_id: memory.restore.map(|id| format!("restore-{id}")),
        is_pending: memory.pending,
        apps: apps.collect(),
    }
}
