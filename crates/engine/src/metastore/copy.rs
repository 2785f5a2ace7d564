//! Makes a restored copy of the metastore the volume's own: deletes all sessions, and seals every secret with the
//! volume's key.

use rusqlite::{Connection, params};

use super::schema;
use crate::{
    prelude::*,
    sealed::{Seal, sealed_with},
    store::sqlite::{Edit, words},
};

/// Adopts the copy at `path`, which no other process knows. `backup` is the key of the backup that contained it, `own`
/// that of the volume. Returns a note for each secret that could not be opened and was therefore removed. Fails if the
/// copy is damaged or newer than this version.
pub(crate) fn adopt(path: &Path, backup: &SecretKey, own: &SecretKey) -> Result<Vec<String>> {
    let edit = Edit::begin(path, Duration::ZERO)?;
    let changed = change(edit.connection(), backup, own)?;
    edit.commit()?;
    Ok(changed)
}

fn change(connection: &Connection, backup: &SecretKey, own: &SecretKey) -> Result<Vec<String>> {
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).map_err(unusable)?;
    if version > schema::newest() {
        let what =
            format!("the backup's copy of the console's database has version {version}, written by a newer moorline");
        return Err(Error::new(Code::ContentMismatch, what).hint("restore it with that version; nothing was changed"));
    }
    connection.execute("DELETE FROM sessions", []).map_err(unusable)?;
    let mut notes = Vec::new();
    for (name, sealed) in secrets(connection).map_err(unusable)? {
        if sealed_with(&sealed).is_some_and(|fingerprint| fingerprint == own.fingerprint().to_string()) {
            continue;
        }
        let done = match backup.unseal(&name, &sealed) {
            Ok(text) => connection
                .execute("UPDATE secrets SET sealed = ?2 WHERE name = ?1", params![name, own.seal(&name, &text)?]),
            Err(why) => {
                notes.push(format!(
                    "the console's secret {name} cannot be decrypted and was removed: {}",
                    why.message()
                ));
                connection.execute("DELETE FROM secrets WHERE name = ?1", [&name])
            }
        };
        done.map_err(unusable)?;
    }
    Ok(notes)
}

fn secrets(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut query = connection.prepare("SELECT name, sealed FROM secrets ORDER BY name")?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

#[allow(clippy::needless_pass_by_value, reason = "map_err gives it away")]
fn unusable(cause: rusqlite::Error) -> Error {
    let what = format!("cannot use the backup's copy of the console's database: {}", words(&cause));
    Error::new(Code::ContentMismatch, what).hint("restore another backup; nothing was changed")
}
