//! `/restores`: what was restored, and the way back.

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
use crate::{failure::Answer, restores};

const HERE: Section = Section::Restores;

fn shown(restore: restores::Restore) -> Restore {
    let source = match (&restore.rollback_of, restore.backup_created_at, &restore.filename) {
        (Some(_), ..) => "A restore was undone".to_owned(),
        (None, Some(created), Some(name)) => format!("Backup of {} ({name})", words::utc(created)),
        _ => "A backup".to_owned(),
    };
    let apps = match restore.apps.as_deref() {
        Some("Off") => "as a copy: apps off",
        Some(_) => "as a replacement: apps as they were",
        None => "",
    };
    let state = match restore.state.as_str() {
        "Done" => (Tone::Good, "✓ done"),
        "Undone" => (Tone::Warn, "undone: it failed"),
        _ => (Tone::Bad, "unfinished"),
    };
    Restore {
        id: restore.id,
        at: restore.restored_at,
        source,
        apps,
        state,
        bytes: restore.kept_bytes,
        can_undo: restore.can_roll_back,
    }
}

pub(super) async fn list(visit: Visit) -> Answer<Response> {
    let all: Vec<Restore> = restores::list(&visit.site).await?.into_iter().map(shown).collect();
    let waiting = restores::requested(&visit.site).await?.into_iter();
    let waiting: Vec<Waiting> =
        waiting.map(|one| Waiting { script: one.script, words: words::sentence(&one.message) }).collect();
    let body = view::restores::page(&all, &waiting, visit.csrf(), visit.now);
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn ask(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    let restore = shown(restores::find(&visit.site, &id).await?);
    let body = view::restores::undo(&restore, visit.csrf(), visit.site.is_server);
    visit.page(HERE, "Undo this restore", body).await
}

pub(super) async fn undo(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    match restores::request_rollback(&visit.site, &visit.who, &id).await {
        Ok(requested) => Ok(Flash::done(words::sentence(&requested.message)).on_to(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

pub(super) async fn cancel(visit: Visit, Path(script): Path<String>) -> Answer<Response> {
    match restores::cancel(&visit.site, &script).await {
        Ok(()) => Ok(Flash::done("It was taken back: the next start changes nothing.").on_to(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
