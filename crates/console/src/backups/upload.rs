//! A backup that somebody brings: written beside the others under a hidden name, verified, and only then called as one.
//!
//! One that this console's key sealed is read to its last byte. One that another key sealed is checked as far as can be
//! without it (header, length, checksum): it is kept, opens with its own key only, and counts for nothing here: neither
//! as this instance's newest nor among those that are kept.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request, multipart::Field},
    http::{StatusCode, header},
};
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;

use super::{Backup, find};
use crate::{
    Failure, Site,
    auth::{CSRF_FIELD, Who},
    blocking,
    failure::Answer,
};
use engine::backup;
use seqbac_header::Id;
use volume::{
    Volume, durable,
    error::{Code, Error, IoContext, Result},
    events::{self, Event, Kind},
};

/// No backup that is brought over HTTP is longer.
const LONGEST: u64 = 64 << 30;
/// So much stays free: the server needs room, too.
const STAYS_FREE: u64 = 256 << 20;
/// Nothing came for so long: it was cut off.
const PATIENCE: Duration = Duration::from_secs(60);
/// No CSRF token is longer.
const LONGEST_TOKEN: usize = 256;
const PREFIX: &str = ".upload-";

/// A file that is gone when it is let go of.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Takes a request's backup in: its body, or the first file of a form.
///
/// # Errors
/// 4xx for what is no whole backup, and for one that is there already; 413 for too long a one; 507 where there is no
/// room for it.
pub async fn take(site: &Site, who: &Who, request: Request) -> Answer<Backup> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let folder = site.console.volume.backups();
    let temporary = Temporary(folder.join(format!("{PREFIX}{}.tmp", Id::random().map_err(Error::from)?)));
    if kind.starts_with("multipart/form-data") {
        let rejected = |rejection: axum::extract::multipart::MultipartRejection| {
            Failure::new(rejection.status(), rejection.body_text())
        };
        let form = Multipart::from_request(request, &()).await.map_err(rejected)?;
        of_form(form, who, &folder, &temporary).await?;
    } else {
        let body = request.into_body().into_data_stream().map(|chunk| chunk.map_err(|_| cut_off()));
        write(body, &folder, &temporary.0).await?;
    }
    let id = accept(site, &temporary).await?;
    let found = find(site, &id.to_string()).await?;
    let event = Event::new(Kind::BackupUploaded).with("FileName", found.backup.filename.as_str());
    events::record(&site.console.volume, &event.with("Username", who.name()));
    Ok(found.backup)
}

/// Removes what a crash left of uploads. Nobody else writes any: the console's lock is held.
pub fn clear(volume: &Volume) {
    for entry in fs::read_dir(volume.backups()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(".tmp"));
        if is_ours && let Err(error) = durable::remove_file(&entry.path()) {
            log::warn!("what is left of an upload was not removed: {error}");
        }
    }
}

async fn of_form(mut form: Multipart, who: &Who, folder: &Path, temporary: &Temporary) -> Answer<()> {
    let mut awaited = who.csrf_awaited;
    while let Some(field) = in_time(form.next_field()).await?.map_err(broken)? {
        if field.name() == Some(CSRF_FIELD) && field.file_name().is_none() {
            who.check_csrf(&in_time(token_of(field)).await??)?;
            awaited = false;
        } else if field.file_name().is_some() {
            if awaited {
                // The token has to come first: nothing is written for somebody else's page.
                who.check_csrf("")?;
            }
            return write(field.map(|chunk| chunk.map_err(|_| cut_off())), folder, &temporary.0).await;
        }
    }
    Err(Failure::new(StatusCode::BAD_REQUEST, "the form has no file in it"))
}

/// The CSRF token, of which nobody knows yet whose it is: no more than a token is read.
async fn token_of(mut field: Field<'_>) -> Answer<String> {
    let mut token = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        token.extend_from_slice(&chunk);
        if token.len() > LONGEST_TOKEN {
            return Err(Failure::new(StatusCode::FORBIDDEN, "the CSRF token is too long to be one"));
        }
    }
    Ok(String::from_utf8_lossy(&token).into_owned())
}

async fn in_time<T>(come: impl Future<Output = T>) -> Answer<T> {
    let slow = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "the upload has stopped");
    tokio::time::timeout(PATIENCE, come).await.map_err(slow)
}

fn broken(_: axum::extract::multipart::MultipartError) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "the form makes no sense")
}

fn cut_off() -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, "the upload was cut off")
}

async fn write(chunks: impl Stream<Item = Answer<Bytes>>, folder: &Path, temporary: &Path) -> Answer<()> {
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
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "the backup is too long"));
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

fn refuse_no_room(folder: &Path, bytes: u64) -> Answer<()> {
    let free = nix::sys::statvfs::statvfs(folder).on("look at", folder)?;
    #[allow(clippy::useless_conversion, reason = "the types differ by platform")]
    let free = u64::from(free.blocks_available()).saturating_mul(u64::from(free.fragment_size()));
    if free.saturating_sub(bytes) < STAYS_FREE {
        return Err(Failure::new(StatusCode::INSUFFICIENT_STORAGE, "there is no room for it")
            .hint("free space where the backups are kept"));
    }
    Ok(())
}

/// Verifies it, and gives it its name.
async fn accept(site: &Site, temporary: &Temporary) -> Answer<Id> {
    let path = temporary.0.clone();
    let scrubbed = blocking(move || {
        let file = fs::File::open(&path).on("open", &path)?;
        let scrubbed = seqbac::scrub(std::io::BufReader::with_capacity(256 << 10, file));
        scrubbed.map_err(|error| Error::from(error).context("the upload is no whole backup"))
    })
    .await?;
    let header = scrubbed.header;
    if find(site, &header.id.to_string()).await.is_ok() {
        return Err(Failure::new(StatusCode::CONFLICT, "this backup is there already"));
    }
    if header.key_fingerprint == site.console.key.fingerprint() {
        verify(site, &temporary.0).await?;
    }
    let (from, folder) = (temporary.0.clone(), site.console.volume.backups());
    let (created, id) = (header.created, header.id);
    blocking(move || name(&from, &folder, created, id)).await?;
    Ok(id)
}

async fn verify(site: &Site, file: &Path) -> Answer<()> {
    let no_text = || Error::new(Code::Unexpected, "the path of the folder of backups is no UTF-8 text");
    let file = file.to_str().ok_or_else(no_text)?;
    let found = site.console.jobs.verb(&site.console, &["verify", "--json", "--", file]).await?;
    // The object of `verify` has an error for each backup.
    let error = found.pointer("/backups/0/error/error").or_else(|| found.pointer("/backups/0/error"));
    match error.and_then(serde_json::Value::as_str) {
        None => Ok(()),
        Some(error) => {
            let error = error.replace(file, "the upload");
            Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, error))
        }
    }
}

/// As an immediate backup of its time: never as a scheduled one, which retention would count.
fn name(from: &Path, folder: &Path, created: jiff::Timestamp, id: Id) -> Result<()> {
    let plain = backup::immediate(created);
    let stem = plain.trim_end_matches(".seqbac");
    let own = format!("{stem}-{}.{}", &id.to_string()[..8], backup::EXTENSION);
    for name in [plain.as_str(), &own] {
        if durable::rename_new(from, &folder.join(name))? {
            return Ok(());
        }
    }
    Err(Error::new(Code::ConfirmationNeeded, "a backup of this time is there already"))
}
