//! Downloads of a backup file. Supports ranges (RFC 9110 §14), so that clients can resume a download.

use std::{io::SeekFrom, os::unix::fs::MetadataExt};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::BackupFile;
use crate::{Failure, failure::HttpResult};
use volume::error::{Code, Error, IoContext};

const CHUNK: usize = 64 << 10;

/// The part of a file that a client requests.
#[derive(Debug, PartialEq, Eq)]
enum RequestedRange {
    Whole,
    /// The first byte and the byte after the last.
    Part(u64, u64),
    Unsatisfiable,
}

/// The response to a `GET` of the file. Fails with 416 for a range outside the file.
pub(crate) async fn file(found: &BackupFile, headers: &HeaderMap) -> HttpResult<Response> {
    let opened = tokio::fs::File::open(&found.file).await;
    let mut file = match opened {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(Failure::not_found("backup")),
        other => other.on("open", &found.file)?,
    };
    let meta = file.metadata().await.on("access", &found.file)?;
    let length = meta.len();
    let tag = format!("\"{}-{length}-{}\"", &found.backup.id["backup-".len()..], meta.mtime());
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.split(',').any(|one| one.trim() == tag)) {
        return Ok(finish(StatusCode::NOT_MODIFIED.into_response(), &tag));
    }
    let is_current = text(header::IF_RANGE).is_none_or(|known| known == tag);
    let range = text(header::RANGE).filter(|_| is_current);
    let (first, end, status) = match range.map_or(RequestedRange::Whole, |range| parse_range(range, length)) {
        RequestedRange::Whole => (0, length, StatusCode::OK),
        RequestedRange::Part(first, end) => (first, end, StatusCode::PARTIAL_CONTENT),
        RequestedRange::Unsatisfiable => {
            let mut failure =
                Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter than the requested range");
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

/// Headers that make a browser save the response under this name.
pub(crate) fn as_attachment(headers: &mut HeaderMap, name: &str) -> HttpResult<()> {
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
    // A cache may keep the file, but must revalidate it each time.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn value(text: &str) -> HttpResult<HeaderValue> {
    let bug = |_| Error::new(Code::Bug, "a response header contains invalid characters");
    Ok(HeaderValue::from_str(text).map_err(bug)?)
}

/// Multiple ranges and invalid ranges are ignored, as RFC 9110 allows, so that the response is the whole file.
fn parse_range(range: &str, length: u64) -> RequestedRange {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return RequestedRange::Whole;
    };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (first, last) {
        ("", last) => match number(last) {
            Some(0) => RequestedRange::Unsatisfiable,
            Some(_) if length == 0 => RequestedRange::Unsatisfiable,
            Some(count) => RequestedRange::Part(length.saturating_sub(count), length),
            None => RequestedRange::Whole,
        },
        (first, last) => match (number(first), last.is_empty(), number(last)) {
            (Some(first), _, _) if first >= length => RequestedRange::Unsatisfiable,
            (Some(first), true, _) => RequestedRange::Part(first, length),
            (Some(first), false, Some(last)) if first <= last => {
                RequestedRange::Part(first, length.min(last.saturating_add(1)))
            }
            _ => RequestedRange::Whole,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed() {
        for (range, expected) in [
            ("bytes=0-9", RequestedRange::Part(0, 10)),
            ("bytes=90-", RequestedRange::Part(90, 100)),
            ("bytes=-10", RequestedRange::Part(90, 100)),
            ("bytes=-1000", RequestedRange::Part(0, 100)),
            ("bytes=50-1000", RequestedRange::Part(50, 100)),
            ("bytes=0-18446744073709551615", RequestedRange::Part(0, 100)),
            ("bytes=100-", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            ("bytes=9-0", RequestedRange::Whole),
            ("bytes=0-1,5-6", RequestedRange::Whole),
            ("bytes=a-b", RequestedRange::Whole),
            ("bytes=-", RequestedRange::Whole),
            ("items=0-9", RequestedRange::Whole),
            ("bytes=99999999999999999999-", RequestedRange::Whole),
        ] {
            assert_eq!(parse_range(range, 100), expected, "{range}");
        }
        assert_eq!(parse_range("bytes=0-", 0), RequestedRange::Unsatisfiable);
    }
}
