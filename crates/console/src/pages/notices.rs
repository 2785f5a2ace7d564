//! The banners on every page: degraded health, quarantine, no login, an unsaved secret key.

use super::{
    layout::{Notice, Tone},
    secret_key, words,
};
use crate::{Site, auth::Principal, blocking, failure::HttpResult, health};
use engine::quarantine::QuarantineRecord;

/// Most severe first.
pub(super) async fn of(site: &Site, who: &Principal) -> HttpResult<Vec<Notice>> {
    let mut notices = Vec::new();
    notices.extend(health(site).await?);
    notices.extend(quarantine(site).await?);
    notices.extend(open(site, who));
    notices.extend(key(site).await?);
    Ok(notices)
}

/// The reasons for degraded health. Warnings, such as quarantine, have banners of their own.
async fn health(site: &Site) -> HttpResult<Option<Notice>> {
    let degraded = health::check(&site.console).await?.degraded;
    let mut sentences = degraded.iter().map(|why| words::sentence(why));
    let Some(short) = sentences.next() else { return Ok(None) };
    let long = sentences.collect::<Vec<_>>().join(" ");
    Ok(Some(Notice { tone: Tone::Bad, short, long, remedy: Some(("/schedule", "Schedule")) }))
}

async fn quarantine(site: &Site) -> HttpResult<Option<Notice>> {
    let volume = site.console.volume.clone();
    let Some(record) = blocking(move || QuarantineRecord::load(&volume)).await? else { return Ok(None) };
    let count = record.apps().count() as u64;
    let are = if count == 1 { "is" } else { "are" };
    Ok(Some(Notice {
        tone: Tone::Warn,
        short: format!("This is a restored copy: {} {are} off.", words::count(count, "app")),
        long: "It does not act on the outside until you release its apps.".to_owned(),
        remedy: Some(("/apps", "Apps in quarantine")),
    }))
}

fn open(site: &Site, who: &Principal) -> Option<Notice> {
    who.is_open.then(|| Notice {
        tone: Tone::Warn,
        short: "This console requires no login.".to_owned(),
        long: if site.open_to_all {
            "Everybody who can reach it is an administrator."
        } else {
            "Therefore it accepts connections from this host only."
        }
        .to_owned(),
        remedy: Some(("/first-run", "Set a password")),
    })
}

async fn key(site: &Site) -> HttpResult<Option<Notice>> {
    let is_saved = secret_key::is_saved(site).await?;
    Ok((!is_saved).then(|| Notice {
        tone: Tone::Warn,
        short: "The secret key has not been confirmed as saved elsewhere.".to_owned(),
        long: "Without it, backups cannot be opened.".to_owned(),
        remedy: Some(("/secret-key", "Save the key")),
    }))
}
