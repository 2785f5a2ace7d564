//! Backups: take one, verify it, list a folder of them, and remove expired ones.
//!
//! A backup is one `.seqbac` file with a `manifest.json` ([`Manifest`]), the server's state under `state/`, and
//! moorline's own records under `moorline/`. It gets its final name only after it was completed, flushed and read back.

mod bracket;
mod captures;
mod catalog;
mod extract;
mod file_facts;
mod guard;
mod inspect;
mod latest;
mod manifest;
mod name;
mod progress;
mod quarantine;
mod retention;
mod soundness;
mod stores;
mod streams;
mod suspect;
mod take;
mod temporary;
mod twins;
mod verifications;
mod verify;
mod warnings;

pub use self::{
    catalog::{
        Damaged, Listed, Skipped, Summary, damaged, is_due, list, list_volume, newest_scheduled, opens, summary,
    },
    extract::{Extracted, Output, extract},
    file_facts::{HardLink, SparseFile},
    guard::{Unfinished, finish as finish_captures, guard, unfinished as unfinished_captures},
    inspect::{Inspection, inspect},
    latest::latest,
    manifest::{BackupKind, CapturedPaths, Manifest, RootFacts},
    name::{EXTENSION, immediate, scheduled},
    progress::{Progress, Silent},
    retention::{Keep, has_sound, prune},
    soundness::{Assessment, Soundness},
    stores::refuse_missing,
    take::{Destination, Job, Taken, take},
    twins::{Twins, Unrecorded},
    verifications::Verifications,
    verify::{Report, verify},
};
pub(crate) use self::{
    manifest::{metastore_member, quarantine_member, state_of},
    progress::{Counted, bytes_of_members},
    quarantine::read_quarantine_record,
    verify::{complete, open_file, read_whole},
};
