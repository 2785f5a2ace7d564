//! The objects in the metastore, a file per type: functions over a connection, with Seq's shapes (PascalCase JSON).
//!
//! They validate their input, so that the metastore holds valid objects only. They do not check permissions; the API does.

pub(crate) mod instances;
pub(crate) mod keys;
pub(crate) mod roles;
pub mod settings;
pub(crate) mod signals;
pub(crate) mod users;

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use crate::failure::InputError;
use seqbac_header::Id;
use volume::error::{Code, Error};

pub(crate) type Result<T> = std::result::Result<T, InputError>;

/// Objects that users create, change and remove, a table per kind.
pub(crate) trait Entity: Sized + Send + 'static {
    /// Absent fields stay as they are.
    type Input: DeserializeOwned + Send + 'static;
    /// What a change needs besides the input.
    type Context: Send + 'static;

    /// The table, and the path below `api/`.
    const TABLE: &'static str;
    /// The kind in ids.
    const ID: &'static str;
    /// The kind in messages.
    const NAME: &'static str;
    const COLUMNS: &'static str;
    const ORDER: &'static str = "title, id";
    /// Limited, because a list is a single response.
    const MOST: usize = 1000;

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self>;

    /// Inserts a row that [`Self::change`] completes.
    fn insert(connection: &Connection, id: &str, input: &Self::Input, context: &Self::Context) -> Result<()>;

    /// Validates and stores the input. Returns the changed object.
    fn change(self, connection: &Connection, input: Self::Input, context: Self::Context) -> Result<Self>;

    fn delete(&self, connection: &Connection, id: &str) -> Result<()> {
        connection.execute(&format!("DELETE FROM {} WHERE id = ?1", Self::TABLE), [id])?;
        Ok(())
    }
}

pub(crate) fn list<E: Entity>(connection: &Connection) -> Result<Vec<E>> {
    let sql = format!("SELECT {} FROM {} ORDER BY {}", E::COLUMNS, E::TABLE, E::ORDER);
    Ok(connection.prepare(&sql)?.query_map([], E::from_row)?.collect::<rusqlite::Result<_>>()?)
}

/// Fails with `NotFound`.
pub(crate) fn find<E: Entity>(connection: &Connection, id: &str) -> Result<E> {
    let sql = format!("SELECT {} FROM {} WHERE id = ?1", E::COLUMNS, E::TABLE);
    let found = connection.query_row(&sql, [id], E::from_row).optional()?;
    found.ok_or_else(|| not_found(E::NAME, id).into())
}

/// Fails with `Usage` for an invalid input, also below.
pub(crate) fn create<E: Entity>(connection: &mut Connection, input: E::Input, context: E::Context) -> Result<E> {
    let transaction = connection.transaction()?;
    if list::<E>(&transaction)?.len() >= E::MOST {
        return Err(Error::usage(format!("cannot create more than {} {}s", E::MOST, E::NAME)).into());
    }
    let id = new_id(E::ID)?;
    E::insert(&transaction, &id, &input, &context)?;
    let created = find::<E>(&transaction, &id)?.change(&transaction, input, context)?;
    transaction.commit()?;
    Ok(created)
}

pub(crate) fn update<E: Entity>(
    connection: &mut Connection,
    id: &str,
    input: E::Input,
    context: E::Context,
) -> Result<E> {
    let transaction = connection.transaction()?;
    let changed = find::<E>(&transaction, id)?.change(&transaction, input, context)?;
    transaction.commit()?;
    Ok(changed)
}

pub(crate) fn remove<E: Entity>(connection: &mut Connection, id: &str) -> Result<E> {
    let transaction = connection.transaction()?;
    let removed = find::<E>(&transaction, id)?;
    removed.delete(&transaction, id)?;
    transaction.commit()?;
    Ok(removed)
}

/// API paths of an entity, by name, relative to the console's root.
pub(crate) type Links = BTreeMap<String, String>;

pub(crate) fn links(kind: &str, id: &str) -> Links {
    Links::from([("Self".to_owned(), format!("api/{kind}/{id}"))])
}

/// In Seq's format: `user-…`.
fn new_id(kind: &str) -> Result<String> {
    Ok(format!("{kind}-{}", Id::random().map_err(Error::from)?))
}

/// `N` random bytes in URL-safe base64.
pub(crate) fn random_text<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::new(Code::Unexpected, format!("cannot read random numbers: {cause}")))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The SHA-256 of a token in hexadecimal. That is safe to store without a salt, because tokens are random.
pub(crate) fn token_hash(token: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Trims and checks a title: not empty, not too long, no control characters.
fn title(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InputError::new(field, Error::usage(format!("{field} is empty"))));
    }
    short(field, text)?;
    if text.chars().any(char::is_control) {
        return Err(InputError::new(field, Error::usage(format!("{field} contains control characters"))));
    }
    Ok(text.to_owned())
}

/// Limits the length of a stored text, so that it cannot fill the volume.
fn short(field: &'static str, text: &str) -> Result<()> {
    const LONGEST: usize = 1000;
    if text.len() > LONGEST {
        return Err(InputError::new(field, Error::usage(format!("{field} is too long: at most {LONGEST} bytes"))));
    }
    if text.contains('\0') {
        return Err(InputError::new(field, Error::usage(format!("{field} contains a NUL character"))));
    }
    Ok(())
}

/// Trims and checks an optional text; empty becomes `None`.
fn optional(field: &'static str, text: &str) -> Result<Option<String>> {
    short(field, text.trim())?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// Fails if a new object has no title.
fn require_title(field: &'static str, title: Option<&String>) -> Result<()> {
    let missing = || InputError::new(field, Error::usage(format!("{field} is missing")));
    title.map(drop).ok_or_else(missing)
}

/// Distinguishes null (`Some(None)`) from absent (`None`).
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Parses a column with JSON. Invalid JSON counts as empty.
fn from_json<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    Ok(serde_json::to_string(value).map_err(|cause| Error::new(Code::Bug, format!("cannot write JSON: {cause}")))?)
}

fn not_found(kind: &str, id: &str) -> Error {
    let shown: String = id.chars().filter(|char| !char.is_control()).take(80).collect();
    Error::new(Code::NotFound, format!("no {kind} {shown:?}"))
}
