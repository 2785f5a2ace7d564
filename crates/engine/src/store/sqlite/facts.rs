//! What a backup's manifest says about a database.

use serde::{Deserialize, Serialize};

use crate::store::SurveyEntry;
use seqbac_header::RelPath;

/// The facts of one database, as of the transaction it was captured in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Where it is below the storage root.
    pub path: RelPath,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages; the image is `page_size` × `page_count` bytes, or `bytes` where SQLite could not read it.
    pub page_count: u32,
    /// Bytes of the image.
    pub bytes: u64,
    /// `PRAGMA application_id`.
    pub application_id: i32,
    /// `PRAGMA user_version`.
    pub user_version: i32,
    /// `PRAGMA schema_version`.
    pub schema_version: u32,
    /// `UTF-8`, `UTF-16le`, `UTF-16be`.
    pub encoding: String,
    /// `wal` or `delete`: all that the file itself tells. `truncate` and `persist` are up to each connection.
    pub journal_mode: String,
    /// Version of the SQLite that wrote it last: the server's, as 3054001 for 3.54.1.
    pub written_by: u32,
    /// Version of the SQLite that read it: ours.
    pub sqlite_version: String,
    /// Whether it was checked.
    pub checked: bool,
    /// What the check found wrong. Empty: nothing.
    pub findings: Vec<String>,
    /// What could not be checked, for want of something that only the server has.
    pub warnings: Vec<String>,
    /// How many of its tables have rows; unknown in older backups, and where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_tables: Option<u32>,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, in seconds since 1970.
    pub mtime_secs: i64,
    /// And nanoseconds.
    pub mtime_nanos: u32,
}

/// The first 100 bytes of a database: <https://sqlite.org/fileformat2.html#the_database_header>.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header([u8; 100]);

impl Header {
    /// From the first page; of a database without pages, all zeros.
    pub(super) fn of(page: &[u8]) -> Self {
        let mut header = [0; 100];
        let bytes = page.len().min(header.len());
        header[..bytes].copy_from_slice(&page[..bytes]);
        Self(header)
    }

    fn number(&self, at: usize) -> u32 {
        self.0[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
    }

    /// Whether readers and writers of the file use a write-ahead log.
    pub(super) const fn is_wal(&self) -> bool {
        self.0[19] == 2
    }

    /// In bytes; zero where the header makes no sense.
    pub(super) fn page_size(&self) -> u32 {
        match u32::from(self.0[16]) << 8 | u32::from(self.0[17]) {
            1 => 65536,
            size => size,
        }
    }

    const fn encoding(&self) -> &'static str {
        match self.0[59] {
            2 => "UTF-16le",
            3 => "UTF-16be",
            _ => "UTF-8",
        }
    }

    /// The facts that are in it and in what the file system says; `pages` is the transaction's count of them.
    pub(super) fn facts(&self, found: &SurveyEntry, page_size: u32, pages: u32) -> DatabaseFacts {
        DatabaseFacts {
            path: found.path.clone(),
            page_size,
            page_count: pages,
            bytes: u64::from(page_size) * u64::from(pages),
            application_id: self.number(68).cast_signed(),
            user_version: self.number(60).cast_signed(),
            schema_version: self.number(40),
            encoding: self.encoding().to_owned(),
            journal_mode: if self.is_wal() { "wal" } else { "delete" }.to_owned(),
            written_by: self.number(96),
            sqlite_version: rusqlite::version().to_owned(),
            checked: false,
            findings: Vec::new(),
            warnings: Vec::new(),
            filled_tables: None,
            mode: found.mode,
            uid: found.uid,
            gid: found.gid,
            mtime_secs: found.mtime_secs,
            mtime_nanos: found.mtime_nanos,
        }
    }
}
