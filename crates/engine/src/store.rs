//! Stores: what a backup holds, taken off the volume and put back onto it.
//!
//! | file | what you find in it |
//! | --- | --- |
//! | [`profile::scope`] | which paths are state: globs, `.moorlineignore`, and what is never captured |
//! | [`mod@survey`] | one walk over the volume: its databases (told by header), its files, what is left out and why |
//! | [`sqlite`] | databases: a consistent image while a server writes, the facts of it, the check of it |
//! | [`files`] | plain files: read until they hold still |
//! | [`stage`] | one member of an archive put under a staging directory, with its owner and mode |
//! | [`compare`] | which rows of a database a restore would change |
//! | [`spool`] | temporary files without a name |
//!
//! The invariant of this room: **while this process has SQLite open on a database, it never opens or closes another
//! descriptor of that database, its `-wal`, `-shm` or `-journal`.** POSIX drops all of a process's locks on a file when
//! it closes *any* descriptor of it, so a harmless read would unlock the database under SQLite, and what is read then
//! is torn. Hence: every header is read before the first database is opened, and [`files`] goes by device and inode.

mod beneath;
pub mod compare;
pub mod files;
pub mod spool;
pub mod sqlite;
pub mod stage;
pub mod survey;

pub use self::{
    compare::TableChange,
    files::{Captured, Files},
    spool::Spool,
    sqlite::{DatabaseFacts, Snapshot, check_image, in_use, open_all},
    stage::{Owners, Stager},
    survey::{Note, Survey, SurveyEntry, holds_state, is_backup, is_database, sidecar_base, survey},
};
