//! The objects in the metastore, a file per type: functions over a connection, with Seq's shapes (PascalCase JSON).
//!
//! They validate their input, so that the metastore holds valid objects only. They do not check permissions; the routes do.

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

/// API paths of an entity, by name, relative to the console's root.
pub type Links = BTreeMap<String, String>;

/// The link `Self`.
pub fn links(kind: &str, id: &str) -> Links {
    Links::from([("Self".to_owned(), format!("api/{kind}/{id}"))])
}

/// A new id in Seq's format: `user-…`.
pub fn new_id(kind: &str) -> Result<String> {
    Ok(format!("{kind}-{}", Id::random()?))
}

/// `N` random bytes in URL-safe base64.
pub fn random_text<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Code::Unexpected, format!("cannot read random numbers: {cause}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The SHA-256 of a token in hexadecimal. That is safe to store without a salt, because tokens are random.
pub fn token_hash(token: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn database_error(cause: &rusqlite::Error) -> Error {
    let code = match cause.sqlite_error_code() {
        Some(
            rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked | rusqlite::ErrorCode::DiskFull,
        ) => Code::TryAgain,
        _ => Code::Unexpected,
    };
    Error::new(code, format!("cannot use the console's database: {}", words(cause)))
}

/// Trims and checks a title: not empty, not too long, no control characters.
pub fn title(field: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::usage(format!("{field} is empty")));
    }
    short(field, text)?;
    if text.chars().any(char::is_control) {
        return Err(Error::usage(format!("{field} contains control characters")));
    }
    Ok(text.to_owned())
}

/// Limits the length of a stored text, so that it cannot fill the volume.
pub fn short(field: &str, text: &str) -> Result<()> {
    const LONGEST: usize = 1000;
    if text.len() > LONGEST {
        return Err(Error::usage(format!("{field} is too long: at most {LONGEST} bytes")));
    }
    if text.contains('\0') {
        return Err(Error::usage(format!("{field} contains a NUL character")));
    }
    Ok(())
}

/// Trims and checks an optional text; empty becomes `None`.
pub fn optional(field: &str, text: Option<String>) -> Result<Option<String>> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else { return Ok(None) };
    short(field, &text)?;
    Ok(Some(text))
}

/// Parses a column with JSON. Invalid JSON counts as empty.
fn from_json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::new(Code::Bug, format!("cannot write JSON: {cause}")))
}

fn not_found(kind: &str, id: &str) -> Error {
    let shown: String = id.chars().filter(|char| !char.is_control()).take(80).collect();
    Error::new(Code::NotFound, format!("no {kind} {shown:?}"))
}
