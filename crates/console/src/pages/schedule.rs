//! `/schedule`: the next and the last backup, the calendar, and the settings.

use std::collections::BTreeMap;

use axum::response::Response;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use maud::Markup;
use serde_json::Value;

use super::{
    backups,
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    view::{
        self,
        calendar::Day,
        schedule::{Last, Page},
    },
    visit::{Visit, refuse},
};
use crate::{
    api::set_setting,
    calendar::{self, Outcome},
    entities::settings::{self, VARIABLES},
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
    let days = calendar::of(&visit.site.console).await?;
    // The page must work while the backup folder cannot be read, because the folder is configured here.
    let faulty: Vec<Date> = backups::own(&visit.site)
        .await
        .unwrap_or_default()
        .into_iter()
        .filter(|backup| backup.verified == Some(false))
        .map(|backup| day_of(backup.created))
        .collect();
    let fixed: BTreeMap<&'static str, String> = VARIABLES
        .into_iter()
        .filter(|(name, _)| visit.site.console.fixed.contains_key(name))
        .map(|(name, variable)| (name, variable.to_owned()))
        .collect();
    let page = Page {
        now: visit.now,
        csrf: visit.csrf(),
        next: Some(health.next_run),
        last: health.last_result.map(|last| Last { at: last.at, failure: last.error }),
        calendar: calendar_of(&days, &faulty, health.next_run, visit.now),
        fixed: &fixed,
    };
    Ok(page.show(filled))
}

fn day_of(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

/// `faulty` are the days of backups with faults.
fn calendar_of(days: &[calendar::Day], faulty: &[Date], next: Timestamp, now: Timestamp) -> Markup {
    let today = day_of(now);
    view::calendar::calendar(today, &|date| {
        let outcome = days.iter().find(|day| day.date == date).map(|day| day.outcome);
        match outcome {
            Some(Outcome::Complete) if faulty.contains(&date) => Day::Faulty,
            Some(Outcome::Complete) => Day::Complete,
            Some(Outcome::Failed | Outcome::Missed) => Day::Failed,
            _ if date == today && day_of(next) == today => Day::ToCome,
            _ => Day::None,
        }
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
        Err(failure) => refuse(filled, failure, &[("", name)]),
    }
}
