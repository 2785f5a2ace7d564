//! What is wrong with a database.
//!
//! A server may define collations, functions and modules that we lack. What uses one cannot be checked, which is a
//! warning; that it is damaged is a finding.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    facts::DatabaseFacts,
    source::{explain, is_malformed, lacks_something, prepare, words},
};
use volume::error::{IoContext, Result};

/// What a check came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) findings: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Pages, records and their order; not whether each index has every row (`integrity_check` would take ten times as
/// long).
pub(super) fn quick_check(connection: &Connection) -> Verdict {
    let mut verdict = Verdict::default();
    match ask(connection, "PRAGMA quick_check") {
        (_, Some(Obstacle::Lacking(_))) => check_tables(connection, &mut verdict),
        (said, Some(Obstacle::Damage(why))) => verdict.findings.extend(said.into_iter().chain([why])),
        (said, None) => verdict.findings = said,
    }
    verdict
}

/// One table after the other, without those that cannot be checked.
fn check_tables(connection: &Connection, verdict: &mut Verdict) {
    let mut tables = Vec::new();
    if let Err(cause) =
        texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &mut tables)
    {
        verdict.findings.push(words(&cause));
    }
    for table in tables {
        let (said, obstacle) = ask(connection, &format!("PRAGMA quick_check({})", quoted(&table)));
        verdict.findings.extend(said);
        match obstacle {
            Some(Obstacle::Lacking(what)) => {
                verdict.warnings.push(format!("table {table} cannot be checked here: {what}"));
            }
            Some(Obstacle::Damage(why)) => verdict.findings.push(format!("table {table}: {why}")),
            None => {}
        }
    }
}

/// What the check says, and what kept it from saying more.
fn ask(connection: &Connection, check: &str) -> (Vec<String>, Option<Obstacle>) {
    let mut said = Vec::new();
    let cause = texts(connection, check, &mut said).err();
    said.retain(|line| line != "ok");
    let obstacle = cause.map(|cause| match lacks_something(&cause) {
        true => Obstacle::Lacking(words(&cause)),
        false => Obstacle::Damage(words(&cause)),
    });
    (said, obstacle)
}

/// Why a check ended early.
enum Obstacle {
    /// A collation, function, tokenizer or module of the server's.
    Lacking(String),
    /// It could not be read any further.
    Damage(String),
}

fn texts(connection: &Connection, sql: &str, into: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        into.push(lossy(row.get_ref(0)?.as_bytes().unwrap_or(b"?")));
    }
    Ok(())
}

/// Damage may be in a name, too.
fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A name as SQL takes it.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Checks the image of a database at `path`, which nobody else uses, against what the manifest says about it. Returns
/// what is wrong with it that the manifest does not know of. Neither it nor anything beside it is changed.
///
/// # Errors
/// Where it cannot be read at all.
pub fn check_image(path: &Path, expected: &DatabaseFacts) -> Result<Vec<String>> {
    let bytes = path.symlink_metadata().on("look at", path)?.len();
    let mut findings = Vec::new();
    differs(&mut findings, "size in bytes", &bytes, &expected.bytes);
    match open_image(path, false).and_then(|image| examine(&image, expected)) {
        Ok(found) => findings.extend(found),
        Err(cause) if is_malformed(&cause) => {
            findings.push(words(&cause));
            // Only what SQLite can be talked into reading can be checked further.
            let again = open_image(path, true).and_then(|image| examine(&image, expected));
            findings.extend(again.unwrap_or_default());
        }
        Err(cause) => return Err(explain("check the database", path, &cause)),
    }
    findings.retain(|finding| !expected.findings.contains(finding));
    findings.dedup();
    Ok(findings)
}

/// `immutable` reads an image in WAL mode without its `-wal` and `-shm`, makes none, and takes no locks.
pub(in crate::store) fn open_image(path: &Path, lenient: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let image = Connection::open_with_flags(immutable(path), flags)?;
    prepare(&image, lenient)?;
    Ok(image)
}

/// The URI of the image at `path`.
pub(in crate::store) fn immutable(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

fn examine(image: &Connection, expected: &DatabaseFacts) -> rusqlite::Result<Vec<String>> {
    let number = |pragma: &str| image.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let mut findings = Vec::new();
    // The first read, so that the size of a page is the image's own.
    let user_version = number("user_version")?;
    let verdict = quick_check(image);
    if expected.page_count > 0 {
        differs(&mut findings, "page_size", &number("page_size")?, &expected.page_size.into());
    }
    differs(&mut findings, "page_count", &number("page_count")?, &expected.page_count.into());
    differs(&mut findings, "application_id", &number("application_id")?, &expected.application_id.into());
    differs(&mut findings, "user_version", &user_version, &expected.user_version.into());
    findings.extend(verdict.findings);
    Ok(findings)
}

fn differs<T: PartialEq + std::fmt::Display>(findings: &mut Vec<String>, what: &str, is: &T, expected: &T) {
    if is != expected {
        findings.push(format!("its {what} is {is}, and the backup says {expected}"));
    }
}
