//! Uploads of backups: an upload is written to a hidden file in the folder for backups, verified, and then renamed.
//!
//! A backup sealed with this console's key is verified in full. Of a backup sealed with another key, only header, length
//! and checksum can be verified. It is kept, but counts neither as this instance's newest backup nor for retention.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
    http::{StatusCode, header},
};
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use super::{Backup, find, utf8_path};
use crate::{Failure, Site, auth::Principal, blocking, failure::HttpResult};
use engine::backup;
use seqbac_header::Id;
use volume::{
    BackupRecord, Instance, Volume, durable,
    error::{Code, Error, IoContext, Result},
    events::{self, Event, Kind},
    record::Recorded,
};

/// The maximum size of an upload, in bytes.
const LONGEST: u64 = 64 << 30;
/// Bytes that stay free on the file system, because the server needs space, too.
const STAYS_FREE: u64 = 256 << 20;
/// An upload that sends nothing for this time is aborted.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);
const PREFIX: &str = ".upload-";

/// A file that is removed when this is dropped.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Receives a backup from the body of a request, or from the first file of a multipart form. Fails with 409 if the backup
/// exists already, with 413 if it is too long, and with 507 if the disk is full.
pub(crate) async fn take(site: &Site, principal: &Principal, request: Request) -> HttpResult<Backup> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let folder = site.console.volume.backups();
    let temporary = Temporary(folder.join(format!("{PREFIX}{}.tmp", Id::random().map_err(Error::from)?)));
    if kind.starts_with("multipart/form-data") {
        let rejected = |rejection: axum::extract::multipart::MultipartRejection| {
            Failure::new(rejection.status(), rejection.body_text())
        };
        let form = Multipart::from_request(request, &()).await.map_err(rejected)?;
        of_form(form, &folder, &temporary).await?;
    } else {
        let body = request.into_body().into_data_stream().map(|chunk| chunk.map_err(|_| cut_off()));
        write(body, &folder, &temporary.0).await?;
    }
    let id = accept(site, &temporary).await?;
    let found = find(site, &id.to_string()).await?;
    let event = Event::new(Kind::BackupUploaded).with("FileName", found.backup.filename.as_str());
    events::record(&site.console.volume, &event.with("Username", principal.name()));
    Ok(found.backup)
}

/// Removes unfinished uploads after a crash. No other process can be writing one, because we hold the console's lock.
pub(crate) fn clear(volume: &Volume) {
    for entry in fs::read_dir(volume.backups()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(".tmp"));
        if is_ours && let Err(error) = durable::remove_file(&entry.path()) {
            log::warn!("cannot remove an unfinished upload: {error}");
        }
    }
}

async fn of_form(mut form: Multipart, folder: &Path, temporary: &Temporary) -> HttpResult<()> {
    while let Some(field) = in_time(form.next_field()).await?.map_err(broken)? {
        if field.file_name().is_some() {
            return write(field.map(|chunk| chunk.map_err(|_| cut_off())), folder, &temporary.0).await;
        }
    }
    Err(Failure::new(StatusCode::BAD_REQUEST, "the form contains no file"))
}

async fn in_time<T>(come: impl Future<Output = T>) -> HttpResult<T> {
    let slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the upload has stalled");
    tokio::time::timeout(CHUNK_TIMEOUT, come).await.map_err(slow)
}

fn broken(_: axum::extract::multipart::MultipartError) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "the form cannot be decoded")
}

fn cut_off() -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "the upload is incomplete")
}

async fn write(chunks: impl Stream<Item = HttpResult<Bytes>>, folder: &Path, temporary: &Path) -> HttpResult<()> {
    let mut chunks = std::pin::pin!(chunks);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = tokio::fs::OpenOptions::from(options).open(temporary).await.on("create", temporary)?;
    let mut written: u64 = 0;
    loop {
        let Some(chunk) = in_time(chunks.next()).await? else { break };
        let chunk = chunk?;
        let before = written >> 20;
        written += chunk.len() as u64;
        if written > LONGEST {
            return Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the backup is larger than {} GiB", LONGEST >> 30),
            ));
        }
        if before == 0 || written >> 20 != before {
            refuse_no_room(folder, chunk.len() as u64)?;
        }
        file.write_all(&chunk).await.on("write", temporary)?;
    }
    file.flush().await.on("write", temporary)?;
    let file = file.into_std().await;
    let path = temporary.to_owned();
    Ok(blocking(move || durable::sync_file(&file, &path)).await?)
}

fn refuse_no_room(folder: &Path, bytes: u64) -> HttpResult<()> {
    let free = nix::sys::statvfs::statvfs(folder).on("access", folder)?;
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    let free = u64::from(free.blocks_available()).saturating_mul(u64::from(free.fragment_size()));
    if free.saturating_sub(bytes) < STAYS_FREE {
        return Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "not enough disk space for the backup")
            .hint(format!("free space in {}", folder.display())));
    }
    Ok(())
}

/// Verifies the upload and moves it to its final name.
async fn accept(site: &Site, temporary: &Temporary) -> HttpResult<Id> {
    let path = temporary.0.clone();
    let scrubbed = blocking(move || {
        let file = fs::File::open(&path).on("open", &path)?;
        let scrubbed = seqbac::scrub(std::io::BufReader::with_capacity(256 << 10, file));
        scrubbed.map_err(|error| Error::from(error).context("the upload is not a complete backup"))
    })
    .await?;
    let header = scrubbed.header;
    if find(site, &header.id.to_string()).await.is_ok() {
        return Err(Failure::new(StatusCode::CONFLICT, "this backup exists already"));
    }
    if header.key_fingerprint == site.console.key.fingerprint() {
        verify(site, &temporary.0).await?;
    }
    let (from, volume) = (temporary.0.clone(), site.console.volume.clone());
    let (created, id) = (header.created, header.id);
    blocking(move || {
        record_upload(&volume, &header);
        move_into_place(&from, &volume.backups(), created, id)
    })
    .await?;
    Ok(id)
}

async fn verify(site: &Site, file: &Path) -> HttpResult<()> {
    let file = utf8_path(file)?;
    let found = site.console.jobs.command(&site.console, &["verify", "--json", "--", file]).await?;
    // `verify --json` reports an error per backup.
    let error = found.pointer("/backups/0/error/error").or_else(|| found.pointer("/backups/0/error"));
    match error.and_then(serde_json::Value::as_str) {
        None => Ok(()),
        Some(error) => {
            let error = error.replace(file, "the upload");
            Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, error))
        }
    }
}

/// Records an upload of this instance, so that it is not taken for the backup of a twin.
fn record_upload(volume: &Volume, header: &seqbac::Header) {
    let recorded = Recorded { created: header.created, uploaded: true };
    let add = |instance: Instance| match header.instance == Some(instance.id) {
        true => BackupRecord::add(volume, instance.id, header.id, recorded, jiff::Timestamp::now()),
        false => Ok(()),
    };
    if let Err(error) = Instance::load(volume).and_then(|instance| instance.map_or(Ok(()), add)) {
        log::warn!("the upload is not recorded: {error}");
    }
}

/// Names the file like an immediate backup of its time, because retention would count a scheduled one.
fn move_into_place(from: &Path, folder: &Path, created: jiff::Timestamp, id: Id) -> Result<()> {
    let plain = backup::immediate(created);
    let stem = plain.trim_end_matches(".seqbac");
    let own = format!("{stem}-{}.{}", &id.to_string()[..8], backup::EXTENSION);
    for name in [plain.as_str(), &own] {
        if durable::rename_new(from, &folder.join(name))? {
            return Ok(());
        }
    }
    Err(Error::new(Code::ConfirmationNeeded, "a backup of this time exists already"))
}
