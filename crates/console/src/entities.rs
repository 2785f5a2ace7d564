//! What the metastore holds, one file a kind: plain functions over a connection, with Seq's shapes (PascalCase JSON).
//!
//! They check what they are given, so that whatever is stored makes sense. They do not ask who wants it: the routes do.

pub mod instances;
pub mod keys;
pub mod roles;
pub mod settings;
pub mod signals;
pub mod users;

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;

use engine::store::sqlite::words;
use seqbac_header::Id;
use volume::error::{Code, Error, Result};

/// `Links`: where an entity is, by name, relative to the console's root.
pub type Links = BTreeMap<String, String>;

/// `Self`, below `api/`.
#[must_use]
pub fn links(kind: &str, id: &str) -> Links {
    Links::from([("Self".to_owned(), format!("api/{kind}/{id}"))])
}

/// A new id, as Seq's: `user-…`.
///
/// # Errors
/// Where the kernel has no random numbers.
pub fn new_id(kind: &str) -> Result<String> {
    Ok(format!("{kind}-{}", Id::random()?))
}

/// As many random bytes, in base64 that fits into URLs and cookies.
///
/// # Errors
/// Where the kernel has no random numbers.
pub fn random_text<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Code::Unexpected, format!("the kernel gives no random numbers: {cause}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// SHA-256 of a token that is random itself, in hexadecimal: what is kept of it.
#[must_use]
pub fn token_hash(token: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The database's failure, in words.
#[must_use]
pub fn stored(cause: &rusqlite::Error) -> Error {
    let code = match cause.sqlite_error_code() {
        Some(
            rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked | rusqlite::ErrorCode::DiskFull,
        ) => Code::TryAgain,
        _ => Code::Unexpected,
    };
    Error::new(code, format!("the console's database cannot be used: {}", words(cause)))
}

/// A text that a person reads: not empty, not too long, on one line.
///
/// # Errors
/// `Usage`, with the field's name.
pub fn title(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::usage(format!("{field} is empty")));
    }
    short(field, text)?;
    if text.chars().any(char::is_control) {
        return Err(Error::usage(format!("{field} has control characters in it")));
    }
    Ok(text.to_owned())
}

/// A text that is kept, and does not fill the volume.
///
/// # Errors
/// `Usage`, with the field's name.
pub fn short(field: &str, text: &str) -> Result<()> {
    const LONGEST: usize = 1000;
    if text.len() > LONGEST {
        return Err(Error::usage(format!("{field} is too long: at most {LONGEST} bytes")));
    }
    if text.contains('\0') {
        return Err(Error::usage(format!("{field} has a NUL in it")));
    }
    Ok(())
}

/// Text of a person's that may be absent; empty is absent.
///
/// # Errors
/// As [`short`].
pub fn optional(field: &str, text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else { return Ok(None) };
    short(field, &text)?;
    Ok(Some(text))
}

/// A column that holds JSON. One that somebody else wrote wrongly counts as empty.
fn from_json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::new(Code::Bug, format!("cannot be written as JSON: {cause}")))
}

/// That there is no such entity.
fn none_such(kind: &str, id: &str) -> Error {
    let shown: String = id.chars().filter(|char| !char.is_control()).take(80).collect();
    Error::new(Code::NotFound, format!("there is no {kind} {shown:?}"))
}
