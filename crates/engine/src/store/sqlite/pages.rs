//! The pages of a database in the transaction's view.

use std::{fs::File, io::Read, sync::OnceLock};

use rusqlite::{Connection, OpenFlags, Statement, backup::Backup};

use super::source::{Source, explain, words};
use crate::{
    prelude::*,
    store::{Spool, spool::Spooled},
};

/// Selects one page by its number. This costs under a microsecond, because SQLite does not scan a table for it.
pub(super) const ONE_PAGE: &str = "SELECT data FROM sqlite_dbpage('main') WHERE pgno = ?1";

/// Whether this build of SQLite has `sqlite_dbpage`.
pub(super) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        let count = Connection::open_in_memory()
            .and_then(|memory| memory.query_row("SELECT count(*) FROM sqlite_dbpage", [], |row| row.get::<_, i64>(0)));
        if let Err(cause) = &count {
            log::warn!(
                "each database is copied before it is backed up, because sqlite_dbpage is missing: {}",
                words(cause)
            );
        }
        count.is_ok()
    })
}

/// Reads all pages in order, which gives the image of the database.
#[derive(Debug)]
pub struct Pages<'a> {
    statement: Statement<'a>,
    next: u32,
    last: u32,
    page: Vec<u8>,
    taken: usize,
}

impl<'a> Pages<'a> {
    pub(super) fn of(source: &'a Source, path: &Path) -> Result<Self> {
        let statement =
            source.connection.prepare(ONE_PAGE).map_err(|cause| explain("read the database", path, &cause))?;
        Ok(Self { statement, next: 1, last: source.page_count, page: Vec::new(), taken: 0 })
    }

    fn next_page(&mut self) -> io::Result<()> {
        let Self { statement, page, .. } = self;
        page.clear();
        let read = statement.query_row([self.next], |row| {
            page.extend_from_slice(row.get_ref(0)?.as_blob()?);
            Ok(())
        });
        read.map_err(|cause| io::Error::other(format!("page {}: {}", self.next, words(&cause))))?;
        self.next += 1;
        self.taken = 0;
        Ok(())
    }
}

impl Read for Pages<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.page.len() {
            if self.next > self.last {
                return Ok(0);
            }
            self.next_page()?;
        }
        let bytes = into.len().min(self.page.len() - self.taken);
        into[..bytes].copy_from_slice(&self.page[self.taken..self.taken + bytes]);
        self.taken += bytes;
        Ok(bytes)
    }
}

/// Copies the database with SQLite's online backup, in one step, so that a writer cannot make it start again.
pub(super) fn back_up(source: &Source, spool: &Spool, path: &Path) -> Result<File> {
    let copied = |cause| explain("copy the database", path, &cause);
    let bytes = u64::from(source.page_size) * u64::from(source.page_count);
    let Spooled { named, connection: mut copy } = spool.named_database(OpenFlags::SQLITE_OPEN_READ_WRITE, bytes)?;
    // The copy needs no protection, because only we use it, and it is temporary.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF").map_err(copied)?;
    Backup::new(&source.connection, &mut copy).and_then(|backup| backup.step(-1)).map_err(copied)?;
    drop(copy);
    Ok(named.into_file())
}

#[cfg(test)]
mod tests {
    use std::{io::Seek, time::Duration};

    use super::*;

    #[test]
    fn an_online_backup_gives_the_same_rows() {
        let dir = tempfile::tempdir().expect("a folder");
        for mode in ["wal", "delete"] {
            let path = dir.path().canonicalize().expect("a path").join(mode);
            let server = Connection::open(&path).expect("opens");
            server.execute_batch(&format!("PRAGMA journal_mode = {mode}; PRAGMA page_size = 1024")).expect("sets");
            server.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES (randomblob(100000))").expect("fills");
            let source = Source::open(&path, Duration::ZERO).expect("opens");
            let mut copy = back_up(&source, &Spool::at(dir.path()), &path).expect("copies");
            drop(source);
            let image = dir.path().join("image");
            copy.rewind().expect("rewinds");
            io::copy(&mut copy, &mut File::create(&image).expect("creates")).expect("copies");
            let blob = |database: &Connection| -> Vec<u8> {
                database.query_row("SELECT x FROM t", [], |row| row.get(0)).expect("reads")
            };
            assert_eq!(blob(&Connection::open(&image).expect("opens")), blob(&server), "{mode}");
        }
    }

    #[test]
    fn this_build_has_sqlite_dbpage() {
        assert!(available());
    }
}
