//! Apps: those that quarantine switched off, and the console's own.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout::{self, Section, Tone, pill},
    table::{Row, cell, list},
    words,
};

/// An app that is off until it is released.
#[derive(Debug, Clone)]
pub struct Quarantined {
    pub id: String,
    /// What a person calls it, where that is known.
    pub title: Option<String>,
    pub detail: String,
    /// Whether the console releases it by itself; the others are the server's, at its next start.
    pub at_once: bool,
    /// Whether somebody has released it, and the next start will.
    pub is_requested: bool,
}

/// What is off.
#[derive(Debug, Clone)]
pub struct Quarantine {
    pub since: Timestamp,
    pub apps: Vec<Quarantined>,
}

/// An app of the console's.
#[derive(Debug, Clone)]
pub struct App {
    pub id: String,
    pub title: String,
    pub kind: &'static str,
    pub target: String,
    /// The signals that it is subscribed to, by title; none: every event.
    pub signals: Vec<String>,
    pub is_on: bool,
    pub is_quarantined: bool,
}

/// The page.
pub fn page(quarantine: Option<&Quarantine>, apps: &[App], csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = apps.iter().map(|app| row(app, csrf)).collect();
    html! {
        (layout::head("Apps", "An app is anything that acts on the outside. Those of this console tell somebody what happened: by an HTTP request, or by mail.", &html! {
            a.button.primary href="/apps/new/http" { "New HTTP app" }
            a.button href="/apps/new/mail" { "New mail app" }
        }))
        @if let Some(quarantine) = quarantine { (quarantined(quarantine, csrf, now)) }
        (list("Apps of this console", &["App", "Sends to", "Signals", "State", "~What to do"], &rows, html! {
            p { strong { "There is no app yet." } }
            p { "With one, somebody hears of a backup that failed before it is needed." }
        }))
    }
}

fn quarantined(quarantine: &Quarantine, csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = quarantine.apps.iter().map(|app| released_by(app, csrf)).collect();
    let at_start = quarantine.apps.iter().any(|app| !app.at_once);
    let at_once = quarantine.apps.iter().any(|app| app.at_once);
    html! {
        section.card.flush aria-labelledby="quarantine" {
            div.pad.stack {
                div.head {
                    h2 #quarantine { "Quarantine: apps that are off" }
                    a.button href="/apps/release" { "Release all…" }
                }
                p { "This is a restored copy. Since " (words::time(quarantine.since)) " (" (words::age(quarantine.since, now)) ") these apps are off, so that it does nothing that the original does already. Release puts back on exactly what was on." }
                @if at_once { p { "Apps of this console are released " strong { "at once" } "." } }
                @if at_start { p { "Apps of the server are released " strong { "at its next start" } ": restart the container after you have released them." } }
            }
            @if rows.is_empty() { div.empty { p { "No app is left in it." } } }
            @else { (super::super::table::table("Apps in quarantine", &["App", "Released", "~What to do"], &rows)) }
        }
    }
}

fn released_by(app: &Quarantined, csrf: &str) -> Row {
    let name = app.title.as_deref().unwrap_or(&app.id);
    Row {
        head: html! { (name) small { (app.detail) } },
        cells: vec![
            cell(
                "Released",
                html! {
                    @if app.is_requested { (pill(Tone::Warn, "at the next start")) }
                    @else if app.at_once { "at once" } @else { "at the server’s next start" }
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

fn row(app: &App, csrf: &str) -> Row {
    let path = format!("/apps/{}", app.id);
    Row {
        head: html! { a href=(path) { (app.title) } small { (app.kind) } },
        cells: vec![
            cell("Sends to", html! { code { (app.target) } }),
            cell("Signals", html! { @if app.signals.is_empty() { "every event" } @else { (app.signals.join(", ")) } }),
            cell(
                "State",
                html! {
                    @if app.is_quarantined { (pill(Tone::Warn, "in quarantine")) }
                    @else if app.is_on { (pill(Tone::Good, "on")) } @else { (pill(Tone::Plain, "off")) }
                },
            ),
            cell(
                "",
                html! { div.actions {
                    @if !app.is_quarantined {
                        @let (action, word) = if app.is_on { ("off", "Switch off") } else { ("on", "Switch on") };
                        form method="post" action={ (path) "/" (action) } { (form::csrf(csrf))
                            button.small type="submit" aria-label={ (word) " " (app.title) } { (word) } }
                    }
                    a.button.small href=(path) aria-label={ "Edit " (app.title) } { "Edit" }
                } },
            ),
        ],
    }
}

/// Asks before everything is released.
pub fn release_all(quarantine: &Quarantine, csrf: &str) -> Markup {
    let at_start = quarantine.apps.iter().filter(|app| !app.at_once).count() as u64;
    let at_once = quarantine.apps.len() as u64 - at_start;
    html! {
        div { (layout::back_to(Section::Apps)) (layout::head("Release all apps", "", &html! {})) }
        form.card.stack method="post" action="/apps/release" {
            (form::csrf(csrf))
            input type="hidden" name="All" value="on";
            p { "They act on the outside again: alerts are sent, webhooks called, jobs run. Make sure that the original does not do the same at the same time." }
            ul {
                @if at_once > 0 { li { (words::count(at_once, "app")) " of this console, at once" } }
                @if at_start > 0 { li { (words::count(at_start, "app")) " of the server, at its next start: restart the container afterwards" } }
            }
            div.actions { button.danger type="submit" { "Release all" } a.button href=(Section::Apps.path()) { "Cancel" } }
        }
    }
}

/// One setting of a kind of app.
#[derive(Debug, Clone)]
pub struct Setting {
    pub name: String,
    pub label: String,
    pub hint: String,
    pub is_optional: bool,
    pub is_secret: bool,
    pub is_long: bool,
    /// Value and words of each.
    pub choices: Vec<(String, String)>,
}

/// The form of one app; a new one has no id.
#[derive(Debug)]
pub struct AppForm<'a> {
    pub id: Option<&'a str>,
    pub kind: &'a str,
    pub action: String,
    pub settings: &'a [Setting],
    /// Id and title of each signal.
    pub signals: &'a [(String, String)],
    pub csrf: &'a str,
}

impl AppForm<'_> {
    /// The page's content.
    pub fn show(&self, filled: &Filled) -> Markup {
        let title = if self.id.is_some() { filled.value("Title").to_owned() } else { format!("New {} app", self.kind) };
        html! {
            div { (layout::back_to(Section::Apps)) (layout::head(&title, "", &html! {})) }
            form.card.stack method="post" action=(self.action) {
                (form::trouble(filled))
                (form::csrf(self.csrf))
                (Field::text("Title", "Title").required().show(filled))
                @for setting in self.settings { (self.setting(setting, filled)) }
                (self.subscription(filled))
                (Field::text("SuppressionMinutes", "Minutes of silence after it has sent").kind("number")
                    .hint("So that one fault is not a hundred messages. Empty: each event is sent.").show(filled))
                (form::tick("IsOn", "This app is on", "", filled))
                div.actions {
                    button.primary type="submit" { "Save" }
                    a.button href=(Section::Apps.path()) { "Cancel" }
                    @if let Some(id) = self.id { a.button href={ "/apps/" (id) "/remove" } { "Remove…" } }
                }
            }
        }
    }

    fn setting(&self, setting: &Setting, filled: &Filled) -> Markup {
        let name = format!("Setting.{}", setting.name);
        if !setting.choices.is_empty() {
            return form::select(&name, &setting.label, &setting.hint, &setting.choices, filled);
        }
        let hint = match (setting.is_secret, self.id) {
            (true, Some(_)) => format!("{} Empty: it stays as it is.", setting.hint),
            _ => setting.hint.clone(),
        };
        let mut field = Field::text(&name, &setting.label).hint(hint.trim());
        if setting.is_secret {
            field = Field::password(&name, &setting.label, "off").hint(hint.trim());
        } else if !setting.is_optional {
            field = field.required();
        }
        if setting.is_long {
            field = field.lines(4);
        }
        field.show(filled)
    }

    fn subscription(&self, filled: &Filled) -> Markup {
        html! {
            fieldset {
                legend { "Signals that it is subscribed to" }
                @for (id, title) in self.signals { (form::tick(&format!("Signal.{id}"), title, "", filled)) }
                p.hint { "An event that one of them takes is sent. None ticked: every event is." }
            }
        }
    }
}
