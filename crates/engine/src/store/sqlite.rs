//! SQLite databases: a consistent image while a server writes, the facts of it, and the check of it.
//!
//! ```text
//! open        read-only connection, BEGIN, one read: the transaction that everything below happens in
//! WAL mode    check and page images straight from the transaction; writers go on, their `-wal` grows meanwhile
//! otherwise   writers wait for the transaction: pages are copied to an unlinked file at disk speed, the transaction
//!             ends, and check and images come from that file
//! unreadable  what SQLite cannot open at all is copied as it is, with the reason as a finding
//! ```
//! Page images come from `sqlite_dbpage`, which sees what the transaction sees: pages that are only in the `-wal`, and
//! zeros for the lock page at 1 GiB. Where that table is missing from the library, SQLite's online backup in one step
//! takes its place.
//!
//! The source is not changed: nothing is checkpointed, and `-wal` and `-shm` are left as they were found. One
//! exception: a transaction that a crash cut off in the middle of its commit (a hot journal) is rolled back by SQLite,
//! as the server would at its next start; without that there is no consistent image.
//!
//! No promise: databases are each consistent, but not with each other beyond the moment that [`open_all`] takes.

mod check;
mod edit;
mod facts;
mod filled;
mod in_use;
mod pages;
mod snapshot;
mod source;

pub(super) use self::{
    check::immutable,
    source::{explain, lacks_something},
};
pub use self::{
    check::{check_image, quoted},
    edit::Edit,
    facts::DatabaseFacts,
    in_use::in_use,
    snapshot::{Image, Snapshot, open_all},
    source::{Source, is_busy_or_full, words},
};
