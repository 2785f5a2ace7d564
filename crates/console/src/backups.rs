//! The backups that there are, as the API and the pages show them: found by id or by name among the folder's own
//! entries, so that no text of a request is ever part of a path.

pub mod download;
pub mod upload;

use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Failure, Site, blocking,
    entities::{Links, links},
    failure::Answer,
};
use engine::backup::{self, Kind, Summary};
use seqbac_header::Id;
use volume::{
    Instance,
    error::{Code, Error, Result},
};

/// A backup. The first five are Seq's.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Backup {
    /// `backup-` and its id.
    pub id: String,
    /// When its transactions were open.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    /// The file's name, in the folder of backups.
    pub filename: String,
    /// The file's length.
    pub file_size_bytes: u64,
    /// Where it, its file, its content and what it would change are.
    pub links: Links,
    /// `Scheduled` or `Immediate`.
    pub kind: String,
    /// Whether its databases were found sound when it was made; unknown without its key.
    pub is_sound: Option<bool>,
    /// Fingerprint of the key that opens it.
    pub key_fingerprint: String,
    /// Whether this console's key opens it.
    pub is_own_key: bool,
    /// Whether this volume made it.
    pub is_own_instance: bool,
    /// The profile's name; unknown without its key.
    pub profile: Option<String>,
    /// Whether its apps were in quarantine; unknown without its key.
    pub is_quarantined: Option<bool>,
}

/// A file in the folder that is called as a backup and is none that can be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Unreadable {
    /// The file's name.
    pub filename: String,
    /// What is wrong with it.
    pub error: String,
}

/// A backup and its file.
#[derive(Debug, Clone)]
pub struct Found {
    /// As it is shown.
    pub backup: Backup,
    /// Where it is.
    pub file: PathBuf,
}

/// What there is, newest first; and what cannot be read.
///
/// # Errors
/// `TryAgain` where the folder is not there; where it cannot be read.
pub async fn list(site: &Site) -> Result<(Vec<Found>, Vec<Unreadable>)> {
    let (volume, key) = (site.console.volume.clone(), std::sync::Arc::clone(&site.console.key));
    blocking(move || {
        volume.refuse_missing_backups()?;
        let listed = backup::list(&volume.backups(), Some(&key))?;
        let ours = (key.fingerprint(), Instance::load(&volume)?.map(|instance| instance.id));
        let found = listed.backups.into_iter().map(|summary| of_summary(summary, ours)).collect();
        let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unreadable = listed
            .skipped
            .iter()
            .map(|skipped| Unreadable { filename: name(&skipped.file), error: skipped.error.message().to_owned() });
        Ok((found, unreadable.collect()))
    })
    .await
}

/// One of them, by its id: `backup-…`, or its digits alone.
///
/// # Errors
/// 404 where there is none.
pub async fn find(site: &Site, id: &str) -> Answer<Found> {
    let id: Id = id.strip_prefix("backup-").unwrap_or(id).parse().map_err(|_| Failure::not_found("backup"))?;
    let id = format!("backup-{id}");
    let (all, _) = list(site).await?;
    all.into_iter().find(|found| found.backup.id == id).ok_or_else(|| Failure::not_found("backup"))
}

/// One of them, by the name of its file.
///
/// # Errors
/// 404 where there is none.
pub async fn find_file(site: &Site, name: &str) -> Answer<Found> {
    let (all, _) = list(site).await?;
    all.into_iter().find(|found| found.backup.filename == name).ok_or_else(|| Failure::not_found("backup"))
}

/// Takes one now, and keeps it.
///
/// # Errors
/// `TryAgain` while another is being made; and as the backup fails.
pub async fn take(site: &Site) -> Answer<Backup> {
    let made = site.console.jobs.back_up(&site.console, false).await?;
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(find(site, id).await?.backup)
}

/// What is in it: the object of `moorline inspect --json`.
///
/// # Errors
/// As reading it fails.
pub async fn contents(site: &Site, found: &Found) -> Answer<Value> {
    let file = text_of(found)?;
    Ok(site.console.jobs.verb(&site.console, &["inspect", "--json", "--", file]).await?)
}

/// What restoring it would change: the object of `moorline restore --dry-run --json`.
///
/// # Errors
/// As the restore would fail.
pub async fn diff(site: &Site, found: &Found, enable_apps: bool, key: Option<&str>) -> Answer<Value> {
    let backup = format!("--backup={}", text_of(found)?);
    let key = key.map(|key| format!("--secret-key={key}"));
    let mut verb = vec!["restore", "--dry-run", "--json", &backup];
    verb.extend(key.as_deref());
    if enable_apps {
        verb.push("--enable-apps");
    }
    Ok(site.console.jobs.verb(&site.console, &verb).await?)
}

/// The path, for a command line.
///
/// # Errors
/// Where it is no UTF-8 text.
pub fn text_of(found: &Found) -> Result<&str> {
    let what = "the path of the folder of backups is no UTF-8 text, and nothing can be done with it here";
    found.file.to_str().ok_or_else(|| Error::new(Code::Unexpected, what))
}

fn of_summary(summary: Summary, (key, instance): (Id, Option<Id>)) -> Found {
    let id = format!("backup-{}", summary.id);
    let filename = summary.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all = links("backups", &id);
    all.insert("Download".to_owned(), format!("api/backups/files/{filename}"));
    for (name, path) in [("Contents", "contents"), ("Diff", "diff"), ("Restore", "restore")] {
        all.insert(name.to_owned(), format!("api/backups/{id}/{path}"));
    }
    let backup = Backup {
        id,
        created_at: summary.created,
        filename,
        file_size_bytes: summary.bytes,
        links: all,
        kind: if summary.kind == Kind::Scheduled { "Scheduled" } else { "Immediate" }.to_owned(),
        is_sound: summary.verified,
        is_own_key: summary.key_fingerprint == key,
        key_fingerprint: summary.key_fingerprint.to_string(),
        is_own_instance: instance.is_some() && summary.instance_id == instance,
        profile: summary.profile,
        is_quarantined: summary.quarantined,
    };
    Found { backup, file: summary.file }
}
