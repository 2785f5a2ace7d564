//! Databases of other engines than SQLite, recognised by their names and their first bytes.
//!
//! A plain copy of such a database is consistent only if nothing writes to it meanwhile. A wrong hit makes every backup
//! doubtful, so each signature needs a name *and* content, or a magic number with a second fact beside it. The survey reads the
//! first `HEAD` bytes of every file anyway, so recognising costs no further open.

mod in_use;

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::Metadata,
    os::unix::ffi::OsStrExt,
};

use self::in_use::in_use;
use super::{Matcher, Survey, server::Server};
use crate::prelude::*;
use profile::{Capture, builtin};

/// How many of a file's first bytes a signature may use.
pub(super) const HEAD: usize = 24;
/// Databases of one engine that are named one by one as reasons.
const NAMED: usize = 3;

/// An engine whose files moorline recognises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    PostgreSql,
    MariaDb,
    MySql,
    Redis,
    MongoDb,
    WiredTiger,
    RocksDb,
    LevelDb,
    Lmdb,
    Bbolt,
    DuckDb,
    SqlCipher,
    InfluxDb,
    Lucene,
}

/// All engines: the name, what its files are, and what to back up in place of them.
const ENGINES: [(Engine, &str, &str, &str); 14] = [
    (Engine::PostgreSql, "PostgreSQL", "a PostgreSQL cluster", "what `pg_basebackup` or `pg_dump` writes"),
    (Engine::MariaDb, "MariaDB", "a MariaDB data directory", "what `mariadb-backup` or `mariadb-dump` writes"),
    (Engine::MySql, "MySQL", "a MySQL data directory", "what `mysqldump` writes"),
    (Engine::Redis, "Redis", "a Redis database", "what `redis-cli --rdb` writes"),
    (Engine::MongoDb, "MongoDB", "a MongoDB data directory", "what `mongodump` writes"),
    (Engine::WiredTiger, "WiredTiger", "a WiredTiger database", "a dump of it"),
    (Engine::RocksDb, "RocksDB", "a RocksDB database", "a checkpoint of it"),
    (Engine::LevelDb, "LevelDB", "a LevelDB database", "an export of it"),
    (Engine::Lmdb, "LMDB", "an LMDB database", "what `mdb_copy` writes"),
    (Engine::Bbolt, "bbolt", "a bbolt database", "the snapshot that its server offers"),
    (Engine::DuckDb, "DuckDB", "a DuckDB database", "what `EXPORT DATABASE` writes"),
    (Engine::SqlCipher, "SQLCipher", "an encrypted SQLite database", "what `sqlcipher_export` writes"),
    (Engine::InfluxDb, "InfluxDB", "InfluxDB data", "what `influx backup` or `influxd backup` writes"),
    (Engine::Lucene, "Elasticsearch/Lucene", "a Lucene index", "a snapshot of the server's snapshot API"),
];

impl Engine {
    fn name(self) -> &'static str {
        ENGINES.iter().find(|row| row.0 == self).map_or("unknown", |row| row.1)
    }
}

/// What the survey recognised.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recognised {
    /// The folder, or the file if the database is one; `None` is the storage root.
    pub path: Option<RelPath>,
    pub engine: Engine,
    /// The file with the signature.
    pub marker: RelPath,
}

/// A database of another engine, as the manifest, `status` and `profile check` show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignDatabase {
    /// The folder, or the file if the database is one; absent if it is the storage root itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<RelPath>,
    /// The engine's name.
    pub engine: String,
    /// Why it is, or may be, in use. Absent if nothing shows that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_use: Option<String>,
    /// Whether the profile accepts a copy of it while it is in use.
    #[serde(default)]
    pub accepted: bool,
    /// The capture of the profile that copies it while the server runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
}

impl ForeignDatabase {
    /// Whether a copy of it may be inconsistent.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.in_use.is_some() && !self.accepted && self.capture.is_none()
    }

    /// The path, or "the storage root".
    #[must_use]
    pub fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| "the storage root".to_owned(), ToString::to_string)
    }

    /// "a PostgreSQL cluster"
    #[must_use]
    pub fn what(&self) -> String {
        let row = ENGINES.iter().find(|row| row.1 == self.engine);
        row.map_or_else(|| format!("a database of {}", self.engine), |row| row.2.to_owned())
    }

    /// What to do, so that its copy is consistent.
    fn advice(&self) -> String {
        let name = self.engine.to_lowercase();
        if builtin::all().iter().any(|profile| profile.name == name) {
            return format!(
                "use the built-in profile `{name}` (docs/servers.md), or take the backup while the server is stopped"
            );
        }
        let row = ENGINES.iter().find(|row| row.1 == self.engine);
        let other = row.map_or("a dump of it", |row| row.3);
        format!(
            "take the backup while the server is stopped, or back up {other}, with a capture in the profile (docs/profiles.md)"
        )
    }

    /// Whether its copy is consistent, as a sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        let (place, what) = (self.place(), self.what());
        match (&self.in_use, &self.capture) {
            (_, Some(capture)) => {
                format!("{place} is {what}; while the server runs, the capture {capture:?} copies it")
            }
            (None, None) => format!("{place} is {what} that no server uses, so its copy is consistent"),
            (Some(why), None) if self.accepted => {
                format!("{place} is {what} in use ({why}), which the profile accepts")
            }
            (Some(why), None) => {
                format!("{place} is {what} in use ({why}), so its copy may be inconsistent: {}", self.advice())
            }
        }
    }
}

/// Why copies of these databases make a backup doubtful. An engine with many folders is named a few times only.
#[must_use]
pub fn reasons(found: &[ForeignDatabase]) -> Vec<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut reasons = Vec::new();
    for live in found.iter().filter(|database| database.is_live()) {
        let count = counts.entry(&live.engine).or_default();
        *count += 1;
        if *count <= NAMED {
            reasons.push(live.in_words());
        }
    }
    let mut more: Vec<_> = counts.into_iter().filter(|(_, count)| *count > NAMED).collect();
    more.sort_unstable();
    reasons.extend(more.into_iter().map(|(engine, count)| format!("{engine}: {} more are in use", count - NAMED)));
    reasons
}

/// The databases of the survey, each with whether it is in use at this moment.
/// `captures` may copy some of them while the server runs.
pub fn databases<'a>(
    volume: &Volume,
    profile: &Profile,
    captures: impl Iterator<Item = &'a Capture>,
    survey: &Survey,
) -> Result<Vec<ForeignDatabase>> {
    if survey.foreign.is_empty() {
        return Ok(Vec::new());
    }
    let accepted = Matcher::of(&Scope { files: profile.accept_live.clone(), ..Scope::default() })?;
    let server = Server::of(volume)?;
    let mut claimed = Vec::new();
    for capture in captures.filter(|_| server.may_run()) {
        claimed.push((capture, Matcher::of(&Scope { files: capture.globs().to_vec(), ..Scope::default() })?));
    }
    let copies = |path: &RelPath| {
        let copies =
            |(capture, globs): &&(&Capture, Matcher)| capture.copies(path) || globs.takes(path, PathKind::File);
        claimed.iter().find(copies).map(|(capture, _)| capture.name.clone())
    };
    let database = |found: &Recognised| {
        let is_accepted = |path| accepted.takes(path, PathKind::File);
        Ok(ForeignDatabase {
            path: found.path.clone(),
            engine: found.engine.name().to_owned(),
            in_use: in_use(volume.root(), found, &server)?,
            capture: copies(&found.marker),
            accepted: found.path.as_ref().is_some_and(is_accepted) || is_accepted(&found.marker),
        })
    };
    survey.foreign.iter().map(database).collect()
}

/// The part of the volume that a database occupies, as seen from the file with its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    File,
    Folder,
    /// The file whose `-wal` has the signature.
    Base,
}

/// Recognises a database by one file, its first bytes, and the names beside it. `has` looks up a path relative to the file's
/// folder, and is called only if the rest fits.
pub(super) fn recognise(
    name: &OsStr,
    head: &[u8],
    size: u64,
    beside: &HashMap<OsString, Metadata>,
    has: impl Fn(&str) -> bool,
) -> Option<(Engine, Extent)> {
    let file = |name: &str| beside.get(OsStr::new(name)).filter(|meta| meta.is_file());
    let folder = |name: &str| beside.get(OsStr::new(name)).is_some_and(Metadata::is_dir);
    let bytes = name.as_bytes();
    let of_folder = |engine| Some((engine, Extent::Folder));
    match bytes {
        // https://www.postgresql.org/docs/current/storage-file-layout.html: `base/N/PG_VERSION` has no `global` beside it.
        b"PG_VERSION" if head.first().is_some_and(u8::is_ascii_digit) && folder("global") && folder("base") => {
            return has("global/pg_control").then_some((Engine::PostgreSql, Extent::Folder));
        }
        // The system tablespace has whole pages of 4 KiB at least, and page 0 says so in bytes 4 to 8 (FIL_PAGE_OFFSET):
        // https://github.com/mysql/mysql-server/blob/8.0/storage/innobase/include/fil0types.h
        b"ibdata1" if size >= 1 << 20 && size.is_multiple_of(4096) && head.get(4..8) == Some(&[0; 4]) => {
            if file("aria_log_control").is_some() {
                return of_folder(Engine::MariaDb);
            }
            let has_log = file("ib_logfile0").is_some() || folder("#innodb_redo");
            return has_log.then_some((Engine::MySql, Extent::Folder));
        }
        // https://source.wiredtiger.com/develop/arch-metadata.html
        b"WiredTiger" if head.starts_with(b"WiredTiger\n") && file("WiredTiger.wt").is_some() => {
            let is_mongo = file("mongod.lock").is_some() || file("storage.bson").is_some();
            return of_folder(if is_mongo { Engine::MongoDb } else { Engine::WiredTiger });
        }
        // https://github.com/google/leveldb/blob/main/doc/impl.md; RocksDB adds IDENTITY and OPTIONS-*.
        b"CURRENT" if head.starts_with(b"MANIFEST-") => {
            let starts = |start: &[u8]| beside.keys().any(|name| name.as_bytes().starts_with(start));
            if !starts(b"MANIFEST-") {
                return None;
            }
            let is_rocks = file("IDENTITY").is_some() || starts(b"OPTIONS-");
            return of_folder(if is_rocks { Engine::RocksDb } else { Engine::LevelDb });
        }
        _ => {}
    }
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    let ends = |suffix: &[u8]| bytes.ends_with(suffix);
    // https://github.com/redis/redis/blob/7.0/src/rdb.c (`REDIS%04d`) and src/aof.c (`file NAME seq …`)
    let is_rdb = at(0, b"REDIS") && head.get(5..9).is_some_and(|version| version.iter().all(u8::is_ascii_digit));
    if let Some(log) = bytes.strip_suffix(b".manifest") {
        let named = head.strip_prefix(b"file ").unwrap_or_default();
        return (log.ends_with(b".aof") && !named.is_empty() && (log.starts_with(named) || named.starts_with(log)))
            .then_some((Engine::Redis, Extent::Folder));
    }
    if is_rdb && ends(b".base.rdb") {
        return of_folder(Engine::Redis);
    }
    if (is_rdb && (ends(b".rdb") || ends(b".aof"))) || (ends(b".aof") && head.starts_with(b"*2\r\n$6\r\nSELECT\r\n")) {
        return Some((Engine::Redis, Extent::File));
    }
    // https://lucene.apache.org/core/9_0_0/core/org/apache/lucene/codecs/CodecUtil.html: magic, then the codec's name
    if bytes.starts_with(b"segments_") && at(0, b"\x3f\xd7\x6c\x17\x08segments") {
        return of_folder(Engine::Lucene);
    }
    // https://github.com/influxdata/influxdb/blob/v1.8.10/tsdb/engine/tsm1/writer.go: MagicNumber and Version
    if ends(b".tsm") && at(0, b"\x16\xd1\x16\xd1\x01") {
        return of_folder(Engine::InfluxDb);
    }
    // https://github.com/LMDB/lmdb/blob/LMDB_0.9.31/libraries/liblmdb/mdb.c: MDB_MAGIC, after a page header with P_META
    if at(16, &0xBEEF_C0DE_u32.to_le_bytes()) && at(10, &8_u16.to_le_bytes()) {
        return Some((Engine::Lmdb, Extent::File));
    }
    // https://github.com/etcd-io/bbolt/blob/v1.3.8/db.go: magic and version, after a page header with metaPageFlag
    if at(16, &0xED0C_DAED_u32.to_le_bytes()) && at(8, &4_u16.to_le_bytes()) && at(20, &2_u32.to_le_bytes()) {
        return Some((Engine::Bbolt, Extent::File));
    }
    // https://duckdb.org/docs/stable/internals/storage: after a checksum, the magic and the version of the storage
    if at(8, b"DUCK") && !at(12, &[0; 8]) && at(14, &[0; 6]) {
        return Some((Engine::DuckDb, Extent::File));
    }
    // https://www.sqlite.org/fileformat2.html#walformat: SQLCipher encrypts the pages, not the header of the log. The caller
    // knows that the file beside it has no SQLite header.
    if let Some(base) = bytes.strip_suffix(b"-wal") {
        let base = beside.get(OsStr::from_bytes(base)).filter(|meta| meta.is_file() && meta.len() >= 512);
        let shared = [&bytes[..bytes.len() - 4], b"-shm"].concat();
        let is_log = at(0, b"\x37\x7f\x06\x82") || at(0, b"\x37\x7f\x06\x83");
        let is_log = is_log || (size == 0 && beside.contains_key(OsStr::from_bytes(&shared)));
        return base.filter(|_| is_log).map(|_| (Engine::SqlCipher, Extent::Base));
    }
    None
}
