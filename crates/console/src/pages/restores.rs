//! `/restores`: lists restores, cancels requested ones, and requests rollbacks.

use axum::{extract::Path, response::Response};
use jiff::Timestamp;
use maud::html;

use super::{
    backup::when,
    form,
    layout::{self, Section, Tone, pill},
    table::{Row, list},
    visit::Visit,
    words,
};
use crate::{
    failure::HttpResult,
    restores::{self, Restore},
};

const HERE: Section = Section::Restores;
const HEADINGS: [&str; 5] = ["When", "Source", "Outcome", "Replaced state", "~Actions"];

pub(super) async fn list_all(visit: Visit) -> HttpResult<Response> {
    let restores = restores::list(&visit.site).await?;
    let waiting = restores::requested(&visit.site).await?;
    let rows: Vec<Row> = restores.iter().map(|restore| row(restore, visit.now)).collect();
    let body = html! {
        (layout::head("Restores", "The state that a restore replaced is kept for at least seven days, and until there is a newer verified backup.", &html! {}))
        @for one in &waiting {
            div.banner.warn {
                p { strong { (words::sentence(&one.message)) } }
                (form::button(&format!("/restores/requested/{}/cancel", one.script), "small", html! { "Cancel" }))
            }
        }
        (list("Restores of this volume", &HEADINGS, &rows, html! {
            p { strong { "No restore has run on this volume." } }
            p { "To restore, choose a backup under " a href="/backups" { "Backups" } "." }
        }))
    };
    visit.page(HERE, HERE.title(), body).await
}

fn row(restore: &Restore, now: Timestamp) -> Row {
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
    let outcome = match restore.state.as_str() {
        "Done" => pill(Tone::Good, "✓ done"),
        "Undone" => pill(Tone::Warn, "failed, nothing changed"),
        _ => pill(Tone::Bad, "unfinished"),
    };
    let at = restore.restored_at;
    Row::new(words::time_and_age(at, now))
        .cell("Source", html! { (source) @if !apps.is_empty() { small { (apps) } } })
        .cell("Outcome", outcome)
        .cell("Replaced state", html! {
            @if restore.can_roll_back { "kept, " (words::size(restore.kept_bytes)) } @else { span.soft { "not kept" } }
        })
        .actions(html! { @if restore.can_roll_back {
            a.button.small href={ "/restores/" (restore.id) "/undo" } aria-label={ "Roll back the restore of " (words::utc(at)) } { "Roll back…" }
        } })
}

/// Asks for confirmation before a rollback.
pub(super) async fn ask(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let restore = restores::find(&visit.site, &id).await?;
    let title = "Roll back this restore";
    let body = html! {
        div { (layout::back_to(HERE)) (layout::head(title, "", &html! {})) }
        form.card.stack method="post" action={ "/restores/" (restore.id) "/undo" } {
            p { "The state before the restore of " strong { (words::utc(restore.restored_at)) } " replaces the current state. The current state is kept, and you can bring it back in the same way." }
            p { (when(visit.site.is_server)) }
            div.actions {
                button.danger type="submit" { "Roll back at the next restart" }
                a.button href=(HERE.path()) { "Cancel" }
            }
        }
    };
    visit.page(HERE, title, body).await
}

pub(super) async fn undo(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let requested = restores::request_rollback(&visit.site, &visit.who, &id).await;
    Ok(visit.done(requested, HERE.path(), |requested| words::sentence(&requested.message)))
}

pub(super) async fn cancel(visit: Visit, Path(script): Path<String>) -> HttpResult<Response> {
    let cancelled = restores::cancel(&visit.site, &script).await;
    Ok(visit.done(cancelled, HERE.path(), |()| "Cancelled. Nothing changes at the next restart.".to_owned()))
}
