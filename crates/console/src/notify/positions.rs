//! Stores the position of each notification: the last event that it has handled.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use volume::{
    Volume, durable,
    events::{self, EventPosition},
};

/// On a volume without stored positions, a notification starts with events that are at most this old.
const FIRST: SignedDuration = SignedDuration::from_hours(24);

/// Positions by the notification's id. `None` is the position before the first event.
type Table = BTreeMap<String, Option<EventPosition>>;

/// The positions of all notifications that are on.
#[derive(Debug, Default)]
pub(super) struct Positions {
    table: Mutex<Table>,
    saved: Mutex<Option<Table>>,
}

impl Positions {
    /// Returns the stored positions, and whether none are stored.
    pub(super) fn load(volume: &Volume) -> (Self, bool) {
        let text = fs::read(path(volume)).unwrap_or_default();
        let Ok(Value::Object(read)) = serde_json::from_slice(&text) else { return (Self::default(), true) };
        let place = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
        let table: Table = read.iter().map(|(id, value)| (id.clone(), place(value))).collect();
        (Self { saved: Mutex::new(Some(table.clone())), table: Mutex::new(table) }, false)
    }

    pub(super) fn get(&self, id: &str) -> Option<EventPosition> {
        self.table().get(id).cloned().flatten()
    }

    pub(super) fn set(&self, id: &str, place: EventPosition) {
        self.table().insert(id.to_owned(), Some(place));
    }

    /// Sets the position of a notification that has none.
    pub(super) fn start_at(&self, id: &str, place: Option<EventPosition>) {
        self.table().entry(id.to_owned()).or_insert(place);
    }

    pub(super) fn remove(&self, id: &str) {
        self.table().remove(id);
    }

    /// Removes all other positions, because events that happen while a notification is off are not sent later.
    pub(super) fn keep_only(&self, enabled: &[String]) {
        self.table().retain(|id, _| enabled.contains(id));
    }

    /// Writes the file if the positions have changed. If that fails, events are sent again after a restart.
    pub(super) fn save(&self, volume: &Volume) {
        // Lock the file before copying the table, so that the last write has the newest positions.
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table().clone();
        if saved.as_ref() == Some(&table) {
            return;
        }
        let value =
            table.iter().map(|(id, place)| (id.clone(), place.as_ref().map(EventPosition::to_string).into())).collect();
        match durable::write(&path(volume), Value::Object(value).to_string().as_bytes(), 0o600) {
            Ok(()) => *saved = Some(table),
            Err(error) => {
                log::warn!("cannot store the positions of notifications, a restart would send events again: {error}");
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The position of the newest event that is older than a day.
pub(super) fn a_day_ago(volume: &Volume) -> Option<EventPosition> {
    let since = Timestamp::now().checked_sub(FIRST).unwrap_or(Timestamp::MIN);
    let is_older = |event: &events::Stored| event.at().is_some_and(|at| at < since);
    events::read_before(volume, None, 1, &is_older).unwrap_or_default().into_iter().next().map(|event| event.position)
}

fn path(volume: &Volume) -> PathBuf {
    events::folder(volume).join("positions.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_stored_except_those_of_notifications_that_are_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Volume::open(folder.path()).expect("a volume");
        fs::create_dir_all(events::folder(&volume)).expect("created");
        let (positions, first) = Positions::load(&volume);
        assert!(first);
        let place = EventPosition { day: "20260310".to_owned(), offset: 12 };
        positions.set("a", place.clone());
        positions.start_at("a", None);
        positions.start_at("b", None);
        positions.set("c", place.clone());
        positions.keep_only(&["a".to_owned(), "b".to_owned()]);
        positions.save(&volume);
        let (again, first) = Positions::load(&volume);
        assert!(!first);
        assert_eq!(*again.table(), [("a".to_owned(), Some(place)), ("b".to_owned(), None)].into());
    }
}
