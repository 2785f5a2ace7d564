//! `/apps`: apps in quarantine, and the console's notifications.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{
        form,
        layout::{self, Section, Tone, pill},
        table::{Row, cell, list, table},
        words,
    },
    notifications::{self, Notification},
};

/// An app that is off until it is released.
#[derive(Debug, Clone)]
pub struct Quarantined {
    pub id: String,
    /// The title of one of the console's notifications, else `None`.
    pub title: Option<String>,
    pub detail: String,
    /// Whether the console releases the app itself. The server's apps are released at its next start.
    pub at_once: bool,
    /// Whether a user has released the app, so that the next start switches it on.
    pub is_requested: bool,
}

#[derive(Debug, Clone)]
pub struct Quarantine {
    pub since: Timestamp,
    pub apps: Vec<Quarantined>,
}

pub fn page(quarantine: Option<&Quarantine>, all: &[Notification], csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = all.iter().map(|one| notifications::row(one, csrf)).collect();
    html! {
        (layout::head(Section::Apps.title(), "A notification sends events of this console by HTTP or e-mail.", &html! {
            a.button.primary href="/apps/new/http" { "Add webhook" }
            a.button href="/apps/new/mail" { "Add e-mail" }
        }))
        @if let Some(quarantine) = quarantine { (quarantined(quarantine, csrf, now)) }
        (list("Notifications", &["Notification", "Sends to", "Signals", "State", "~Actions"], &rows, html! {
            p { strong { "There are no notifications yet." } }
            p { "With a notification, you learn of a failed backup before you need the backup." }
        }))
    }
}

fn quarantined(quarantine: &Quarantine, csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = quarantine.apps.iter().map(|app| quarantined_row(app, csrf)).collect();
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

fn quarantined_row(app: &Quarantined, csrf: &str) -> Row {
    let name = app.title.as_deref().unwrap_or(&app.id);
    Row {
        head: html! { (name) small { (app.detail) } },
        cells: vec![
            cell(
                "Release",
                html! {
                    @if app.is_requested { (pill(Tone::Warn, "at the next start")) }
                    @else if app.at_once { "immediately" } @else { "at the server’s next start" }
                },
            ),
            cell(
                "",
                html! { @if !app.is_requested { div.actions {
                    form method="post" action="/apps/release" {
                        (form::csrf(csrf))
                        input type="hidden" name="Id" value=(app.id);
                        button.small type="submit" aria-label={ "Release " (name) } { "Release" }
                    }
                } } },
            ),
        ],
    }
}

/// Asks for confirmation before all apps are released.
pub fn release_all(quarantine: &Quarantine, csrf: &str) -> Markup {
    let at_start = quarantine.apps.iter().filter(|app| !app.at_once).count() as u64;
    let at_once = quarantine.apps.len() as u64 - at_start;
    html! {
        div { (layout::back_to(Section::Apps)) (layout::head("Release all apps", "", &html! {})) }
        form.card.stack method="post" action="/apps/release" {
            (form::csrf(csrf))
            input type="hidden" name="All" value="on";
            p { "The apps act on the outside again: they send alerts, call webhooks and run jobs. Make sure that the original server does not do the same at the same time." }
            ul {
                @if at_once > 0 { li { (words::count(at_once, "notification")) " of this console, immediately" } }
                @if at_start > 0 { li { (words::count(at_start, "app")) " of the server, at its next start: restart the container afterwards" } }
            }
            div.actions { button.danger type="submit" { "Release all" } a.button href=(Section::Apps.path()) { "Cancel" } }
        }
    }
}
