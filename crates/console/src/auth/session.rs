//! Sessions: the cookie holds a random token, the metastore its SHA-256. A session ends 30 days after its last use.

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::Principal;
use crate::entities::{Result, find as find_entity, random_text, token_hash, users::User};
use volume::error::{Code, Error};

pub(crate) const COOKIE: &str = "moorline-session";

const LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A session is extended at most once in this time, because each extension is a write.
const EXTENSION_INTERVAL: SignedDuration = SignedDuration::from_hours(24);
/// Sessions per user; beyond it the oldest ones end.
const MOST: i64 = 50;

#[derive(Debug)]
pub(crate) struct NewSession {
    pub token: String,
    pub csrf: String,
}

pub(crate) fn create(connection: &Connection, user: &str) -> Result<NewSession> {
    let made = NewSession { token: random_text::<32>()?, csrf: random_text::<32>()? };
    let now = Timestamp::now();
    connection.execute("DELETE FROM sessions WHERE expires < ?1", [now.to_string()])?;
    let oldest = "DELETE FROM sessions WHERE user_id = ?1 AND token_hash NOT IN
                  (SELECT token_hash FROM sessions WHERE user_id = ?1 ORDER BY created DESC LIMIT ?2)";
    connection.execute(oldest, params![user, MOST - 1])?;
    let sql = "INSERT INTO sessions (token_hash, user_id, csrf_token, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![token_hash(&made.token), user, made.csrf, now.to_string(), (now + LIFE).to_string()];
    connection.execute(sql, values)?;
    Ok(made)
}

/// The user of a session that has not expired. Extends the session.
pub(crate) fn find(connection: &Connection, token: &str) -> Result<Option<Principal>> {
    let hash = token_hash(token);
    let sql = "SELECT user_id, expires FROM sessions WHERE token_hash = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
    let Some((user, expires)) = connection.query_row(sql, [&hash], read).optional()? else { return Ok(None) };
    let now = Timestamp::now();
    let Some(expires) = expires.parse::<Timestamp>().ok().filter(|expires| *expires > now) else { return Ok(None) };
    if expires < now + LIFE - EXTENSION_INTERVAL {
        let sql = "UPDATE sessions SET expires = ?2 WHERE token_hash = ?1";
        connection.execute(sql, [&hash, &(now + LIFE).to_string()])?;
    }
    let user = match find_entity::<User>(connection, &user) {
        Err(error) if error.code() == Code::NotFound => return Ok(None),
        other => other?,
    };
    let permissions = user.permissions();
    Ok(Some(Principal { permissions, user: Some(user), session: Some(hash), is_open: false }))
}

pub(crate) fn end(connection: &Connection, hash: &str) -> Result<()> {
    connection.execute("DELETE FROM sessions WHERE token_hash = ?1", [hash])?;
    Ok(())
}

/// The value of a cookie of a request, if it is not empty.
pub(crate) fn read_cookie<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
}

/// The value of `Set-Cookie` for a new session, or, without a token, for the end of one.
pub(crate) fn cookie(token: Option<&str>, is_tls: bool) -> Result<HeaderValue> {
    let secure = if is_tls { "; Secure" } else { "" };
    let life = token.map_or(0, |_| LIFE.as_secs());
    set_cookie(COOKIE, token.unwrap_or_default(), life, secure)
}

/// `attributes` are further ones: `; Secure`.
pub(crate) fn set_cookie(name: &str, value: &str, seconds: i64, attributes: &str) -> Result<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{attributes}");
    let bug = |_| Error::new(Code::Bug, "the cookie contains invalid characters");
    Ok(HeaderValue::from_str(&text).map_err(bug)?)
}
