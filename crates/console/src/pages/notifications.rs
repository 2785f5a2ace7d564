//! The notifications of `/apps`: lists, creates, changes, switches and removes them.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::{Markup, html};

use super::{
    editing::{Editable, Removable},
    form::{self, Field, Fields, Filled},
    layout::{Section, Tone, pill},
    table::Row,
    visit::Visit,
    words,
};
use crate::{
    Failure,
    api::resource::{all, change},
    entities::{
        instances::{AppInstance, AppInstanceInput},
        signals::Signal,
    },
    failure::HttpResult,
    notify::{
        kinds::{self, AppKind, AvailableSetting, SettingType},
        signal::SignalExpression,
        suppression,
    },
};

const HERE: Section = Section::Apps;

/// The kinds by their name in paths, with the title of the form for a new notification.
const KINDS: [(&str, &AppKind, &str); 2] =
    [("http", &kinds::HTTP, "New webhook"), ("mail", &kinds::SMTP, "New e-mail notification")];

/// The row of a notification in the list. A notification without signals sends every event.
pub(super) fn row(notification: &AppInstance, signals: &[Signal], is_quarantined: bool) -> Row {
    let AppInstance { title, is_disabled, .. } = notification;
    let path = format!("/apps/{}", notification.id);
    let title_of = |id| signals.iter().find(|signal| signal.id == id).map_or(id, |signal| signal.title.as_str());
    let expression = notification.streamed_signal_expression.iter();
    let signals: Vec<&str> = expression.flat_map(SignalExpression::signals).map(title_of).collect();
    let target = ["Url", "To"].into_iter().find_map(|name| notification.settings.get(name));
    let kind = kinds::find(&notification.app_id).map_or("unknown kind", |kind| kind.name);
    Row::new(html! { a href=(path) { (title) } small { (kind) } })
        .cell("Sends to", html! { code { (target.map_or("", String::as_str)) } })
        .cell("Signals", html! { @if signals.is_empty() { "every event" } @else { (signals.join(", ")) } })
        .cell(
            "State",
            html! {
                @if is_quarantined { (pill(Tone::Warn, "in quarantine")) }
                @else if *is_disabled { (pill(Tone::Plain, "off")) } @else { (pill(Tone::Good, "on")) }
            },
        )
        .actions(html! {
            @if !is_quarantined {
                @let (action, words) = if *is_disabled { ("on", "Switch on") } else { ("off", "Switch off") };
                form method="post" action={ (path) "/" (action) } {
                    button.small type="submit" aria-label={ (words) " " (title) } { (words) }
                }
            }
            a.button.small href=(path) aria-label={ "Edit " (title) } { "Edit" }
        })
}

/// The union of the signals, or `None` without signals.
fn union_of(ids: impl Iterator<Item = String>) -> Option<SignalExpression> {
    ids.map(|signal_id| SignalExpression::Signal { signal_id })
        .reduce(|left, right| SignalExpression::Union { left: Box::new(left), right: Box::new(right) })
}

impl Removable for AppInstance {
    const HERE: Section = HERE;
    const NOUN: &'static str = "notification";
    const CONSEQUENCE: &'static str = "It stops sending events.";
}

impl Editable for AppInstance {
    type Kind = &'static AppKind;

    fn kind(&self) -> HttpResult<&'static AppKind> {
        kinds::find(&self.app_id).ok_or_else(|| Failure::not_found("kind of notification"))
    }

    fn kind_in(segment: &str) -> HttpResult<&'static AppKind> {
        let found = KINDS.into_iter().find(|(known, ..)| *known == segment);
        found.map(|(_, kind, _)| kind).ok_or_else(|| Failure::not_found("kind of notification"))
    }

    fn new_title(kind: &AppKind) -> &'static str {
        KINDS.into_iter().find(|(_, known, _)| known.id == kind.id).map_or("", |(.., title)| title)
    }

    fn named(&self) -> String {
        format!("Notification “{}”", self.title)
    }

    fn new_values() -> Filled {
        Filled::with([("IsOn", "on".to_owned())])
    }

    fn values(&self) -> Filled {
        let minutes = self.suppression_time.as_deref().and_then(minutes_of).map(|minutes| minutes.to_string());
        let mut filled =
            Filled::with([("Title", self.title.clone()), ("SuppressionMinutes", minutes.unwrap_or_default())]);
        filled.values.extend(self.settings.iter().map(|(name, value)| (format!("Setting.{name}"), value.clone())));
        for id in self.streamed_signal_expression.iter().flat_map(SignalExpression::signals) {
            filled.tick(&format!("Signal.{id}"), true);
        }
        filled.tick("IsOn", !self.is_disabled);
        filled
    }

    fn input(
        _: &Visit,
        kind: &'static AppKind,
        _: Option<&Self>,
        fields: &Fields,
        filled: &mut Filled,
    ) -> AppInstanceInput {
        let mut settings = BTreeMap::new();
        for known in kind.available_settings {
            let value = fields.text(&format!("Setting.{}", known.name)).trim().to_owned();
            // An empty field of a secret keeps the stored value.
            if !value.is_empty() || !known.is_sensitive {
                settings.insert(known.name.to_owned(), value);
            }
        }
        let minutes = match fields.text("SuppressionMinutes").trim() {
            "" => Some(0),
            text => text.parse::<u64>().ok().filter(|minutes| *minutes <= 43_200),
        };
        if minutes.is_none() {
            filled.refuse("SuppressionMinutes", "Enter a number of minutes, at most 43200 (30 days).");
        }
        AppInstanceInput {
            app_id: Some(kind.id.to_owned()),
            title: Some(fields.text("Title").to_owned()),
            settings: Some(settings),
            accept_streamed_events: Some(true),
            streamed_signal_expression: Some(union_of(fields.below("Signal.").map(|(id, _)| id.to_owned()))),
            suppression_time: minutes.map(span_of),
            is_disabled: Some(!fields.has("IsOn")),
            ..AppInstanceInput::default()
        }
    }

    async fn controls(visit: &Visit, kind: &'static AppKind, is_new: bool, filled: &Filled) -> HttpResult<Markup> {
        let signals: Vec<Signal> = all(&visit.site, &visit.who).await?;
        Ok(html! {
            (Field::text("Title", "Title").required().show(filled))
            @for known in kind.available_settings { (setting(known, is_new, filled)) }
            fieldset {
                legend { "Events to send" }
                @for signal in &signals { (form::tick(&format!("Signal.{}", signal.id), &signal.title, "", filled)) }
                p.hint { "Sends the events that match at least one selected signal. If you select no signal, it sends every event." }
            }
            (Field::text("SuppressionMinutes", "Rate limit in minutes").kind("number")
                .hint("Sends at most one message in this time. Empty: no limit.").show(filled))
            (form::tick("IsOn", "Enabled", "", filled))
        })
    }

    fn control(field: &'static str) -> String {
        match field {
            "Title" => "Title".to_owned(),
            "SuppressionTime" => "SuppressionMinutes".to_owned(),
            setting => format!("Setting.{setting}"),
        }
    }
}

fn setting(known: &AvailableSetting, is_new: bool, filled: &Filled) -> Markup {
    let (name, hint) = (format!("Setting.{}", known.name), words::sentence(known.help_text));
    if !known.allowed_values.is_empty() {
        return form::select(&name, known.display_name, &hint, known.allowed_values, filled);
    }
    let keeps = if known.is_sensitive && !is_new { " Leave empty to keep the current value." } else { "" };
    let hint = format!("{hint}{keeps}");
    let mut field = match known.is_sensitive {
        true => Field::password(&name, known.display_name, "off"),
        false => Field::text(&name, known.display_name),
    };
    if !known.is_sensitive && !known.is_optional {
        field = field.required();
    }
    if matches!(known.kind, SettingType::LongText) {
        field = field.lines(4);
    }
    field.hint(&hint).show(filled)
}

/// Parses a time span such as `0.00:05:00` into whole minutes.
fn minutes_of(span: &str) -> Option<i64> {
    suppression::parse(span).ok().flatten().map(|time| time.as_mins())
}

/// Seq's format of a time span: `1.02:03:00`.
fn span_of(minutes: u64) -> String {
    format!("{}.{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

pub(super) async fn switch_on(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    switch(visit, id, true).await
}

pub(super) async fn switch_off(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    switch(visit, id, false).await
}

async fn switch(visit: Visit, id: String, is_on: bool) -> HttpResult<Response> {
    let input = AppInstanceInput { is_disabled: Some(!is_on), ..AppInstanceInput::default() };
    let changed = change::<AppInstance>(&visit.site, &visit.who, id, input).await;
    let words = if is_on { "on" } else { "off" };
    Ok(visit.done(changed, HERE.path(), |notification| format!("{} is now {words}.", notification.named())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_survive_the_conversion_to_a_time_span() {
        for minutes in [1, 59, 60, 1439, 1440, 43_200] {
            assert_eq!(minutes_of(&span_of(minutes)), i64::try_from(minutes).ok());
        }
        assert_eq!(minutes_of(&span_of(0)), None);
    }

    #[test]
    fn signals_survive_the_conversion_to_a_union() {
        let ids = ["signal-1", "signal-2", "signal-3"].map(str::to_owned);
        assert_eq!(union_of(ids.clone().into_iter()).as_ref().map(SignalExpression::signals).unwrap_or_default(), ids);
        assert!(union_of(std::iter::empty()).is_none());
    }
}
