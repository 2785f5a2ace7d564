//! `api/settings`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde_json::Value;

use crate::{
    Failure, Site,
    auth::Principal,
    body::JsonBody,
    entities::settings::{self as entity, Setting, SettingInput},
    failure::HttpResult,
};
use volume::events::{self, Event, Kind};

pub(super) async fn list(State(site): State<Arc<Site>>) -> HttpResult<Json<Vec<Setting>>> {
    let fixed = site.console.fixed.clone();
    Ok(Json(site.console.database.call(move |connection| entity::list(connection, &fixed)).await?))
}

pub(super) async fn find(State(site): State<Arc<Site>>, Path(id): Path<String>) -> HttpResult<Json<Setting>> {
    let fixed = site.console.fixed.clone();
    Ok(Json(site.console.database.call(move |connection| entity::find(connection, &id, &fixed)).await?))
}

pub(super) async fn update(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
    JsonBody(input): JsonBody<SettingInput>,
) -> HttpResult<Json<Setting>> {
    Ok(Json(set(&site, &principal, id, input.value).await?))
}

pub(super) async fn clear(
    State(site): State<Arc<Site>>,
    principal: Principal,
    Path(id): Path<String>,
) -> HttpResult<Json<Setting>> {
    Ok(Json(set(&site, &principal, id, Value::Null).await?))
}

pub(crate) async fn set(site: &Site, principal: &Principal, id: String, value: Value) -> HttpResult<Setting> {
    let console = &site.console;
    let opens = id == "setting-isauthenticationenabled" && value != Value::Bool(true);
    if opens && !site.open_to_all && !site.is_local {
        return Err(Failure::new(
            StatusCode::CONFLICT,
            "without a login, everybody who can reach the console would be an administrator",
        )
        .hint("set MOORLINE_FIRSTRUN_NOAUTHENTICATION=true, or listen on 127.0.0.1 only"));
    }
    let fixed = console.fixed.clone();
    let setting = console.database.call(move |connection| entity::set(connection, &id, &value, &fixed)).await?;
    site.settings_changed().await?;
    let event = Event::new(Kind::SettingChanged).with("SettingName", setting.name.as_str());
    events::record(&console.volume, &event.with("Username", principal.name()));
    if setting.name == "SecretKeyIsBackedUp" && setting.value == Value::Bool(true) {
        let fingerprint = console.key.fingerprint().to_string();
        let event = Event::new(Kind::SecretKeyBackedUp).with("KeyFingerprint", fingerprint);
        events::record(&console.volume, &event.with("Username", principal.name()));
    }
    Ok(setting)
}
