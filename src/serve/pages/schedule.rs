//! `/schedule`: when backups are made, how that went, and the settings.

use std::collections::BTreeMap;

use axum::response::Response;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::Value;

use super::{
    backups,
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::Section,
    view::{
        backups::Backup,
        calendar::{self, Day},
        schedule::{Last, Page},
    },
    visit::{Visit, refuse},
};
use crate::{
    events::{self, Stored},
    serve::{
        api::set_setting,
        blocking,
        entities::settings::{self, VARIABLES},
        failure::Answer,
        schedule::Schedule,
        scheduler,
    },
};

const HERE: Section = Section::Schedule;
const NAMES: [&str; 4] = ["BackupUtcTimeOfDay", "BackupsToKeep", "BackupLocation", "InstanceTitle"];
/// More events than these tell nothing of the last ninety days that anybody would look for.
const MOST_EVENTS: usize = 500;

pub(super) async fn show(visit: Visit) -> Answer<Response> {
    let fixed = visit.site.console.fixed.clone();
    let all = visit.site.console.database.call(move |connection| settings::list(connection, &fixed)).await?;
    let mut filled = Filled::default();
    for setting in all.iter().filter(|setting| NAMES.contains(&setting.name.as_str())) {
        filled.values.insert(setting.name.clone(), text_of(&setting.name, &setting.value));
    }
    let body = content(&visit, &filled).await?;
    visit.page(HERE, HERE.title(), body).await
}

/// What a field shows; a setting that nobody has set shows what holds then.
fn text_of(name: &str, value: &Value) -> String {
    match (value, name) {
        (Value::String(text), _) => text.clone(),
        (Value::Null, "BackupUtcTimeOfDay") => "03:00".to_owned(),
        (Value::Null, "BackupsToKeep") => "7".to_owned(),
        (Value::Null, _) => String::new(),
        (other, _) => other.to_string(),
    }
}

async fn content(visit: &Visit, filled: &Filled) -> Answer<maud::Markup> {
    let schedule = scheduler::schedule_now(&visit.site.console).await;
    let made = backups::own(&visit.site).await?;
    let volume = visit.site.console.volume.clone();
    let of_backups = |event: &Stored| matches!(event.kind(), "BackupComplete" | "BackupFailed" | "BackupMissed");
    let events = blocking(move || events::read_before(&volume, None, MOST_EVENTS, &of_backups)).await?;
    let fixed: BTreeMap<&'static str, String> = VARIABLES
        .into_iter()
        .filter(|(name, _)| visit.site.console.fixed.contains_key(name))
        .map(|(name, variable)| (name, variable.to_owned()))
        .collect();
    let page = Page {
        now: visit.now,
        csrf: visit.csrf(),
        next: Some(schedule.next_slot(visit.now)),
        last: last(&events, &made),
        calendar: calendar_of(&schedule, &made, &events, visit.now),
        fixed: &fixed,
    };
    Ok(page.show(filled))
}

/// How the last one went: what was told last, and failing that the newest backup.
fn last(events: &[Stored], backups: &[Backup]) -> Option<Last> {
    let told = events.first().and_then(|event| {
        let failure = (event.kind() != "BackupComplete").then(|| event.message());
        Some(Last { at: event.at()?, failure })
    });
    told.or_else(|| Some(Last { at: backups.iter().map(|backup| backup.created).max()?, failure: None }))
}

fn calendar_of(schedule: &Schedule, backups: &[Backup], events: &[Stored], now: Timestamp) -> maud::Markup {
    let day_of = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    for event in events.iter().rev() {
        if let Some(at) = event.at() {
            let day = if event.kind() == "BackupComplete" { Day::Made } else { Day::Failed };
            let known = days.entry(day_of(at)).or_insert(day);
            // A later one that was made counts, however often it failed before.
            if day == Day::Made {
                *known = day;
            }
        }
    }
    for backup in backups {
        let day = if backup.verified == Some(false) { Day::Unverified } else { Day::Made };
        days.insert(day_of(backup.created), day);
    }
    let today = day_of(now);
    let is_to_come = day_of(schedule.next_slot(now)) == today;
    calendar::calendar(today, &|day| match days.get(&day) {
        Some(known) => *known,
        None if day == today && is_to_come => Day::ToCome,
        None => Day::None,
    })
}

pub(super) async fn save(visit: Visit, fields: Fields) -> Answer<Response> {
    let mut filled = fields.filled(&NAMES);
    for name in NAMES.into_iter().filter(|name| !visit.site.console.fixed.contains_key(name)) {
        save_one(&visit, name, fields.text(name), &mut filled).await?;
    }
    if filled.errors.is_empty() {
        return Ok(Flash::done("The settings are saved.").on_to(HERE.path()));
    }
    let body = content(&visit, &filled).await?;
    visit.again(HERE, HERE.title(), body).await
}

/// Sets what is another value than before.
async fn save_one(visit: &Visit, name: &'static str, text: &str, filled: &mut Filled) -> Answer<()> {
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
