//! `/secret-key`: the fingerprint of the secret key, and whether it is confirmed as saved. Never shows the key itself.

use axum::response::Response;
use maud::html;
use volume::presence;

use super::{
    form,
    layout::{self, Section, Tone, pill},
    visit::Visit,
    words,
};
use crate::{api::set_setting, entities::settings, failure::HttpResult};

const HERE: Section = Section::SecretKey;
const SETTING: &str = "SecretKeyIsBackedUp";

/// Whether a user has confirmed that the key is saved outside the volume.
pub(super) async fn is_saved(visit: &crate::Site) -> HttpResult<bool> {
    let value = visit.console.database.call(|connection| settings::read(connection, SETTING)).await?;
    Ok(value == Some(true.into()))
}

pub(super) async fn show(visit: Visit) -> HttpResult<Response> {
    let console = &visit.site.console;
    let is_on_volume = presence::exists(&console.volume.key_file())?;
    let is_saved = is_saved(&visit.site).await?;
    let body = html! {
        (layout::head("Secret key", "The secret key encrypts every backup. Without the key, a backup cannot be opened.", &html! {}))
        section.card aria-label="This key" {
            dl.facts {
                dt { "Fingerprint" } dd { (words::fingerprint(&console.key.fingerprint().to_string())) }
                dt { "Source" } dd { @if is_on_volume { "this volume" } @else { "the environment, a file or a program" } }
                dt { "Saved elsewhere" } dd { @if is_saved { (pill(Tone::Good, "✓ confirmed")) } @else { (pill(Tone::Warn, "! not confirmed")) } }
            }
        }
        section.card.stack {
            h2 { "Save the key" }
            p { "The console never shows the key. Print it on the host of the container, and store it apart from the backups, in a password manager or on paper." }
            pre tabindex="0" { "docker exec CONTAINER moorline show-key" }
            p.soft { "Without Docker: " code { "moorline --storage /data show-key" } ". To check the saved key, compare its fingerprint with the output of " code { "moorline status" } "." }
            @if is_saved {
                p { "A user has confirmed that the key is saved outside this volume." }
                (form::button("/secret-key/unsaved", "", html! { "The key is no longer saved" }))
            } @else {
                p { strong { "Have you saved the key?" } " If this volume and the key are lost, the backups cannot be opened." }
                div.actions { (form::button("/secret-key/saved", "primary", html! { "Yes, the key is saved elsewhere" })) }
            }
        }
    };
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn saved(visit: Visit) -> HttpResult<Response> {
    confirm(visit, true, "Saved. The key is confirmed as saved outside this volume.").await
}

pub(super) async fn unsaved(visit: Visit) -> HttpResult<Response> {
    confirm(visit, false, "Saved. The key is no longer confirmed as saved elsewhere.").await
}

async fn confirm(visit: Visit, is_saved: bool, words: &str) -> HttpResult<Response> {
    let id = format!("setting-{}", SETTING.to_lowercase());
    let set = set_setting(&visit.site, &visit.who, id, is_saved.into()).await;
    Ok(visit.done(set, HERE.path(), |_| words.to_owned()))
}
