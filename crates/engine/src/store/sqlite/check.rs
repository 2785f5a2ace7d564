//! Integrity checks of databases.
//!
//! Damage is a finding. These are only warnings:
//!
//! - A table that uses a collation, function or module of the server's own, which we lack, cannot be checked.
//! - A virtual table (FTS, R-tree) checks itself, and what it reports depends on the version of SQLite: an older one may
//!   have written a table of which a newer one complains. Damage to its shadow tables is found in these tables.

use std::os::unix::ffi::OsStrExt;

use rusqlite::{Connection, OpenFlags};

use super::{
    facts::DatabaseFacts,
    source::{explain, is_malformed, lacks_something, prepare, words},
};
use crate::prelude::*;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) findings: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Checks pages, records and their order, but not whether each index has every row, because `integrity_check` takes ten
/// times as long.
pub(super) fn quick_check(connection: &Connection) -> Verdict {
    let mut verdict = Verdict::default();
    match run_check(connection, "PRAGMA quick_check") {
        (_, Some(Interruption::Lacking(_))) => check_tables(connection, &mut verdict),
        (lines, Some(Interruption::Damage(why))) => verdict.findings.extend(lines.into_iter().chain([why])),
        (lines, None) => verdict.findings = lines,
    }
    if !verdict.findings.is_empty() {
        excuse_virtual_tables(connection, &mut verdict);
    }
    verdict
}

/// Turns findings that only concern virtual tables into warnings.
fn excuse_virtual_tables(connection: &Connection, verdict: &mut Verdict) {
    let mut tables = Vec::new();
    let virtual_tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'";
    // If the schema cannot be read, all findings stay findings.
    if texts(connection, virtual_tables, &mut tables).is_err() {
        return;
    }
    for table in tables {
        let (of_table, _) = run_check(connection, &format!("PRAGMA quick_check({})", quoted(&table)));
        let (excused, findings): (Vec<_>, Vec<_>) =
            std::mem::take(&mut verdict.findings).into_iter().partition(|finding| of_table.contains(finding));
        verdict.findings = findings;
        verdict.warnings.extend(excused);
    }
}

/// Checks one table after the other, with a warning for each that cannot be checked.
fn check_tables(connection: &Connection, verdict: &mut Verdict) {
    let mut tables = Vec::new();
    if let Err(cause) =
        texts(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name", &mut tables)
    {
        verdict.findings.push(words(&cause));
    }
    for table in tables {
        let (lines, interruption) = run_check(connection, &format!("PRAGMA quick_check({})", quoted(&table)));
        verdict.findings.extend(lines);
        match interruption {
            Some(Interruption::Lacking(what)) => {
                verdict.warnings.push(format!("cannot check table {table}: {what}"));
            }
            Some(Interruption::Damage(why)) => verdict.findings.push(format!("table {table}: {why}")),
            None => {}
        }
    }
}

/// Runs the check. Returns the faults that it reports, and the error that ended it early.
fn run_check(connection: &Connection, check: &str) -> (Vec<String>, Option<Interruption>) {
    let mut lines = Vec::new();
    let cause = texts(connection, check, &mut lines).err();
    lines.retain(|line| line != "ok");
    let interruption = cause.map(|cause| match lacks_something(&cause) {
        true => Interruption::Lacking(words(&cause)),
        false => Interruption::Damage(words(&cause)),
    });
    (lines, interruption)
}

enum Interruption {
    /// This SQLite lacks a collation, function, tokenizer or module that the server defines.
    Lacking(String),
    /// The database could not be read any further.
    Damage(String),
}

fn texts(connection: &Connection, sql: &str, into: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // A damaged database may contain names that are not UTF-8.
        into.push(String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or(b"?")).into_owned());
    }
    Ok(())
}

pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Checks the image of a database at `path`, which no other process uses, against its facts in the manifest. Returns
/// the faults that the manifest does not list. Changes neither the image nor the files next to it.
pub fn check_image(path: &Path, expected: &DatabaseFacts) -> Result<Vec<String>> {
    let bytes = path.symlink_metadata().on("read the metadata of", path)?.len();
    let mut findings = Vec::new();
    differs(&mut findings, "size in bytes", &bytes, &expected.bytes);
    match open_image(path, false).and_then(|image| examine(&image, expected)) {
        Ok(found) => findings.extend(found),
        Err(cause) if is_malformed(&cause) => {
            findings.push(words(&cause));
            // Continue with the parts that SQLite can read with `writable_schema`.
            let again = open_image(path, true).and_then(|image| examine(&image, expected));
            findings.extend(again.unwrap_or_default());
        }
        Err(cause) => return Err(explain("check the database", path, &cause)),
    }
    findings.retain(|finding| !expected.findings.contains(finding));
    findings.dedup();
    Ok(findings)
}

/// Opens an image with `immutable`: SQLite then reads a database in WAL mode without a `-wal` and `-shm`, creates
/// neither, and takes no locks.
pub(in crate::store) fn open_image(path: &Path, lenient: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let image = Connection::open_with_flags(immutable(path), flags)?;
    prepare(&image, lenient)?;
    Ok(image)
}

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
    // SQLite knows the image's page size only after the first read, so this comes first.
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
        findings.push(format!("its {what} is {is}, but the manifest says {expected}"));
    }
}

/// Counts the tables that have rows. Returns `None` if one cannot be read.
pub(super) fn filled_tables(connection: &Connection) -> Option<u32> {
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                 AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut query = connection.prepare(names).ok()?;
    let names: Vec<String> = query.query_map([], |row| row.get(0)).ok()?.collect::<Result<_, _>>().ok()?;
    let mut filled = 0;
    for name in names {
        let has_rows = format!("SELECT EXISTS (SELECT 1 FROM {})", quoted(&name));
        filled += connection.query_row(&has_rows, [], |row| row.get::<_, u32>(0)).ok()?;
    }
    Some(filled)
}
