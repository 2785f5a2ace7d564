//! Backups: one made, read back, listed; which ones are kept.
//!
//! A backup is one `.seqbac` file with a `manifest.json` ([`Manifest`]), the server's state under `state/`, and what
//! moorline itself remembers under `moorline/`. Its name is final only once it is complete, flushed and read back.

mod catalog;
mod damaged;
mod extract;
mod inspect;
mod manifest;
mod name;
mod progress;
mod quarantine;
mod retention;
mod stores;
mod suspect;
mod take;
mod temporary;
mod totals;
mod verifications;
mod verify;

pub use self::{
    catalog::{Listed, Skipped, Summary, in_sight, is_due, list, newest_of_instance, newest_scheduled, opens, summary},
    damaged::{Damaged, damaged},
    extract::{Output, extract},
    inspect::{Inspection, inspect},
    manifest::{Kind, MEMBER_PREFIX, Manifest, metastore_member, quarantine_member, state_of},
    name::{EXTENSION, immediate, scheduled},
    progress::{Counted, Progress, Silent},
    quarantine::read_memory,
    retention::{expired, prune},
    stores::refuse_missing,
    take::{Destination, Job, Taken, take},
    totals::bytes_of_members,
    verifications::Verifications,
    verify::{Report, complete, open_file, read_whole, verify},
};
