//! A backup's file, whole or a part of it (RFC 9110 §14), so that a download that was cut off goes on.

use std::{io::SeekFrom, os::unix::fs::MetadataExt};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::Found;
use crate::{Failure, failure::Answer};
use volume::error::{Code, Error, IoContext};

const CHUNK: usize = 64 << 10;

/// Which part of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// First byte, and the one after the last.
    Part(u64, u64),
    Nothing,
}

/// The answer to a `GET` of its file.
///
/// # Errors
/// 404 where it has gone meanwhile, 416 for a part that it does not have.
pub async fn file(found: &Found, headers: &HeaderMap) -> Answer<Response> {
    let opened = tokio::fs::File::open(&found.file).await;
    let mut file = match opened {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(Failure::not_found("backup")),
        other => other.on("open", &found.file)?,
    };
    let meta = file.metadata().await.on("look at", &found.file)?;
    let length = meta.len();
    let tag = format!("\"{}-{length}-{}\"", &found.backup.id["backup-".len()..], meta.mtime());
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|one| one.trim() == tag)) {
        return Ok(finish(StatusCode::NOT_MODIFIED.into_response(), &tag));
    }
    let is_current = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let range = text(header::RANGE).filter(|_| is_current);
    let (first, end, status) = match range.map_or(Wanted::Whole, |range| wanted(range, length)) {
        Wanted::Whole => (0, length, StatusCode::OK),
        Wanted::Part(first, end) => (first, end, StatusCode::PARTIAL_CONTENT),
        Wanted::Nothing => {
            let mut failure = Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "the file has no such part");
            failure.header = Some(Box::new((header::CONTENT_RANGE, value(&format!("bytes */{length}"))?)));
            return Err(failure);
        }
    };
    file.seek(SeekFrom::Start(first)).await.on("read", &found.file)?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(end - first), CHUNK));
    let mut response = (status, body).into_response();
    let all = response.headers_mut();
    if status == StatusCode::PARTIAL_CONTENT {
        all.insert(header::CONTENT_RANGE, value(&format!("bytes {first}-{}/{length}", end - 1))?);
    }
    all.insert(header::CONTENT_LENGTH, HeaderValue::from(end - first));
    as_attachment(all, &found.backup.filename)?;
    Ok(finish(response, &tag))
}

/// Has a browser save it under this name.
///
/// # Errors
/// None in practice.
pub fn as_attachment(headers: &mut HeaderMap, name: &str) -> Answer<()> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    let plain: String = name.chars().map(|char| if is_plain(char) { char } else { '_' }).collect();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, value(&format!("attachment; filename=\"{plain}\""))?);
    Ok(())
}

fn finish(mut response: Response, tag: &str) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // Kept, but asked about each time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn value(text: &str) -> Answer<HeaderValue> {
    let bug = |_| Error::new(Code::Bug, "a header has characters that it cannot have");
    Ok(HeaderValue::from_str(text).map_err(bug)?)
}

/// Several parts at once, and what cannot be understood, are answered with the whole, as they may be.
fn wanted(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (first, last) {
        ("", last) => match number(last) {
            Some(0) => Wanted::Nothing,
            Some(_) if length == 0 => Wanted::Nothing,
            Some(count) => Wanted::Part(length.saturating_sub(count), length),
            None => Wanted::Whole,
        },
        (first, last) => match (number(first), last.is_empty(), number(last)) {
            (Some(first), _, _) if first >= length => Wanted::Nothing,
            (Some(first), true, _) => Wanted::Part(first, length),
            (Some(first), false, Some(last)) if first <= last => {
                Wanted::Part(first, length.min(last.saturating_add(1)))
            }
            _ => Wanted::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_understood() {
        for (range, expected) in [
            ("bytes=0-9", Wanted::Part(0, 10)),
            ("bytes=90-", Wanted::Part(90, 100)),
            ("bytes=-10", Wanted::Part(90, 100)),
            ("bytes=-1000", Wanted::Part(0, 100)),
            ("bytes=50-1000", Wanted::Part(50, 100)),
            ("bytes=0-18446744073709551615", Wanted::Part(0, 100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-0", Wanted::Whole),
            ("bytes=0-1,5-6", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("items=0-9", Wanted::Whole),
            ("bytes=99999999999999999999-", Wanted::Whole),
        ] {
            assert_eq!(wanted(range, 100), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Nothing);
    }
}
