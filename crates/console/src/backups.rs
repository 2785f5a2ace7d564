//! Backups for the API and the pages: lists, finds, takes, inspects and compares them. A backup is searched for by id or
//! name in the listing of the folder, so that text from a request never becomes part of a path.

pub(crate) mod download;
pub(crate) mod upload;

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    Failure, Site, blocking,
    entities::{Links, links},
    failure::HttpResult,
};
use engine::backup::{self, BackupKind, Summary};
use seqbac_header::Id;
use volume::{
    Instance,
    error::{Code, Error, Result},
};

/// A backup. The first five fields are Seq's.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Backup {
    /// `backup-` and the id in the header.
    pub id: String,
    /// The time of the state in it.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: jiff::Timestamp,
    /// The name of the file in the folder for backups.
    pub filename: String,
    pub file_size_bytes: u64,
    /// `Self`, `Download`, `Contents`, `Diff`, `Restore`.
    pub links: Links,
    /// `Scheduled` or `Immediate`.
    pub kind: String,
    /// Whether it is sound; null without its key.
    pub is_sound: Option<bool>,
    /// `sound`, `doubtful` or `suspect`; null without its key.
    pub soundness: Option<String>,
    /// Why it is not sound.
    pub reasons: Vec<String>,
    /// The fingerprint of the key that opens it.
    pub key_fingerprint: String,
    /// Whether this console's key opens it.
    pub is_own_key: bool,
    /// Whether this instance took it.
    pub is_own_instance: bool,
    /// The name of the profile; null without its key.
    pub profile: Option<String>,
    /// Whether its apps were in quarantine; null without its key.
    pub is_quarantined: Option<bool>,
}

/// A file with the name of a backup that cannot be read as one.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Unreadable {
    pub filename: String,
    /// Whether it is damaged, as opposed to a file that cannot be read now.
    pub is_damaged: bool,
    pub error: String,
}

#[derive(Debug, Clone)]
pub(crate) struct BackupFile {
    pub backup: Backup,
    pub file: PathBuf,
}

/// All backups, newest first, and the unreadable files. Fails with `TryAgain` if the folder is missing.
pub(crate) async fn list(site: &Site) -> Result<(Vec<BackupFile>, Vec<Unreadable>)> {
    let (volume, key) = (site.console.volume.clone(), std::sync::Arc::clone(&site.console.key));
    blocking(move || {
        volume.refuse_missing_backups()?;
        let listed = backup::list(&volume.backups(), Some(&key))?;
        let ours = (key.fingerprint(), Instance::load(&volume)?.map(|instance| instance.id));
        let found = listed.backups.into_iter().map(|summary| from_summary(summary, ours)).collect();
        let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let unreadable = listed.skipped.iter().map(|skipped| Unreadable {
            filename: name(&skipped.file),
            is_damaged: skipped.soundness().is_some(),
            error: skipped.error.message().to_owned(),
        });
        Ok((found, unreadable.collect()))
    })
    .await
}

/// By id, with or without `backup-`. Fails with 404.
pub(crate) async fn find(site: &Site, id: &str) -> HttpResult<BackupFile> {
    let id: Id = id.strip_prefix("backup-").unwrap_or(id).parse().map_err(|_| Failure::not_found("backup"))?;
    let id = format!("backup-{id}");
    let (all, _) = list(site).await?;
    all.into_iter().find(|found| found.backup.id == id).ok_or_else(|| Failure::not_found("backup"))
}

/// By file name. Fails with 404.
pub(crate) async fn find_file(site: &Site, name: &str) -> HttpResult<BackupFile> {
    let (all, _) = list(site).await?;
    all.into_iter().find(|found| found.backup.filename == name).ok_or_else(|| Failure::not_found("backup"))
}

/// Takes an immediate backup into the folder. Fails with `TryAgain` while another backup runs.
pub(crate) async fn take(site: &Site) -> HttpResult<Backup> {
    let made = site.console.jobs.back_up(&site.console, false).await?;
    let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
    Ok(find(site, id).await?.backup)
}

/// The object of `moorline inspect --json`.
pub(crate) async fn contents(site: &Site, found: &BackupFile) -> HttpResult<Value> {
    let file = utf8_path(&found.file)?;
    Ok(site.console.jobs.command(&site.console, &["inspect", "--json", "--", file]).await?)
}

/// The changes that a restore would make: the object of `moorline restore --dry-run --json`.
pub(crate) async fn diff(site: &Site, found: &BackupFile, enable_apps: bool, key: Option<&str>) -> HttpResult<Value> {
    let backup = format!("--backup={}", utf8_path(&found.file)?);
    let key = key.map(|key| format!("--secret-key={key}"));
    let mut command = vec!["restore", "--dry-run", "--json", &backup];
    command.extend(key.as_deref());
    if enable_apps {
        command.push("--enable-apps");
    }
    Ok(site.console.jobs.command(&site.console, &command).await?)
}

/// The path of a backup for a command line.
pub(crate) fn utf8_path(file: &Path) -> Result<&str> {
    let what = "the path of the folder for backups is not valid UTF-8, which the console does not support";
    file.to_str().ok_or_else(|| Error::new(Code::Unexpected, what))
}

fn from_summary(summary: Summary, (key, instance): (Id, Option<Id>)) -> BackupFile {
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
        kind: if summary.kind == BackupKind::Scheduled { "Scheduled" } else { "Immediate" }.to_owned(),
        is_sound: summary.verified,
        soundness: summary.soundness.map(|soundness| soundness.word().to_owned()),
        reasons: summary.reasons,
        is_own_key: summary.key_fingerprint == key,
        key_fingerprint: summary.key_fingerprint.to_string(),
        is_own_instance: instance.is_some() && summary.instance_id == instance,
        profile: summary.profile,
        is_quarantined: summary.quarantined,
    };
    BackupFile { backup, file: summary.file }
}
