//! `/restores`: lists restores, cancels requested ones, and requests rollbacks.

use axum::{extract::Path, response::Response};

use super::{
    flash::Flash,
    layout::{Section, Tone},
    view::{
        self,
        restores::{Restore, Waiting},
    },
    visit::Visit,
    words,
};
use crate::{failure::HttpResult, restores};

const HERE: Section = Section::Restores;

fn shown(restore: restores::Restore) -> Restore {
    let source = match (&restore.rollback_of, restore.backup_created_at, &restore.filename) {
        (Some(_), ..) => "Rollback of a restore".to_owned(),
        (None, Some(created), Some(name)) => format!("Backup of {} ({name})", words::utc(created)),
        _ => "Unknown backup".to_owned(),
    };
    let apps = match restore.apps.as_deref() {
        Some("Off") => "as a copy: apps off",
        Some(_) => "as a replacement: apps as they were",
        None => "",
    };
    let state = match restore.state.as_str() {
        "Done" => (Tone::Good, "✓ done"),
        "Undone" => (Tone::Warn, "failed, nothing changed"),
        _ => (Tone::Bad, "unfinished"),
    };
    Restore {
        id: restore.id,
        at: restore.restored_at,
        source,
        apps,
        state,
        bytes: restore.kept_bytes,
        can_roll_back: restore.can_roll_back,
    }
}

pub(super) async fn list(visit: Visit) -> HttpResult<Response> {
    let all: Vec<Restore> = restores::list(&visit.site).await?.into_iter().map(shown).collect();
    let waiting = restores::requested(&visit.site).await?.into_iter();
    let waiting: Vec<Waiting> =
        waiting.map(|one| Waiting { script: one.script, words: words::sentence(&one.message) }).collect();
    let body = view::restores::page(&all, &waiting, visit.csrf(), visit.now);
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn ask(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let restore = shown(restores::find(&visit.site, &id).await?);
    let body = view::restores::roll_back(&restore, visit.csrf(), visit.site.is_server);
    visit.page(HERE, "Roll back this restore", body).await
}

pub(super) async fn undo(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    match restores::request_rollback(&visit.site, &visit.who, &id).await {
        Ok(requested) => Ok(Flash::done(words::sentence(&requested.message)).redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

pub(super) async fn cancel(visit: Visit, Path(script): Path<String>) -> HttpResult<Response> {
    match restores::cancel(&visit.site, &script).await {
        Ok(()) => Ok(Flash::done("Cancelled. Nothing changes at the next restart.").redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
