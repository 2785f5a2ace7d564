//! `/backups`: the list, and what is done there.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};

use super::{
    flash::Flash,
    layout::Section,
    view::backups::{Backup, Page, Unreadable},
    visit::Visit,
};
use crate::{
    Site, api,
    backups::{self, upload},
    entities::settings,
    failure::Answer,
    scheduler,
};

const HERE: Section = Section::Backups;

/// For how long a request waits for a backup that was just begun: one that fails at once is said at once.
const A_MOMENT: std::time::Duration = std::time::Duration::from_millis(700);

/// A backup, as pages show it.
pub(super) fn shown(backup: backups::Backup) -> Backup {
    Backup {
        is_scheduled: backup.kind == "Scheduled",
        id: backup.id,
        file_name: backup.filename,
        created: backup.created_at,
        bytes: backup.file_size_bytes,
        verified: backup.is_sound,
        key_fingerprint: backup.key_fingerprint,
        is_own_key: backup.is_own_key,
        is_own: backup.is_own_instance,
        quarantined: backup.is_quarantined,
        profile: backup.profile,
    }
}

/// Those of this instance.
pub(super) async fn own(site: &Site) -> Answer<Vec<Backup>> {
    let (all, _) = backups::list(site).await?;
    Ok(all.into_iter().map(|found| shown(found.backup)).filter(|backup| backup.is_own).collect())
}

pub(super) async fn list(visit: Visit) -> Answer<Response> {
    let site = &visit.site;
    let (found, unreadable) = backups::list(site).await?;
    let all: Vec<Backup> = found.into_iter().map(|found| shown(found.backup)).collect();
    let unreadable: Vec<Unreadable> =
        unreadable.into_iter().map(|file| Unreadable { file_name: file.filename, why: file.error }).collect();
    let fixed = site.console.fixed.clone();
    let keep = site.console.database.call(move |connection| settings::get(connection, "BackupsToKeep", &fixed)).await?;
    let page = Page {
        now: visit.now,
        csrf: visit.csrf(),
        backups: &all,
        unreadable: &unreadable,
        folder: site.console.volume.backups().display().to_string(),
        next: Some(scheduler::next_run(&site.console).await),
        keep: keep.value.as_u64().unwrap_or(7),
    };
    visit.page(HERE, HERE.title(), page.show()).await
}

/// Begins a backup that is kept, and does not wait for it.
pub(super) async fn now(visit: Visit) -> Answer<Response> {
    let console = Arc::clone(&visit.site.console);
    let work = tokio::spawn(async move { console.jobs.back_up(&console, false).await });
    let flash = match tokio::time::timeout(A_MOMENT, work).await {
        Ok(Ok(Ok(_))) => Flash::done("The backup is complete, and verified."),
        Ok(Ok(Err(error))) => return Ok(visit.failed(&error.into(), HERE.path())),
        Ok(Err(_)) => Flash::failed("The backup was cut off."),
        Err(_) => Flash::done("The backup has begun. It is in the list as soon as it is complete and verified."),
    };
    Ok(flash.on_to(HERE.path()))
}

/// A backup that is made for this download, and not kept.
pub(super) async fn immediate(visit: Visit) -> Answer<Response> {
    match api::stream(&visit.site).await {
        Ok(response) => Ok(response),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

/// Takes a backup in.
pub(super) async fn upload(State(site): State<Arc<Site>>, visit: Visit, request: Request<Body>) -> Answer<Response> {
    match upload::take(&site, &visit.who, request).await {
        Ok(backup) => Ok(Flash::done(format!("{} was uploaded, and is whole.", backup.filename)).on_to(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
