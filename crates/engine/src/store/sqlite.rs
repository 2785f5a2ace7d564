//! SQLite databases: a consistent image while a server writes, its facts, and its check.
//!
//! ```text
//! open        read-only connection, BEGIN, one read: everything below happens in this transaction
//! WAL mode    check and page images come from the transaction; writers continue, and their `-wal` grows meanwhile
//! otherwise   writers wait for the transaction: pages are copied to an unlinked file at disk speed, the transaction
//!             ends, and check and images come from that file
//! unreadable  a file that SQLite cannot open is copied byte by byte, with its sidecars, and the reason as a finding
//! ```
//! Page images come from `sqlite_dbpage`. It has the transaction's view, so it includes pages that are only in the
//! `-wal`, and zeros for the lock page at 1 GiB. If the library lacks this table, we use SQLite's online backup in one step.
//!
//! The source does not change: we never checkpoint, and we leave `-wal` and `-shm` as they were. The exception is a hot
//! journal, which a crash in the middle of a commit leaves behind: SQLite rolls that transaction back, as it would at
//! the server's next start, because otherwise no consistent image exists.
//!
//! Each database is consistent in itself, but two databases can show slightly different times, because [`open_all`]
//! opens one after the other.

mod check;
mod edit;
mod facts;
mod in_use;
mod open_files;
mod pages;
mod snapshot;
mod source;

pub use self::{
    check::check_image,
    facts::DatabaseFacts,
    in_use::{holder, in_use, name},
    snapshot::{Opened, Snapshot, open_all, open_present},
    source::words,
};
pub(super) use self::{
    check::immutable,
    source::{explain, lacks_something},
};
pub(crate) use self::{
    check::quoted,
    edit::Edit,
    source::{Source, beside, is_busy_or_full},
};
