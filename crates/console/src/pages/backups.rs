//! `/backups`: lists the backups, takes a backup, downloads and uploads one.

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
    failure::HttpResult,
    scheduler,
};

const HERE: Section = Section::Backups;

/// A request waits this long for the backup that it started, so that the page can show an immediate failure.
const WAIT: std::time::Duration = std::time::Duration::from_millis(700);

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

/// The backups of this instance.
pub(super) async fn own(site: &Site) -> HttpResult<Vec<Backup>> {
    let (all, _) = backups::list(site).await?;
    Ok(all.into_iter().map(|found| shown(found.backup)).filter(|backup| backup.is_own).collect())
}

pub(super) async fn list(visit: Visit) -> HttpResult<Response> {
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

/// Starts a backup that is kept, without waiting for its end.
pub(super) async fn now(visit: Visit) -> HttpResult<Response> {
    let console = Arc::clone(&visit.site.console);
    let work = tokio::spawn(async move { console.jobs.back_up(&console, false).await });
    let flash = match tokio::time::timeout(WAIT, work).await {
        Ok(Ok(Ok(_))) => Flash::done("The backup is complete and verified."),
        Ok(Ok(Err(error))) => return Ok(visit.failed(&error.into(), HERE.path())),
        Ok(Err(_)) => Flash::failed("The backup was interrupted."),
        Err(_) => Flash::done("The backup has started. It appears in the list when it is complete and verified."),
    };
    Ok(flash.redirect(HERE.path()))
}

/// Takes a backup for this download only. It is not kept.
pub(super) async fn immediate(visit: Visit) -> HttpResult<Response> {
    match api::stream(&visit.site).await {
        Ok(response) => Ok(response),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

pub(super) async fn upload(
    State(site): State<Arc<Site>>,
    visit: Visit,
    request: Request<Body>,
) -> HttpResult<Response> {
    match upload::take(&site, &visit.who, request).await {
        Ok(backup) => Ok(Flash::done(format!("{} was uploaded and verified.", backup.filename)).redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
