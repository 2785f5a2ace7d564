//! `/secret-key`: shows the fingerprint, and confirms that the key is saved elsewhere.

use axum::response::Response;
use volume::presence;

use super::{flash::Flash, layout::Section, view, visit::Visit};
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
    let fingerprint = console.key.fingerprint().to_string();
    let body = view::secret_key::page(&fingerprint, is_saved(&visit.site).await?, is_on_volume, visit.csrf());
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
    match set_setting(&visit.site, &visit.who, id, is_saved.into()).await {
        Ok(_) => Ok(Flash::done(words).redirect(HERE.path())),
        Err(failure) => Ok(visit.failed(&failure, HERE.path())),
    }
}
