//! `/apps`: what quarantine switched off, and its release; the console's own apps.

use axum::response::Response;

use super::{
    fields::Fields,
    flash::Flash,
    instances,
    layout::Section,
    view::{
        self,
        apps::{Quarantine, Quarantined},
    },
    visit::Visit,
};
use crate::{
    Failure,
    failure::Answer,
    quarantine::{self, ReleaseInput},
};
use engine::quarantine as apps;
use volume::error::Result;

const HERE: Section = Section::Apps;

/// What is off; none without quarantine.
async fn quarantine_of(visit: &Visit) -> Answer<Option<Quarantine>> {
    let found = quarantine::show(&visit.site).await?;
    let Some(since) = found.since.filter(|_| found.is_active) else { return Ok(None) };
    let own: Vec<String> = own_steps()?;
    let all = instances::all(visit).await?;
    // Its id has the step's name before that of the row.
    let title_of = |id: &str| all.iter().find(|app| is_named(id, &app.id)).map(|app| app.title.clone());
    let apps = found.apps.into_iter().map(|app| Quarantined {
        title: title_of(&app.id),
        at_once: own.contains(&app.step),
        detail: app.detail,
        is_requested: app.is_requested,
        id: app.id,
    });
    Ok(Some(Quarantine { since, apps: apps.collect() }))
}

/// Whether an app in quarantine, `console apps appinstance-…`, is this one.
pub(super) fn is_named(quarantined: &str, instance: &str) -> bool {
    quarantined.strip_suffix(instance).is_some_and(|step| step.is_empty() || step.ends_with(' '))
}

/// The steps whose apps the console releases by itself.
fn own_steps() -> Result<Vec<String>> {
    Ok(apps::console_steps()?.into_iter().map(|step| step.name).collect())
}

pub(super) async fn list(visit: Visit) -> Answer<Response> {
    let quarantine = quarantine_of(&visit).await?;
    let off: Vec<String> = quarantine.iter().flat_map(|all| all.apps.iter().map(|app| app.id.clone())).collect();
    let shown = instances::shown(&visit, &off).await?;
    let body = view::apps::page(quarantine.as_ref(), &shown, visit.csrf(), visit.now);
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn ask_to_release(visit: Visit) -> Answer<Response> {
    let Some(quarantine) = quarantine_of(&visit).await? else {
        return Err(Failure::not_found("quarantine"));
    };
    let body = view::apps::release_all(&quarantine, visit.csrf());
    visit.page(HERE, "Release all apps", body).await
}

pub(super) async fn release(visit: Visit, fields: Fields) -> Answer<Response> {
    let input = ReleaseInput { all: fields.has("All"), names: fields.optional("Id").into_iter().collect() };
    let flash = match quarantine::release(&visit.site, &visit.who, input).await {
        Err(failure) => return Ok(visit.failed(&failure, HERE.path())),
        Ok(released) if released.waits_for_restart => {
            Flash::done("It is written down: the server’s apps are on again at its next start. Restart the container.")
        }
        Ok(released) if released.quarantine.is_active => Flash::done("Released: it is on again."),
        Ok(_) => Flash::done("Released: all apps are as they were, and quarantine is over."),
    };
    Ok(flash.on_to(HERE.path()))
}
