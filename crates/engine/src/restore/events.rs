//! The events of restores, rollbacks and quarantine.

use super::{
    AppsState,
    journal::{Journal, RestoreSource},
};
use crate::{
    prelude::*,
    quarantine::{QuarantineRecord, Release},
};
use seqbac_header::without_keys;
use volume::events::{Event, Kind, record};

pub fn done(volume: &Volume, journal: &Journal) {
    match &journal.source {
        RestoreSource::Backup { file, created, apps } => {
            let event = Event::new(Kind::RestoreApplied).about(Path::new(file)).with("Created", created.to_string());
            record(volume, &event.with("RestoreId", journal.id.to_string()));
            if *apps == AppsState::Off
                && let Ok(Some(quarantine)) = QuarantineRecord::load(volume)
            {
                switched_off(volume, quarantine.apps().count());
            }
        }
        RestoreSource::Rollback { of } => {
            let event = Event::new(Kind::RestoreUndone).with("RestoreId", of.to_string());
            record(volume, &event.with("RollbackId", journal.id.to_string()));
        }
    }
}

pub fn failed(volume: &Volume, source: &RestoreSource, error: &Error) {
    match source {
        RestoreSource::Backup { file, .. } => restore_failed(volume, Path::new(file), error),
        RestoreSource::Rollback { .. } => rollback_failed(volume, error),
    }
}

pub fn restore_failed(volume: &Volume, file: &Path, error: &Error) {
    let event = Event::new(Kind::RestoreFailed).about(file);
    record(volume, &event.with("Error", without_keys(error.message())));
}

pub fn rollback_failed(volume: &Volume, error: &Error) {
    record(volume, &Event::new(Kind::RollbackFailed).with("Error", without_keys(error.message())));
}

/// Records that quarantine began; nothing if no app was switched off.
pub fn switched_off(volume: &Volume, count: usize) {
    if count > 0 {
        record(volume, &Event::new(Kind::QuarantineEntered).with("Count", count));
    }
}

/// Records a release; nothing if no app was released.
pub fn released(volume: &Volume, release: &Release, left: &QuarantineRecord) {
    let count: usize = release.steps.iter().map(|step| step.released).sum();
    if count > 0 {
        let event = Event::new(Kind::AppsReleased).with("Count", count);
        record(volume, &event.with("LeftOff", left.apps().count()));
    }
}
