//! `/apps/…`: creates, changes, switches and removes notifications.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::Markup;

use super::{
    apps::is_same,
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    signals,
    view::{
        self,
        notifications::{Notification, NotificationForm, Setting},
    },
    visit::{Visit, refuse},
};
use crate::{
    Failure,
    api::{create_instance, remove_instance, update_instance},
    entities::instances::{self, AppInstance, AppInstanceInput},
    failure::HttpResult,
    notify::{
        kinds::{self, AppKind, SettingType},
        signal::SignalExpression,
    },
};

const HERE: Section = Section::Apps;

/// The kinds by their name in paths, with the title of the form for a new notification.
const KINDS: [(&str, &AppKind, &str); 2] =
    [("http", &kinds::HTTP, "New webhook"), ("mail", &kinds::SMTP, "New e-mail notification")];

pub(super) async fn all(visit: &Visit) -> HttpResult<Vec<AppInstance>> {
    Ok(visit.site.console.database.call(|connection| instances::list(connection)).await?)
}

async fn find(visit: &Visit, id: &str) -> HttpResult<AppInstance> {
    let id = id.to_owned();
    Ok(visit.site.console.database.call(move |connection| instances::find(connection, &id)).await?)
}

/// Notifications for the list. `quarantined` are the ids of all apps in quarantine.
pub(super) async fn shown(visit: &Visit, quarantined: &[String]) -> HttpResult<Vec<Notification>> {
    let signals = signals::all(&visit.site).await?;
    let title = |id: String| signals.iter().find(|signal| signal.id == id).map_or(id, |signal| signal.title.clone());
    let shown = all(visit).await?.into_iter().map(|one| Notification {
        kind: kinds::find(&one.app_id).map_or("unknown kind", |kind| kind.name),
        target: target(&one),
        signals: signals_of(one.streamed_signal_expression.as_ref()).into_iter().map(title).collect(),
        is_on: !one.is_disabled,
        is_quarantined: quarantined.iter().any(|off| is_same(off, &one.id)),
        id: one.id,
        title: one.title,
    });
    Ok(shown.collect())
}

fn target(notification: &AppInstance) -> String {
    ["Url", "To"].into_iter().find_map(|name| notification.settings.get(name)).cloned().unwrap_or_default()
}

/// The ids of all signals in an expression.
fn signals_of(expression: Option<&SignalExpression>) -> Vec<String> {
    match expression {
        None => Vec::new(),
        Some(SignalExpression::Signal { signal_id }) => vec![signal_id.clone()],
        Some(SignalExpression::Intersection { left, right } | SignalExpression::Union { left, right }) => {
            let mut both = signals_of(Some(left));
            both.extend(signals_of(Some(right)));
            both
        }
    }
}

/// The union of the signals, or `None` without signals.
fn union_of(ids: impl Iterator<Item = String>) -> Option<SignalExpression> {
    ids.map(|signal_id| SignalExpression::Signal { signal_id })
        .reduce(|left, right| SignalExpression::Union { left: Box::new(left), right: Box::new(right) })
}

fn setting(known: &kinds::AvailableSetting) -> Setting {
    Setting {
        name: known.name.to_owned(),
        label: known.display_name.to_owned(),
        hint: super::words::sentence(known.help_text),
        is_optional: known.is_optional,
        is_secret: known.is_sensitive,
        is_long: matches!(known.kind, SettingType::LongText),
        choices: known.allowed_values.iter().map(|one| (one.value.to_owned(), one.description.to_owned())).collect(),
    }
}

async fn form(visit: &Visit, kind: &AppKind, id: Option<&str>, filled: &Filled) -> HttpResult<Markup> {
    let signals: Vec<_> = signals::all(&visit.site).await?.into_iter().map(|one| (one.id, one.title)).collect();
    let settings: Vec<Setting> = kind.available_settings.iter().map(setting).collect();
    let (path, _, title) = KINDS.iter().find(|(_, known, _)| known.id == kind.id).unwrap_or(&KINDS[0]);
    let form = NotificationForm {
        id,
        title,
        action: id.map_or_else(|| format!("/apps/new/{path}"), |id| format!("/apps/{id}")),
        settings: &settings,
        signals: &signals,
        csrf: visit.csrf(),
    };
    Ok(form.show(filled))
}

/// The kind and the title of the form.
fn kind_of(path: &str) -> HttpResult<(&'static AppKind, &'static str)> {
    let found = KINDS.into_iter().find(|(known, ..)| *known == path);
    found.map(|(_, kind, title)| (kind, title)).ok_or_else(|| Failure::not_found("kind of notification"))
}

pub(super) async fn new(visit: Visit, Path(kind): Path<String>) -> HttpResult<Response> {
    let (kind, title) = kind_of(&kind)?;
    let filled = Filled::with([("IsOn", "on".to_owned()), ("SuppressionMinutes", String::new())]);
    let body = form(&visit, kind, None, &filled).await?;
    visit.page(HERE, title, body).await
}

pub(super) async fn edit(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let notification = find(&visit, &id).await?;
    let Some(kind) = kinds::find(&notification.app_id) else { return Err(Failure::not_found("kind of notification")) };
    let body = form(&visit, kind, Some(&id), &filled_of(&notification)).await?;
    visit.page(HERE, &notification.title, body).await
}

fn filled_of(notification: &AppInstance) -> Filled {
    let minutes = notification.suppression_time.as_deref().and_then(minutes_of).map(|minutes| minutes.to_string());
    let mut filled =
        Filled::with([("Title", notification.title.clone()), ("SuppressionMinutes", minutes.unwrap_or_default())]);
    let mut put = |name: String, value: &str| filled.values.insert(name, value.to_owned());
    for (name, value) in &notification.settings {
        put(format!("Setting.{name}"), value);
    }
    for id in signals_of(notification.streamed_signal_expression.as_ref()) {
        put(format!("Signal.{id}"), "on");
    }
    if !notification.is_disabled {
        put("IsOn".to_owned(), "on");
    }
    filled
}

/// Parses a time span such as `0.00:05:00` into whole minutes.
fn minutes_of(span: &str) -> Option<i64> {
    crate::notify::suppression::parse(span).ok().flatten().map(|time| time.as_mins())
}

/// Seq's format of a time span: `1.02:03:00`.
fn span_of(minutes: u64) -> String {
    format!("{}.{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

fn input(kind: &AppKind, fields: &Fields, filled: &mut Filled) -> AppInstanceInput {
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

/// Shows the failure beside the setting that its message names.
fn refuse_in(kind: &AppKind, filled: &mut Filled, failure: Failure) -> HttpResult<()> {
    let names: Vec<String> = kind.available_settings.iter().map(|known| format!("Setting.{}", known.name)).collect();
    let mut fields: Vec<(&str, &str)> = vec![("Title", "Title"), ("time span", "SuppressionMinutes")];
    fields.extend(kind.available_settings.iter().zip(&names).map(|(known, name)| (known.name, name.as_str())));
    refuse(filled, failure, &fields)
}

pub(super) async fn create(visit: Visit, Path(kind): Path<String>, fields: Fields) -> HttpResult<Response> {
    let (kind, title) = kind_of(&kind)?;
    let mut filled = fields.all();
    let input = input(kind, &fields, &mut filled);
    if filled.errors.is_empty() {
        match create_instance(&visit.site, &visit.who, input).await {
            Ok(notification) => {
                return Ok(
                    Flash::done(format!("Notification “{}” was created.", notification.title)).redirect(HERE.path())
                );
            }
            Err(failure) => refuse_in(kind, &mut filled, failure)?,
        }
    }
    let body = form(&visit, kind, None, &filled).await?;
    visit.again(HERE, title, body).await
}

pub(super) async fn update(visit: Visit, Path(id): Path<String>, fields: Fields) -> HttpResult<Response> {
    let notification = find(&visit, &id).await?;
    let Some(kind) = kinds::find(&notification.app_id) else { return Err(Failure::not_found("kind of notification")) };
    let mut filled = fields.all();
    let input = input(kind, &fields, &mut filled);
    if filled.errors.is_empty() {
        match update_instance(&visit.site, &visit.who, id.clone(), input).await {
            Ok(notification) => {
                return Ok(
                    Flash::done(format!("Notification “{}” was changed.", notification.title)).redirect(HERE.path())
                );
            }
            Err(failure) => refuse_in(kind, &mut filled, failure)?,
        }
    }
    let body = form(&visit, kind, Some(&id), &filled).await?;
    visit.again(HERE, &notification.title, body).await
}

pub(super) async fn switch_on(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    switch(visit, id, true).await
}

pub(super) async fn switch_off(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    switch(visit, id, false).await
}

async fn switch(visit: Visit, id: String, is_on: bool) -> HttpResult<Response> {
    let input = AppInstanceInput { is_disabled: Some(!is_on), ..AppInstanceInput::default() };
    match update_instance(&visit.site, &visit.who, id, input).await {
        Ok(notification) => {
            let words = format!("Notification “{}” is now {}.", notification.title, if is_on { "on" } else { "off" });
            Ok(Flash::done(words).redirect(HERE.path()))
        }
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

pub(super) async fn ask_to_remove(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    let notification = find(&visit, &id).await?;
    let action = format!("/apps/{}/remove", notification.id);
    let consequence = "It stops sending events.";
    let body = view::remove::page(HERE, "the notification", &notification.title, consequence, &action, visit.csrf());
    visit.page(HERE, "Remove the notification", body).await
}

pub(super) async fn remove(visit: Visit, Path(id): Path<String>) -> HttpResult<Response> {
    match remove_instance(&visit.site, &visit.who, id).await {
        Ok(()) => Ok(Flash::done("The notification was removed.").redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
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
        assert_eq!(signals_of(union_of(ids.clone().into_iter()).as_ref()), ids);
        assert!(union_of(std::iter::empty()).is_none());
    }
}
