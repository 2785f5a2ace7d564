//! Rows and members of JSON nodes that a later step has changed as well. While that step is not undone, the change
//! before it cannot be undone either.

use std::collections::HashMap;

use super::StepPlan;
use crate::{
    prelude::*,
    quarantine::{
        json::Node,
        record::{AppRecord, Before, StepRecord},
        sqlite::RowKey,
    },
};

type RowId = (RelPath, String, RowKey);

/// Everything that stays changed, with the name of the last step that changed it.
#[derive(Default)]
pub struct Covers {
    rows: HashMap<RowId, String>,
    /// By file and pointer.
    members: HashMap<(RelPath, String), String>,
}

impl Covers {
    /// Adds the apps of a step that are not chosen.
    pub fn add(&mut self, step: &StepPlan<'_>) {
        let remembered = step.recorded;
        for kept in step.apps.iter().filter(|app| !app.chosen).map(|app| app.recorded) {
            if let Some(row) = row_id(remembered, kept) {
                self.rows.insert(row, remembered.step.name.clone());
            }
            if let Before::Node(node) = &kept.was {
                let places = node.places().map(|place| ((node.file.clone(), place), remembered.step.name.clone()));
                self.members.extend(places);
            }
        }
    }

    /// The step that changed the same row later.
    pub fn name(&self, remembered: &StepRecord, kept: &AppRecord) -> Option<&str> {
        if self.rows.is_empty() {
            return None;
        }
        self.rows.get(&row_id(remembered, kept)?).map(String::as_str)
    }

    /// The step that later changed a member of the same node, or replaced a value that contains it.
    pub fn name_of_node(&self, node: &Node) -> Option<&str> {
        if self.members.is_empty() {
            return None;
        }
        let cover = |place: String| {
            let mut ends = place.match_indices('/').map(|(end, _)| end).chain([place.len()]);
            ends.find_map(|end| self.members.get(&(node.file.clone(), place.get(..end)?.to_owned())))
        };
        node.places().find_map(cover).map(String::as_str)
    }
}

fn row_id(remembered: &StepRecord, kept: &AppRecord) -> Option<RowId> {
    match (&kept.was, &remembered.step.action) {
        (Before::Row(row), Action::Sqlite(rows)) => {
            Some((row.database.clone(), rows.table.to_lowercase(), row.key.clone()))
        }
        _ => None,
    }
}
