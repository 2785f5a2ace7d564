//! The facts about a database in a backup's manifest.

use crate::{prelude::*, store::SurveyEntry};

/// The facts of one database, as of the transaction in which it was captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Relative to the storage root.
    pub path: RelPath,
    /// Page size in bytes.
    pub page_size: u32,
    /// Number of pages. If SQLite could read the database, the image has `page_size` × `page_count` bytes.
    pub page_count: u32,
    /// Size of the image in bytes.
    pub bytes: u64,
    /// `PRAGMA application_id`.
    pub application_id: i32,
    /// `PRAGMA user_version`.
    pub user_version: i32,
    /// `PRAGMA schema_version`.
    pub schema_version: u32,
    /// `UTF-8`, `UTF-16le`, `UTF-16be`.
    pub encoding: String,
    /// `wal` or `delete`. The file does not record `truncate` and `persist`, because each connection chooses them.
    pub journal_mode: String,
    /// Version of the SQLite library that wrote it last, usually the server's: 3054001 for 3.54.1.
    pub written_by: u32,
    /// Version of our SQLite library.
    pub sqlite_version: String,
    /// Whether it was checked.
    pub checked: bool,
    /// Faults that the check found.
    pub findings: Vec<String>,
    /// Tables that could not be checked, because they need a collation, function or module that only the server
    /// defines.
    pub warnings: Vec<String>,
    /// Number of tables with rows. Unknown in older backups, and if a table cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_tables: Option<u32>,
    /// Permission bits.
    pub mode: u32,
    /// User id of the owner.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Last change, in seconds since 1970.
    pub mtime_secs: i64,
    /// Nanoseconds of the last change.
    pub mtime_nanos: u32,
}

/// The first 100 bytes of a database: <https://sqlite.org/fileformat2.html#the_database_header>.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header([u8; 100]);

impl Header {
    /// The header in the first page, or all zeros if the database has no pages.
    pub(super) fn of(page: &[u8]) -> Self {
        let mut header = [0; 100];
        let bytes = page.len().min(header.len());
        header[..bytes].copy_from_slice(&page[..bytes]);
        Self(header)
    }

    fn number(&self, at: usize) -> u32 {
        self.0[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
    }

    pub(super) const fn is_wal(&self) -> bool {
        self.0[19] == 2
    }

    /// In bytes. Zero if the header is invalid.
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

    /// The facts in this header and in the survey entry. `pages` is the transaction's page count.
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
