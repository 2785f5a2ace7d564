//! `/apps`: apps in quarantine and their release; the list of notifications.

use axum::response::Response;

use super::{
    fields::Fields,
    flash::Flash,
    layout::Section,
    notifications,
    view::{
        self,
        apps::{Quarantine, Quarantined},
    },
    visit::Visit,
};
use crate::{
    Failure,
    failure::HttpResult,
    quarantine::{self, ReleaseInput},
};
use engine::quarantine as apps;

const HERE: Section = Section::Apps;

/// `None` if the volume is not in quarantine.
async fn quarantine_of(visit: &Visit) -> HttpResult<Option<Quarantine>> {
    let found = quarantine::show(&visit.site).await?;
    let Some(since) = found.since.filter(|_| found.is_active) else { return Ok(None) };
    let console_steps: Vec<String> = apps::console_steps()?.into_iter().map(|step| step.name).collect();
    let all = notifications::all(visit).await?;
    let title_of = |id: &str| all.iter().find(|one| is_same(id, &one.id)).map(|one| one.title.clone());
    let apps = found.apps.into_iter().map(|app| Quarantined {
        title: title_of(&app.id),
        at_once: console_steps.contains(&app.step),
        detail: app.detail,
        is_requested: app.is_requested,
        id: app.id,
    });
    Ok(Some(Quarantine { since, apps: apps.collect() }))
}

/// Whether an app in quarantine is this notification. Its id there is the step's name followed by the notification's id:
/// `console apps appinstance-…`.
pub(super) fn is_same(quarantined: &str, notification: &str) -> bool {
    quarantined.strip_suffix(notification).is_some_and(|step| step.is_empty() || step.ends_with(' '))
}

pub(super) async fn list(visit: Visit) -> HttpResult<Response> {
    let quarantine = quarantine_of(&visit).await?;
    let off: Vec<String> = quarantine.iter().flat_map(|all| all.apps.iter().map(|app| app.id.clone())).collect();
    let shown = notifications::shown(&visit, &off).await?;
    let body = view::apps::page(quarantine.as_ref(), &shown, visit.csrf(), visit.now);
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn ask_to_release(visit: Visit) -> HttpResult<Response> {
    let Some(quarantine) = quarantine_of(&visit).await? else {
        return Err(Failure::not_found("quarantine"));
    };
    let body = view::apps::release_all(&quarantine, visit.csrf());
    visit.page(HERE, "Release all apps", body).await
}

pub(super) async fn release(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let input = ReleaseInput { all: fields.has("All"), names: fields.optional("Id").into_iter().collect() };
    let flash = match quarantine::release(&visit.site, &visit.who, input).await {
        Err(failure) => return Ok(visit.failed(&failure, HERE.path())),
        Ok(released) if released.waits_for_restart => {
            Flash::done("Release scheduled for the server’s next start. Restart the container to switch its apps on.")
        }
        Ok(released) if released.quarantine.is_active => Flash::done("Released. The app is in its earlier state."),
        Ok(_) => Flash::done("Released. All apps are in their earlier state, and the quarantine has ended."),
    };
    Ok(flash.redirect(HERE.path()))
}
