//! Sessions: a random token in a cookie, whose SHA-256 is kept. They end 30 days after they were used last.

use axum::http::{HeaderMap, HeaderValue, header};
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::Who;
use crate::entities::{random_text, stored, token_hash, users};
use volume::error::{Code, Error, Result};

/// The cookie.
pub const COOKIE: &str = "moorline-session";

const LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Its end is not put off at every request, which would be a write each.
const PUT_OFF: SignedDuration = SignedDuration::from_hours(24);
/// A user has no more of them: the oldest end.
const MOST: i64 = 50;

/// A session that was just made.
#[derive(Debug)]
pub struct Made {
    /// The cookie's value.
    pub token: String,
    /// Its CSRF token.
    pub csrf: String,
}

/// Makes one for a user.
///
/// # Errors
/// Where the database cannot be written.
pub fn create(connection: &Connection, user: &str) -> Result<Made> {
    let made = Made { token: random_text::<32>()?, csrf: random_text::<32>()? };
    let now = Timestamp::now();
    let write = || {
        connection.execute("DELETE FROM sessions WHERE expires < ?1", [now.to_string()])?;
        let oldest = "DELETE FROM sessions WHERE user_id = ?1 AND token_hash NOT IN
                      (SELECT token_hash FROM sessions WHERE user_id = ?1 ORDER BY created DESC LIMIT ?2)";
        connection.execute(oldest, params![user, MOST - 1])?;
        let sql =
            "INSERT INTO sessions (token_hash, user_id, csrf_token, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
        let values = params![token_hash(&made.token), user, made.csrf, now.to_string(), (now + LIFE).to_string()];
        connection.execute(sql, values)
    };
    write().map_err(|cause| stored(&cause))?;
    Ok(made)
}

/// Whose session this is.
///
/// # Errors
/// Where the database cannot be read.
pub fn find(connection: &Connection, token: &str) -> Result<Option<Who>> {
    let hash = token_hash(token);
    let sql = "SELECT user_id, csrf_token, expires FROM sessions WHERE token_hash = ?1";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2)?));
    let found = connection.query_row(sql, [&hash], read).optional().map_err(|cause| stored(&cause))?;
    let Some((user, csrf, expires)) = found else { return Ok(None) };
    let now = Timestamp::now();
    let Some(expires) = expires.parse::<Timestamp>().ok().filter(|expires| *expires > now) else { return Ok(None) };
    if expires < now + LIFE - PUT_OFF {
        let sql = "UPDATE sessions SET expires = ?2 WHERE token_hash = ?1";
        connection.execute(sql, [&hash, &(now + LIFE).to_string()]).map_err(|cause| stored(&cause))?;
    }
    let user = match users::find(connection, &user) {
        Err(error) if error.code() == Code::NotFound => return Ok(None),
        other => other?,
    };
    let permissions = user.permissions();
    Ok(Some(Who { permissions, user: Some(user), csrf: Some(csrf), session: Some(hash), ..Who::default() }))
}

/// Ends one, by the hash of its token.
///
/// # Errors
/// Where the database cannot be written.
pub fn end(connection: &Connection, hash: &str) -> Result<()> {
    let done = connection.execute("DELETE FROM sessions WHERE token_hash = ?1", [hash]);
    done.map(drop).map_err(|cause| stored(&cause))
}

/// The cookie in a request.
#[must_use]
pub fn of_cookies(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, value)| *name == COOKIE && !value.is_empty()).map(|(_, value)| value.to_owned())
}

/// The cookie that a browser is given.
///
/// # Errors
/// None in practice.
pub fn cookie(token: &str, is_tls: bool) -> Result<HeaderValue> {
    set_cookie(token, LIFE.as_secs(), is_tls)
}

/// The cookie that makes a browser forget.
///
/// # Errors
/// None in practice.
pub fn no_cookie(is_tls: bool) -> Result<HeaderValue> {
    set_cookie("", 0, is_tls)
}

fn set_cookie(token: &str, seconds: i64, is_tls: bool) -> Result<HeaderValue> {
    let secure = if is_tls { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).map_err(|_| Error::new(Code::Bug, "a cookie has characters that it cannot have"))
}

/// One as it is stored.
#[derive(Debug)]
pub struct Kept([String; 5]);

/// Reads one, by the hash of its token, so that it can be put back after all of the user's have ended.
///
/// # Errors
/// Where the database cannot be read.
pub fn read(connection: &Connection, hash: &str) -> Result<Option<Kept>> {
    let sql = "SELECT token_hash, user_id, csrf_token, created, expires FROM sessions WHERE token_hash = ?1";
    let kept = |row: &rusqlite::Row<'_>| Ok(Kept([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
    connection.query_row(sql, [hash], kept).optional().map_err(|cause| stored(&cause))
}

/// Puts it back.
///
/// # Errors
/// Where the database cannot be written.
pub fn put_back(connection: &Connection, kept: &Kept) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO sessions (token_hash, user_id, csrf_token, created, expires)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(sql, kept.0.each_ref()).map(drop).map_err(|cause| stored(&cause))
}
