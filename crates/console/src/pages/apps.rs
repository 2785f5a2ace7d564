//! `/apps`: apps in quarantine and their release; the list of notifications.

use axum::response::Response;
use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    form::Fields,
    layout::{self, Section, Tone, pill},
    notifications,
    table::{Row, list, table},
    visit::Visit,
    words,
};
use crate::{
    Failure,
    api::resource::all,
    entities::{instances::AppInstance, signals::Signal},
    failure::HttpResult,
    quarantine::{self, AppOff, ReleaseInput},
};
use engine::quarantine as apps;

const HERE: Section = Section::Apps;

struct Quarantine {
    since: Timestamp,
    apps: Vec<Quarantined>,
}

/// An app that is off until it is released.
struct Quarantined {
    app: AppOff,
    /// The title of one of the console's notifications, else the id.
    name: String,
    /// Whether the console releases the app itself. The server's apps are released at its next start.
    at_once: bool,
}

/// `None` if the volume is not in quarantine.
async fn quarantine_of(visit: &Visit, notifications: &[AppInstance]) -> HttpResult<Option<Quarantine>> {
    let found = quarantine::show(&visit.site).await?;
    let Some(since) = found.since.filter(|_| found.is_active) else { return Ok(None) };
    let console_steps: Vec<String> = apps::console_steps()?.into_iter().map(|step| step.name).collect();
    let title_of = |id: &str| notifications.iter().find(|one| is_same(id, &one.id)).map(|one| one.title.clone());
    let apps = found.apps.into_iter().map(|app| Quarantined {
        name: title_of(&app.id).unwrap_or_else(|| app.id.clone()),
        at_once: console_steps.contains(&app.step),
        app,
    });
    Ok(Some(Quarantine { since, apps: apps.collect() }))
}

/// Whether an app in quarantine is this notification. Its id there is the step's name followed by the notification's id:
/// `console apps appinstance-…`.
fn is_same(quarantined: &str, notification: &str) -> bool {
    quarantined.strip_suffix(notification).is_some_and(|step| step.is_empty() || step.ends_with(' '))
}

pub(super) async fn list_all(visit: Visit) -> HttpResult<Response> {
    let notifications: Vec<AppInstance> = all(&visit.site, &visit.who).await?;
    let signals: Vec<Signal> = all(&visit.site, &visit.who).await?;
    let quarantine = quarantine_of(&visit, &notifications).await?;
    let is_off = |id: &str| quarantine.iter().flat_map(|all| &all.apps).any(|one| is_same(&one.app.id, id));
    let rows: Vec<Row> = notifications.iter().map(|one| notifications::row(one, &signals, is_off(&one.id))).collect();
    let body = html! {
        (layout::head(HERE.title(), "A notification sends events of this console by HTTP or e-mail.", &html! {
            a.button.primary href="/apps/new/http" { "Add webhook" }
            a.button href="/apps/new/mail" { "Add e-mail" }
        }))
        @if let Some(quarantine) = &quarantine { (quarantined(quarantine, visit.now)) }
        (list("Notifications", &["Notification", "Sends to", "Signals", "State", "~Actions"], &rows, html! {
            p { strong { "There are no notifications yet." } }
            p { "With a notification, you learn of a failed backup before you need the backup." }
        }))
    };
    visit.page(HERE, HERE.title(), body).await
}

fn quarantined(quarantine: &Quarantine, now: Timestamp) -> Markup {
    let rows: Vec<Row> = quarantine.apps.iter().map(quarantined_row).collect();
    let at_start = quarantine.apps.iter().any(|app| !app.at_once);
    let at_once = quarantine.apps.iter().any(|app| app.at_once);
    html! {
        section.card.flush aria-labelledby="quarantine" {
            div.pad.stack {
                div.head {
                    h2 #quarantine { "Quarantine: apps that are off" }
                    a.button href="/apps/release" { "Release all…" }
                }
                p { "This is a restored copy. Its apps have been off since " (words::time(quarantine.since)) " (" (words::age(quarantine.since, now)) "), so that they do not act at the same time as the original’s. Releasing an app restores its earlier state." }
                @if at_once { p { "The notifications of this console are released " strong { "immediately" } "." } }
                @if at_start { p { "The apps of the server are released " strong { "at its next start" } ": restart the container after you have released them." } }
            }
            @if rows.is_empty() { div.empty { p { "All apps have been released." } } }
            @else { (table("Apps in quarantine", &["App", "Release", "~Actions"], &rows)) }
        }
    }
}

fn quarantined_row(Quarantined { app, name, at_once }: &Quarantined) -> Row {
    Row::new(html! { (name) small { (app.detail) } })
        .cell(
            "Release",
            html! {
                @if app.is_requested { (pill(Tone::Warn, "at the next start")) }
                @else if *at_once { "immediately" } @else { "at the server’s next start" }
            },
        )
        .actions(html! { @if !app.is_requested {
            form method="post" action="/apps/release" {
                input type="hidden" name="Id" value=(app.id);
                button.small type="submit" aria-label={ "Release " (name) } { "Release" }
            }
        } })
}

/// Asks for confirmation before all apps are released.
pub(super) async fn ask_to_release(visit: Visit) -> HttpResult<Response> {
    let Some(quarantine) = quarantine_of(&visit, &[]).await? else {
        return Err(Failure::not_found("quarantine"));
    };
    let at_start = quarantine.apps.iter().filter(|app| !app.at_once).count() as u64;
    let at_once = quarantine.apps.len() as u64 - at_start;
    let body = html! {
        div { (layout::back_to(HERE)) (layout::head("Release all apps", "", &html! {})) }
        form.card.stack method="post" action="/apps/release" {
            input type="hidden" name="All" value="on";
            p { "The apps act on the outside again: they send alerts, call webhooks and run jobs. Make sure that the original server does not do the same at the same time." }
            ul {
                @if at_once > 0 { li { (words::count(at_once, "notification")) " of this console, immediately" } }
                @if at_start > 0 { li { (words::count(at_start, "app")) " of the server, at its next start: restart the container afterwards" } }
            }
            div.actions { button.danger type="submit" { "Release all" } a.button href=(HERE.path()) { "Cancel" } }
        }
    };
    visit.page(HERE, "Release all apps", body).await
}

pub(super) async fn release(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let input = ReleaseInput { all: fields.has("All"), names: fields.optional("Id").into_iter().collect() };
    let released = quarantine::release(&visit.site, &visit.who, input).await;
    Ok(visit.done(released, HERE.path(), |released| {
        let words = match released {
            released if released.waits_for_restart => {
                "Release scheduled for the server’s next start. Restart the container to switch its apps on."
            }
            released if released.quarantine.is_active => "Released. The app is in its earlier state.",
            _ => "Released. All apps are in their earlier state, and the quarantine has ended.",
        };
        words.to_owned()
    }))
}
