//! Past restores, and requests for a restore or rollback.
//!
//! A request is an init script, because a restore needs a stopped server, and that is the case only at the start of the
//! container. A request can be cancelled until then.

use std::{fs, path::Path};

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::{
    Failure, Site,
    auth::Principal,
    backups::{self, BackupFile},
    blocking,
    entities::{Links, links},
    failure::HttpResult,
};
use engine::restore::{self, JournalState, PastRestore, RestoreSource};
use seqbac_header::{Id, SecretKey};
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
    events::{self, Event, Kind},
};

/// A past restore or rollback.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Restore {
    /// `restore-` and the id of the restore set.
    pub id: String,
    #[schema(value_type = String, format = DateTime)]
    pub restored_at: jiff::Timestamp,
    /// `Done`, `Undone` (it failed and the old state is back), `Unfinished`.
    pub state: String,
    /// The file of the backup; null for a rollback.
    pub filename: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub backup_created_at: Option<jiff::Timestamp>,
    /// `Off` or `AsTheyWere`.
    pub apps: Option<String>,
    /// For a rollback: the restore that it rolled back.
    pub rollback_of: Option<String>,
    /// Whether the replaced state is still kept.
    pub can_roll_back: bool,
    /// The size of the replaced state.
    pub kept_bytes: u64,
    pub links: Links,
}

/// A restore or rollback that the next start performs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Requested {
    /// The name of the init script in `Init/`.
    pub script: String,
    /// The next step for the user.
    pub message: String,
    /// `DELETE` cancels the request.
    pub links: Links,
}

// Without `Debug`, because it may hold a secret key.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RestoreInput {
    /// Keep the apps as they are in the backup. Otherwise they are off in the restored copy.
    pub enable_apps: bool,
    /// The key of the backup, if it differs from this console's.
    pub secret_key: Option<String>,
}

/// All restores with a restore set on the volume, newest first.
pub(crate) async fn list(site: &Site) -> Result<Vec<Restore>> {
    let volume = site.console.volume.clone();
    blocking(move || Ok(restore::history(&volume)?.into_iter().map(from_past).collect())).await
}

/// By id, with or without `restore-`. Fails with 404.
pub(crate) async fn find(site: &Site, id: &str) -> HttpResult<Restore> {
    let id: Id = id.strip_prefix("restore-").unwrap_or(id).parse().map_err(|_| Failure::not_found("restore"))?;
    let id = format!("restore-{id}");
    list(site).await?.into_iter().find(|one| one.id == id).ok_or_else(|| Failure::not_found("restore"))
}

/// The requests that the next start performs.
pub(crate) async fn requested(site: &Site) -> Result<Vec<Requested>> {
    let volume = site.console.volume.clone();
    blocking(move || Ok(scripts(&volume)?.into_iter().map(from_script).collect())).await
}

/// Requests a restore. A dry run first finds the errors that can be found while the server runs. Fails with 409 if
/// another request exists, or if the secret key does not match.
pub(crate) async fn request(
    site: &Site,
    principal: &Principal,
    found: &BackupFile,
    input: RestoreInput,
) -> HttpResult<Requested> {
    let key = key_for(site, found, input.secret_key.as_deref())?;
    refuse_second(site).await?;
    backups::diff(site, found, input.enable_apps, key.as_deref().map(|key| key.as_str())).await?;
    let file = path_for_script(&site.console.volume, found)?;
    let mut line = format!("moorline restore -y --backup={}", shell_words::quote(&file));
    if input.enable_apps {
        line.push_str(" --enable-apps");
    }
    if let Some(key) = key {
        line.push_str(" --secret-key=");
        line.push_str(&key);
    }
    let script = write(site, "restore", principal, line).await?;
    let event = Event::new(Kind::RestoreRequested).with("FileName", found.backup.filename.as_str());
    record_event(site, event, principal, &script);
    Ok(from_script(script))
}

/// Requests a rollback. Fails with 409 if another request exists, or if the replaced state is not kept.
pub(crate) async fn request_rollback(site: &Site, principal: &Principal, id: &str) -> HttpResult<Requested> {
    let restore = find(site, id).await?;
    if !restore.can_roll_back {
        return Err(Failure::new(StatusCode::CONFLICT, "the state that this restore replaced is no longer kept"));
    }
    refuse_second(site).await?;
    let id = restore.id.trim_start_matches("restore-");
    let script = write(site, "rollback", principal, format!("moorline rollback -y {id}")).await?;
    record_event(site, Event::new(Kind::RollbackRequested).with("RestoreId", id), principal, &script);
    Ok(from_script(script))
}

/// Cancels a request. Fails with 404.
pub(crate) async fn cancel(site: &Site, script: &str) -> HttpResult<()> {
    let volume = site.console.volume.clone();
    let wanted = script.to_owned();
    let gone = blocking(move || {
        let Some(name) = scripts(&volume)?.into_iter().find(|name| *name == wanted) else { return Ok(false) };
        durable::remove_file(&volume.init().join(name)).map(|()| true)
    });
    if gone.await? { Ok(()) } else { Err(Failure::not_found("request")) }
}

/// The secret key for the script; `None` if the backup is sealed with the volume's own.
fn key_for(site: &Site, found: &BackupFile, secret_key: Option<&str>) -> HttpResult<Option<Zeroizing<String>>> {
    let conflict = |message: &str| Failure::new(StatusCode::CONFLICT, message).about("SecretKey");
    if found.backup.is_own_key {
        return Ok(None);
    }
    let Some(text) = secret_key.filter(|text| !text.trim().is_empty()) else {
        return Err(conflict("this backup is sealed with another secret key").hint("send that key as SecretKey"));
    };
    let invalid = |error| Failure::from(Error::from(error)).about("SecretKey");
    let key = SecretKey::parse(text, "SecretKey").map_err(invalid)?;
    if key.fingerprint().to_string() != found.backup.key_fingerprint {
        return Err(conflict("this secret key does not open this backup").hint(format!(
            "its fingerprint is {}; the backup needs {}",
            key.fingerprint(),
            found.backup.key_fingerprint
        )));
    }
    debug_assert_ne!(key.fingerprint(), site.console.key.fingerprint());
    Ok(Some(key.to_text()))
}

/// The path relative to `Init/` if possible, because the volume may be mounted elsewhere in the server's container.
fn path_for_script(volume: &Volume, found: &BackupFile) -> Result<String> {
    let whole = backups::utf8_path(&found.file)?;
    let init = volume.init();
    let beside = init.parent().and_then(|folder| found.file.strip_prefix(folder).ok());
    let below = beside.and_then(Path::to_str);
    Ok(below.map_or_else(|| whole.to_owned(), |below| format!("../{below}")))
}

async fn refuse_second(site: &Site) -> HttpResult<()> {
    match requested(site).await?.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(StatusCode::CONFLICT, format!("another request is waiting: {}", first.script))
            .hint("restart the container, or cancel that request first")),
    }
}

async fn write(site: &Site, what: &str, principal: &Principal, line: String) -> Result<String> {
    let now = jiff::Timestamp::now();
    let name = format!("{what}-{}.sh", now.strftime("%Y%m%dT%H%M%S%3fZ"));
    let by: String = principal.name().chars().filter(|char| !char.is_control()).collect();
    let text = Zeroizing::new(format!("#!/bin/sh\n# Requested by {by} in the console, {now:.0}\n{line}\n"));
    let path = site.console.volume.init().join(&name);
    blocking(move || {
        if durable::write_new(&path, text.as_bytes(), 0o600)? {
            return Ok(name);
        }
        Err(Error::new(Code::TryAgain, format!("{} exists already", path.display())).hint("try again"))
    })
    .await
}

/// Names of the scripts that the console wrote and that have not run yet.
fn scripts(volume: &Volume) -> Result<Vec<String>> {
    let folder = volume.init();
    let mut names = Vec::new();
    let entries = match fs::read_dir(&folder) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(names),
        other => other.on("list", &folder)?,
    };
    for entry in entries {
        let name = entry.on("list", &folder)?.file_name();
        names.extend(name.to_str().filter(|name| is_ours(name)).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn is_ours(name: &str) -> bool {
    let time = name.strip_prefix("restore-").or_else(|| name.strip_prefix("rollback-"));
    let time = time.and_then(|rest| rest.strip_suffix("Z.sh"));
    time.is_some_and(|time| time.len() == 18 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T'))
}

fn from_script(script: String) -> Requested {
    let links = Links::from([("Self".to_owned(), format!("api/restores/requested/{script}"))]);
    let what = if script.starts_with("rollback") { "roll back" } else { "restore" };
    Requested { message: format!("restart the container to {what}: {script} runs before the server"), script, links }
}

fn from_past(kept: PastRestore) -> Restore {
    let id = format!("restore-{}", kept.id);
    let mut all = links("restores", &id);
    all.insert("Rollback".to_owned(), format!("api/restores/{id}/rollback"));
    let mut restore = Restore {
        id,
        restored_at: kept.restored,
        state: match kept.state {
            JournalState::Done => "Done",
            JournalState::Undone => "Undone",
            JournalState::Commit | JournalState::Undoing => "Unfinished",
        }
        .to_owned(),
        filename: None,
        backup_created_at: None,
        apps: None,
        rollback_of: None,
        can_roll_back: kept.can_roll_back,
        kept_bytes: kept.bytes,
        links: all,
    };
    match kept.source {
        RestoreSource::Backup { file, created, apps } => {
            let name = Path::new(&file).file_name().map(|name| name.to_string_lossy().into_owned());
            restore.filename = name.or(Some(file));
            restore.backup_created_at = Some(created);
            restore.apps = Some(format!("{apps:?}"));
        }
        RestoreSource::Rollback { of } => restore.rollback_of = Some(format!("restore-{of}")),
    }
    restore
}

fn record_event(site: &Site, event: Event, principal: &Principal, script: &str) {
    events::record(&site.console.volume, &event.with("Username", principal.name()).with("Script", script));
}
