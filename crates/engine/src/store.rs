//! Databases and files: read from the volume for a backup, and written back in a restore.
//!
//! The invariant of this module: **while this process has SQLite open on a database, it never opens or closes another
//! descriptor of that database, its `-wal`, `-shm` or `-journal`.** POSIX drops all of a process's locks on a file when
//! it closes *any* descriptor of it, so a harmless read would unlock the database under SQLite, and SQLite's next read
//! could be inconsistent. Therefore [`mod@survey`] reads every header before the first database is opened, and
//! [`files`] recognizes the files of databases by device and inode.

mod attributes;
mod beneath;
pub mod compare;
mod content;
pub mod files;
pub mod foreign;
mod holes;
mod losses;
mod matcher;
pub(crate) mod mounts;
mod owners;
mod scratch;
mod sealed_file;
pub(crate) mod server;
pub mod spool;
pub mod sqlite;
pub mod stage;
pub mod survey;
mod tar_stream;

pub(crate) use self::{
    attributes::AttributeReader,
    beneath::Beneath,
    matcher::is_own,
    sealed_file::SealedFile,
    survey::{child, is_backup, is_database, kind, sidecar_base},
    tar_stream::members as tar_members,
};
pub use self::{
    compare::TableChange,
    files::{Captured, Files},
    foreign::ForeignDatabase,
    holes::Extent,
    matcher::Matcher,
    owners::{Owner, OwnerMap, Owners},
    scratch::Scratch,
    spool::Spool,
    sqlite::{DatabaseFacts, Opened, Snapshot, check_image, in_use, open_all, open_present},
    stage::{Shapes, Stager},
    survey::{Note, NoteKind, Survey, SurveyEntry, holds_state, survey},
};
