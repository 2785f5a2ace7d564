//! `/apps/…`: the console's own apps, made, changed, switched.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::Markup;

use super::{
    apps::is_named,
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    signals,
    view::{
        self,
        apps::{App, AppForm, Setting},
    },
    visit::{Visit, refuse},
};
use crate::{
    Failure,
    api::{create_instance, remove_instance, update_instance},
    entities::instances::{self, AppInstance, AppInstanceInput},
    failure::Answer,
    notify::{
        kinds::{self, AppKind, SettingType},
        signal::SignalExpression,
    },
};

const HERE: Section = Section::Apps;

/// The kinds, as they are called in paths.
const KINDS: [(&str, &AppKind); 2] = [("http", &kinds::HTTP), ("mail", &kinds::SMTP)];

pub(super) async fn all(visit: &Visit) -> Answer<Vec<AppInstance>> {
    Ok(visit.site.console.database.call(|connection| instances::list(connection)).await?)
}

async fn find(visit: &Visit, id: &str) -> Answer<AppInstance> {
    let id = id.to_owned();
    Ok(visit.site.console.database.call(move |connection| instances::find(connection, &id)).await?)
}

/// Apps as the list shows them. `quarantined` are the ids of those that are off until they are released.
pub(super) async fn shown(visit: &Visit, quarantined: &[String]) -> Answer<Vec<App>> {
    let signals = signals::all(&visit.site).await?;
    let title = |id: String| signals.iter().find(|signal| signal.id == id).map_or(id, |signal| signal.title.clone());
    let apps = all(visit).await?.into_iter().map(|app| App {
        kind: kinds::find(&app.app_id).map_or("app", |kind| kind.name),
        target: target(&app),
        signals: signals_of(app.streamed_signal_expression.as_ref()).into_iter().map(title).collect(),
        is_on: !app.is_disabled,
        is_quarantined: quarantined.iter().any(|off| is_named(off, &app.id)),
        id: app.id,
        title: app.title,
    });
    Ok(apps.collect())
}

fn target(app: &AppInstance) -> String {
    ["Url", "To"].into_iter().find_map(|name| app.settings.get(name)).cloned().unwrap_or_default()
}

/// The signals in an expression, whatever joins them.
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

/// The union of signals; none where there are none.
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

async fn form(visit: &Visit, kind: &AppKind, id: Option<&str>, filled: &Filled) -> Answer<Markup> {
    let signals: Vec<_> = signals::all(&visit.site).await?.into_iter().map(|one| (one.id, one.title)).collect();
    let settings: Vec<Setting> = kind.available_settings.iter().map(setting).collect();
    let path = KINDS.iter().find(|(_, known)| known.id == kind.id).map_or("http", |(path, _)| path);
    let form = AppForm {
        id,
        kind: kind.name,
        action: id.map_or_else(|| format!("/apps/new/{path}"), |id| format!("/apps/{id}")),
        settings: &settings,
        signals: &signals,
        csrf: visit.csrf(),
    };
    Ok(form.show(filled))
}

fn kind_of(path: &str) -> Answer<&'static AppKind> {
    let found = KINDS.into_iter().find(|(known, _)| *known == path);
    found.map(|(_, kind)| kind).ok_or_else(|| Failure::not_found("kind of app"))
}

pub(super) async fn new(visit: Visit, Path(kind): Path<String>) -> Answer<Response> {
    let kind = kind_of(&kind)?;
    let filled = Filled::with([("IsOn", "on".to_owned()), ("SuppressionMinutes", String::new())]);
    let body = form(&visit, kind, None, &filled).await?;
    visit.page(HERE, &format!("New {} app", kind.name), body).await
}

pub(super) async fn edit(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    let app = find(&visit, &id).await?;
    let Some(kind) = kinds::find(&app.app_id) else { return Err(Failure::not_found("kind of app")) };
    let body = form(&visit, kind, Some(&id), &filled_of(&app)).await?;
    visit.page(HERE, &app.title, body).await
}

fn filled_of(app: &AppInstance) -> Filled {
    let minutes = app.suppression_time.as_deref().and_then(minutes_of).map(|minutes| minutes.to_string());
    let mut filled = Filled::with([("Title", app.title.clone()), ("SuppressionMinutes", minutes.unwrap_or_default())]);
    let mut put = |name: String, value: &str| filled.values.insert(name, value.to_owned());
    for (name, value) in &app.settings {
        put(format!("Setting.{name}"), value);
    }
    for id in signals_of(app.streamed_signal_expression.as_ref()) {
        put(format!("Signal.{id}"), "on");
    }
    if !app.is_disabled {
        put("IsOn".to_owned(), "on");
    }
    filled
}

/// `0.00:05:00` in whole minutes.
fn minutes_of(span: &str) -> Option<i64> {
    crate::notify::suppression::parse(span).ok().flatten().map(|time| time.as_mins())
}

/// As Seq writes a span: `1.02:03:00`.
fn span_of(minutes: u64) -> String {
    format!("{}.{:02}:{:02}:00", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

fn input(kind: &AppKind, fields: &Fields, filled: &mut Filled) -> AppInstanceInput {
    let mut settings = BTreeMap::new();
    for known in kind.available_settings {
        let value = fields.text(&format!("Setting.{}", known.name)).trim().to_owned();
        // A secret that is left empty stays as it is.
        if !value.is_empty() || !known.is_sensitive {
            settings.insert(known.name.to_owned(), value);
        }
    }
    let minutes = match fields.text("SuppressionMinutes").trim() {
        "" => Some(0),
        text => text.parse::<u64>().ok().filter(|minutes| *minutes <= 43_200),
    };
    if minutes.is_none() {
        filled.refuse("SuppressionMinutes", "Say a number of minutes, at most 43200 (thirty days).");
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

/// Words of an error, and the field that it stands beside.
fn refuse_in(kind: &AppKind, filled: &mut Filled, failure: Failure) -> Answer<()> {
    let names: Vec<String> = kind.available_settings.iter().map(|known| format!("Setting.{}", known.name)).collect();
    let mut fields: Vec<(&str, &str)> = vec![("Title", "Title"), ("span of time", "SuppressionMinutes")];
    fields.extend(kind.available_settings.iter().zip(&names).map(|(known, name)| (known.name, name.as_str())));
    refuse(filled, failure, &fields)
}

pub(super) async fn create(visit: Visit, Path(kind): Path<String>, fields: Fields) -> Answer<Response> {
    let kind = kind_of(&kind)?;
    let mut filled = fields.all();
    let input = input(kind, &fields, &mut filled);
    if filled.errors.is_empty() {
        match create_instance(&visit.site, &visit.who, input).await {
            Ok(app) => return Ok(Flash::done(format!("App “{}” was created.", app.title)).on_to(HERE.path())),
            Err(failure) => refuse_in(kind, &mut filled, failure)?,
        }
    }
    let body = form(&visit, kind, None, &filled).await?;
    visit.again(HERE, &format!("New {} app", kind.name), body).await
}

pub(super) async fn update(visit: Visit, Path(id): Path<String>, fields: Fields) -> Answer<Response> {
    let app = find(&visit, &id).await?;
    let Some(kind) = kinds::find(&app.app_id) else { return Err(Failure::not_found("kind of app")) };
    let mut filled = fields.all();
    let input = input(kind, &fields, &mut filled);
    if filled.errors.is_empty() {
        match update_instance(&visit.site, &visit.who, id.clone(), input).await {
            Ok(app) => return Ok(Flash::done(format!("App “{}” was changed.", app.title)).on_to(HERE.path())),
            Err(failure) => refuse_in(kind, &mut filled, failure)?,
        }
    }
    let body = form(&visit, kind, Some(&id), &filled).await?;
    visit.again(HERE, &app.title, body).await
}

pub(super) async fn switch_on(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    switch(visit, id, true).await
}

pub(super) async fn switch_off(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    switch(visit, id, false).await
}

async fn switch(visit: Visit, id: String, is_on: bool) -> Answer<Response> {
    let input = AppInstanceInput { is_disabled: Some(!is_on), ..AppInstanceInput::default() };
    match update_instance(&visit.site, &visit.who, id, input).await {
        Ok(app) => {
            let words = format!("App “{}” is {} now.", app.title, if is_on { "on" } else { "off" });
            Ok(Flash::done(words).on_to(HERE.path()))
        }
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

pub(super) async fn ask_to_remove(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    let app = find(&visit, &id).await?;
    let action = format!("/apps/{}/remove", app.id);
    let body = view::remove::page(HERE, "the app", &app.title, "It sends nothing any more.", &action, visit.csrf());
    visit.page(HERE, "Remove the app", body).await
}

pub(super) async fn remove(visit: Visit, Path(id): Path<String>) -> Answer<Response> {
    match remove_instance(&visit.site, &visit.who, id).await {
        Ok(()) => Ok(Flash::done("The app was removed.").on_to(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_of_silence_come_back_as_they_were_entered() {
        for minutes in [1, 59, 60, 1439, 1440, 43_200] {
            assert_eq!(minutes_of(&span_of(minutes)), i64::try_from(minutes).ok());
        }
        assert_eq!(minutes_of(&span_of(0)), None);
    }

    #[test]
    fn signals_survive_being_joined() {
        let ids = ["signal-1", "signal-2", "signal-3"].map(str::to_owned);
        assert_eq!(signals_of(union_of(ids.clone().into_iter()).as_ref()), ids);
        assert!(union_of(std::iter::empty()).is_none());
    }
}
