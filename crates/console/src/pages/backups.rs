//! `/backups`: key figures, the list of backups, unreadable files; takes a backup, downloads and uploads one.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    flash::Flash,
    form,
    layout::{self, Section, Tone, pill},
    table::{Row, list},
    visit::Visit,
    words,
};
use crate::{
    Site, api,
    backups::{self, Backup, Unreadable, upload},
    entities::settings,
    failure::HttpResult,
    scheduler,
};

const HERE: Section = Section::Backups;
const HEADINGS: [&str; 6] = ["Created", "Kind", "Size", "Soundness", "Secret key", "~Actions"];

/// A request waits this long for the backup that it started, so that the page can show an immediate failure.
const WAIT: std::time::Duration = std::time::Duration::from_millis(700);

pub(super) async fn list_all(visit: Visit) -> HttpResult<Response> {
    let console = &visit.site.console;
    let (found, unreadable) = backups::list(&visit.site).await?;
    let all: Vec<Backup> = found.into_iter().map(|found| found.backup).collect();
    let fixed = console.fixed.clone();
    let keep = console.database.call(move |connection| settings::get(connection, "BackupsToKeep", &fixed)).await?;
    let newest = all.iter().filter(|backup| backup.is_own_instance).map(|backup| backup.created_at).max();
    let rows = all.iter().map(|backup| row(backup, visit.now)).chain(unreadable.iter().map(unreadable_row));
    let rows: Vec<Row> = rows.collect();
    let body = html! {
        (layout::head("Backups", "", &html! {
            (form::button("/backups/now", "primary", html! { "Back up now" }))
            (form::button("/backups/immediate", "", html! { "Download immediate backup" }))
        }))
        dl.figures {
            div { dt { "Last backup" } dd {
                @match newest {
                    Some(at) => (words::age_and_time(at, visit.now)),
                    None => "none yet",
                }
            } }
            div { dt { "Next backup" } dd { (words::age_and_time(scheduler::next_run(console).await, visit.now)) } }
            div { dt { "Retention" } dd {
                (words::count(keep.value.as_u64().unwrap_or(7), "scheduled backup"))
                small { "in " code { (console.volume.backups().display()) } }
            } }
        }
        (list("Backups", &HEADINGS, &rows, html! {
            p { strong { "There are no backups yet." } }
            p { "The console takes the first backup automatically, or immediately if you press “Back up now”." }
        }))
        @if !unreadable.is_empty() {
            p.soft { "Damaged files are never removed before a backup of a later day is sound. Move unreadable files elsewhere, or replace each with an undamaged copy." }
        }
        (upload_form())
    };
    visit.page(HERE, HERE.title(), body).await
}

fn row(backup: &Backup, now: Timestamp) -> Row {
    let path = format!("/backups/{}", backup.id);
    Row::new(
        html! { a href=(path) { (words::time(backup.created_at)) } small { (words::age(backup.created_at, now)) } },
    )
    .cell(
        "Kind",
        html! {
            (if is_scheduled(backup) { "scheduled" } else { "immediate" })
            @if !backup.is_own_instance { small { "of another instance" } }
            @if backup.is_quarantined == Some(true) { small { "apps off" } }
        },
    )
    .cell("Size", html! { span.num.nowrap { (words::size(backup.file_size_bytes)) } })
    .cell("Soundness", soundness(backup))
    .cell(
        "Secret key",
        html! {
            @if backup.is_own_key { "this instance’s" } @else { "another" }
            small { code title=(backup.key_fingerprint) { (backup.key_fingerprint.get(..8).unwrap_or_default()) "…" } }
        },
    )
    .actions(html! {
        a.button.small href=(download(backup)) aria-label={ "Download " (backup.filename) } { "Download" }
        a.button.small href={ (path) "/restore" } aria-label={ "Restore " (backup.filename) } { "Restore…" }
    })
}

fn unreadable_row(file: &Unreadable) -> Row {
    let word = if file.is_damaged { "✕ damaged" } else { "✕ unreadable" };
    Row::new(html! { code { (file.filename) } small { (file.error) } })
        .cell("Kind", html! { "unknown" })
        .cell("Size", html! { "unknown" })
        .cell("Soundness", pill(Tone::Bad, word))
        .cell("Secret key", html! { "unknown" })
        .actions(html! {})
}

fn upload_form() -> Markup {
    html! {
        form.card.stack method="post" action="/backups/upload" enctype="multipart/form-data" {
            h2 { "Upload a backup" }
            p.soft { "The file is verified before it is added. You can also upload a backup that is encrypted with another secret key; restoring it requires that key." }
            div.field {
                label for="file" { "Backup file" }
                input #file type="file" name="file" accept=".seqbac" required;
            }
            div.actions { button type="submit" { "Upload" } }
        }
    }
}

pub(super) fn is_scheduled(backup: &Backup) -> bool {
    backup.kind == "Scheduled"
}

pub(super) fn soundness(backup: &Backup) -> Markup {
    match backup.soundness.as_deref() {
        Some("sound") => pill(Tone::Good, "✓ sound"),
        Some(word) => pill(Tone::Bad, &format!("! {word}")),
        None => pill(Tone::Plain, "? needs its key"),
    }
}

/// The address of the backup's file.
pub(super) fn download(backup: &Backup) -> String {
    format!("/api/backups/files/{}", backup.filename)
}

/// Starts a backup that is kept, without waiting for its end.
pub(super) async fn now(visit: Visit) -> HttpResult<Response> {
    let console = Arc::clone(&visit.site.console);
    let work = tokio::spawn(async move { console.jobs.back_up(&console, false).await });
    let flash = match tokio::time::timeout(WAIT, work).await {
        Ok(Ok(Ok(made))) => match made["soundness"].as_str() {
            Some(word) if word != "sound" => {
                let reason = words::text(&made["reasons"][0]);
                Flash::failed(format!("The backup is complete, but {word}: {reason}"))
            }
            _ => Flash::done("The backup is complete and verified."),
        },
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
