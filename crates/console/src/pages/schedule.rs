//! `/schedule`: the next and the last backup, the calendar, and the settings.

use std::collections::BTreeMap;

use axum::response::Response;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use maud::{Markup, html};
use serde_json::Value;

use super::{
    calendar::{Day, calendar},
    flash::Flash,
    form::{self, Field, Fields, Filled},
    layout::{self, Section},
    visit::{Visit, refuse},
    words,
};
use crate::{
    api::set_setting,
    backups,
    calendar::{self as outcomes, Outcome},
    entities::settings::{self, Fixed, VARIABLES},
    failure::HttpResult,
    health,
};

const HERE: Section = Section::Schedule;
const NAMES: [&str; 4] = ["BackupUtcTimeOfDay", "BackupsToKeep", "BackupLocation", "InstanceTitle"];

pub(super) async fn show(visit: Visit) -> HttpResult<Response> {
    let fixed = visit.site.console.fixed.clone();
    let all = visit.site.console.database.call(move |connection| settings::list(connection, &fixed)).await?;
    let mut filled = Filled::default();
    for setting in all.iter().filter(|setting| NAMES.contains(&setting.name.as_str())) {
        filled.values.insert(setting.name.clone(), text_of(&setting.name, &setting.value));
    }
    let body = content(&visit, &filled).await?;
    visit.page(HERE, HERE.title(), body).await
}

/// The text of a field. A setting without a value shows its default.
fn text_of(name: &str, value: &Value) -> String {
    match (value, name) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, "BackupUtcTimeOfDay") => "03:00".to_owned(),
        (Value::Null, "BackupsToKeep") => "7".to_owned(),
        (Value::Null, _) => String::new(),
        (other, _) => other.to_string(),
    }
}

async fn content(visit: &Visit, filled: &Filled) -> HttpResult<Markup> {
    let health = health::check(&visit.site.console).await?;
    let days = outcomes::of(&visit.site.console).await?;
    // The page must work while the backup folder cannot be read, because the folder is configured here.
    let (found, _) = backups::list(&visit.site).await.unwrap_or_default();
    let faulty = found.into_iter().map(|found| found.backup);
    let faulty = faulty.filter(|backup| backup.is_own_instance && backup.is_sound == Some(false));
    let faulty: Vec<Date> = faulty.map(|backup| day_of(backup.created_at)).collect();
    Ok(html! {
        (layout::head("Schedule and settings", "", &form::button("/backups/now", "", html! { "Back up now" })))
        dl.figures {
            div { dt { "Next run" } dd { (words::age_and_time(health.next_run, visit.now)) } }
            div { dt { "Last result" } dd { @match &health.last_result {
                Some(last) => {
                    @if last.error.is_some() { "failed " } @else { "complete " } (words::age(last.at, visit.now))
                    small { (words::time(last.at)) @if let Some(error) = &last.error { ": " (error) } }
                },
                None => "none yet",
            } } }
        }
        section.card aria-label="Calendar" { (calendar_of(&days, &faulty, health.next_run, visit.now)) }
        (form(&visit.site.console.fixed, filled))
    })
}

fn form(fixed: &Fixed, filled: &Filled) -> Markup {
    let field = |name: &'static str, label, hint| {
        let variable = VARIABLES.into_iter().find(|(known, _)| *known == name && fixed.contains_key(name));
        let why = variable
            .map(|(_, variable)| format!("Set by {variable} in the environment, so it cannot be changed here."));
        (Field::text(name, label).hint(hint), why)
    };
    let (at, at_fixed) = field(
        "BackupUtcTimeOfDay",
        "Time of day (UTC)",
        "Hours and minutes, such as 03:00. A missed backup is taken as soon as possible.",
    );
    let (keep, keep_fixed) = field(
        "BackupsToKeep",
        "Scheduled backups to keep",
        "At least one. The oldest are removed after a newer backup is verified. Immediate backups are never removed automatically.",
    );
    let (location, location_fixed) = field(
        "BackupLocation",
        "Backup folder",
        "Absolute path in this container. Empty: Backups in the storage root.",
    );
    let title = Field::text("InstanceTitle", "Name of this instance").hint("Shown at the top of each page.");
    html! {
        form.card.stack method="post" action="/schedule" {
            h2 { "Settings" }
            (form::trouble(filled))
            (at.required().read_only(at_fixed.as_deref()).show(filled))
            (keep.kind("number").required().read_only(keep_fixed.as_deref()).show(filled))
            (location.read_only(location_fixed.as_deref()).show(filled))
            (title.show(filled))
            div.actions { button.primary type="submit" { "Save" } }
        }
    }
}

fn day_of(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// `faulty` are the days of backups with faults.
fn calendar_of(days: &BTreeMap<Date, Outcome>, faulty: &[Date], next: Timestamp, now: Timestamp) -> Markup {
    let today = day_of(now);
    calendar(today, &|date| match days.get(&date) {
        Some(Outcome::Complete) if faulty.contains(&date) => Day::Faulty,
        Some(Outcome::Complete) => Day::Complete,
        Some(Outcome::Failed | Outcome::Missed) => Day::Failed,
        _ if date == today && day_of(next) == today => Day::ToCome,
        _ => Day::None,
    })
}

pub(super) async fn save(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let mut filled = fields.filled(&NAMES);
    for name in NAMES.into_iter().filter(|name| !visit.site.console.fixed.contains_key(name)) {
        save_one(&visit, name, fields.text(name), &mut filled).await?;
    }
    if filled.errors.is_empty() {
        return Ok(Flash::done("The settings were saved.").redirect(HERE.path()));
    }
    let body = content(&visit, &filled).await?;
    visit.again(HERE, HERE.title(), body).await
}

/// Stores the setting if its value has changed.
async fn save_one(visit: &Visit, name: &'static str, text: &str, filled: &mut Filled) -> HttpResult<()> {
    let before = visit.site.console.database.call(move |connection| settings::read(connection, name)).await?;
    if text.trim() == text_of(name, &before.unwrap_or(Value::Null)) {
        return Ok(());
    }
    let value = match text.trim().parse::<u64>() {
        Ok(number) if name == "BackupsToKeep" => number.into(),
        _ => Value::from(text.trim()),
    };
    match set_setting(&visit.site, &visit.who, format!("setting-{}", name.to_lowercase()), value).await {
        Ok(_) => Ok(()),
        Err(failure) => refuse(filled, failure.about(name), str::to_owned),
    }
}
