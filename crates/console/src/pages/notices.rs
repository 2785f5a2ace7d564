//! What is said on every page for as long as it is true: quarantine, a key that nobody has saved, failing health.

use super::{
    layout::{Notice, Tone},
    secret_key, words,
};
use crate::{Site, auth::Who, blocking, failure::Answer, health};
use engine::quarantine::QuarantineRecord;

/// All of them, the worst first.
pub(super) async fn of(site: &Site, who: &Who) -> Answer<Vec<Notice>> {
    let mut notices = Vec::new();
    notices.extend(health(site).await?);
    notices.extend(quarantine(site).await?);
    notices.extend(open(site, who));
    notices.extend(key(site).await?);
    Ok(notices)
}

/// What is bad. What somebody should know all the same (the key, quarantine) has notices of its own.
async fn health(site: &Site) -> Answer<Option<Notice>> {
    let degraded = health::of(&site.console).await?.degraded;
    let mut sentences = degraded.iter().map(|why| words::sentence(why));
    let Some(short) = sentences.next() else { return Ok(None) };
    let long = sentences.collect::<Vec<_>>().join(" ");
    Ok(Some(Notice { tone: Tone::Bad, short, long, remedy: Some(("/schedule", "Schedule")) }))
}

async fn quarantine(site: &Site) -> Answer<Option<Notice>> {
    let volume = site.console.volume.clone();
    let Some(memory) = blocking(move || QuarantineRecord::load(&volume)).await? else { return Ok(None) };
    let count = memory.apps().count() as u64;
    let are = if count == 1 { "is" } else { "are" };
    Ok(Some(Notice {
        tone: Tone::Warn,
        short: format!("This is a restored copy: {} {are} off.", words::count(count, "app")),
        long: "It sends, runs and fetches nothing until you release it.".to_owned(),
        remedy: Some(("/apps", "Apps in quarantine")),
    }))
}

fn open(site: &Site, who: &Who) -> Option<Notice> {
    let is_said = site.open_to_all;
    who.is_open.then(|| Notice {
        tone: Tone::Warn,
        short: "Nobody has to log in.".to_owned(),
        long: if is_said {
            "Whoever reaches this console may do everything here."
        } else {
            "That is why only this host reaches it."
        }
        .to_owned(),
        remedy: Some(("/first-run", "Set a password")),
    })
}

async fn key(site: &Site) -> Answer<Option<Notice>> {
    let is_saved = secret_key::is_saved(site).await?;
    Ok((!is_saved).then(|| Notice {
        tone: Tone::Warn,
        short: "The secret key is not saved yet.".to_owned(),
        long: "Without it, no backup can be opened.".to_owned(),
        remedy: Some(("/secret-key", "Save it")),
    }))
}
