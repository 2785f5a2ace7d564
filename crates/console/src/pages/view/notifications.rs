//! A notification in the list of `/apps`, and its form.

use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout::{self, Section, Tone, pill},
    table::{Row, cell},
};

#[derive(Debug, Clone)]
pub struct Notification {
    pub id: String,
    pub title: String,
    pub kind: &'static str,
    pub target: String,
    /// Titles of the signals that it subscribes to. If empty, it sends every event.
    pub signals: Vec<String>,
    pub is_on: bool,
    pub is_quarantined: bool,
}

pub fn row(notification: &Notification, csrf: &str) -> Row {
    let Notification { title, kind, target, signals, is_on, is_quarantined, .. } = notification;
    let path = format!("/apps/{}", notification.id);
    Row {
        head: html! { a href=(path) { (title) } small { (kind) } },
        cells: vec![
            cell("Sends to", html! { code { (target) } }),
            cell("Signals", html! { @if signals.is_empty() { "every event" } @else { (signals.join(", ")) } }),
            cell(
                "State",
                html! {
                    @if *is_quarantined { (pill(Tone::Warn, "in quarantine")) }
                    @else if *is_on { (pill(Tone::Good, "on")) } @else { (pill(Tone::Plain, "off")) }
                },
            ),
            cell(
                "",
                html! { div.actions {
                    @if !is_quarantined {
                        @let (action, words) = if *is_on { ("off", "Switch off") } else { ("on", "Switch on") };
                        form method="post" action={ (path) "/" (action) } { (form::csrf(csrf))
                            button.small type="submit" aria-label={ (words) " " (title) } { (words) } }
                    }
                    a.button.small href=(path) aria-label={ "Edit " (title) } { "Edit" }
                } },
            ),
        ],
    }
}

/// One setting of a kind of notification.
#[derive(Debug, Clone)]
pub struct Setting {
    pub name: String,
    pub label: String,
    pub hint: String,
    pub is_optional: bool,
    pub is_secret: bool,
    pub is_long: bool,
    /// Value and label of each choice.
    pub choices: Vec<(String, String)>,
}

/// The form of one notification.
#[derive(Debug)]
pub struct NotificationForm<'a> {
    /// `None` for a new notification.
    pub id: Option<&'a str>,
    pub title: &'a str,
    pub action: String,
    pub settings: &'a [Setting],
    /// Id and title of each signal.
    pub signals: &'a [(String, String)],
    pub csrf: &'a str,
}

impl NotificationForm<'_> {
    pub fn show(&self, filled: &Filled) -> Markup {
        let title = if self.id.is_some() { filled.value("Title") } else { self.title };
        html! {
            div { (layout::back_to(Section::Apps)) (layout::head(title, "", &html! {})) }
            form.card.stack method="post" action=(self.action) {
                (form::trouble(filled))
                (form::csrf(self.csrf))
                (Field::text("Title", "Title").required().show(filled))
                @for setting in self.settings { (self.setting(setting, filled)) }
                (self.subscription(filled))
                (Field::text("SuppressionMinutes", "Rate limit in minutes").kind("number")
                    .hint("Sends at most one message in this time. Empty: no limit.").show(filled))
                (form::tick("IsOn", "Enabled", "", filled))
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
            (true, Some(_)) => format!("{} Leave empty to keep the current value.", setting.hint),
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
                legend { "Events to send" }
                @for (id, title) in self.signals { (form::tick(&format!("Signal.{id}"), title, "", filled)) }
                p.hint { "Sends the events that match at least one selected signal. If you select no signal, it sends every event." }
            }
        }
    }
}
