//! `/secret-key`.

use axum::response::Response;
use volume::presence;

use super::{flash::Flash, layout::Section, view, visit::Visit};
use crate::{api::set_setting, entities::settings, failure::Answer};

const HERE: Section = Section::SecretKey;
const SETTING: &str = "SecretKeyIsBackedUp";

/// Whether somebody has said that the key is kept elsewhere.
pub(super) async fn is_saved(visit: &crate::Site) -> Answer<bool> {
    let said = visit.console.database.call(|connection| settings::read(connection, SETTING)).await?;
    Ok(said == Some(true.into()))
}

pub(super) async fn show(visit: Visit) -> Answer<Response> {
    let console = &visit.site.console;
    let is_on_volume = presence::exists(&console.volume.key_file())?;
    let fingerprint = console.key.fingerprint().to_string();
    let body = view::secret_key::page(&fingerprint, is_saved(&visit.site).await?, is_on_volume, visit.csrf());
    visit.page(HERE, HERE.title(), body).await
}

pub(super) async fn saved(visit: Visit) -> Answer<Response> {
    say(visit, true, "Good. It is noted that the key is kept outside this volume.").await
}

pub(super) async fn unsaved(visit: Visit) -> Answer<Response> {
    say(visit, false, "It is noted that the key is not kept elsewhere.").await
}

async fn say(visit: Visit, is_saved: bool, words: &str) -> Answer<Response> {
    let id = format!("setting-{}", SETTING.to_lowercase());
    match set_setting(&visit.site, &visit.who, id, is_saved.into()).await {
        Ok(_) => Ok(Flash::done(words).on_to(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
