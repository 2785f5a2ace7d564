//! A row as the quarantine record stores it.

use super::RowKey;
use crate::{prelude::*, quarantine::ColumnValue};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowBefore {
    pub database: RelPath,
    /// The columns that identify it, with their values.
    pub key: RowKey,
    pub change: RowChange,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowChange {
    Updated(Vec<ColumnWas>),
    Deleted {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rowid: Option<i64>,
        columns: Vec<(String, ColumnValue)>,
    },
    Inserted {
        /// All columns, as SQLite stored them.
        columns: Vec<(String, ColumnValue)>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnWas {
    pub name: String,
    pub old: ColumnValue,
    /// The new value, as SQLite stored it.
    pub new: ColumnValue,
}

impl RowBefore {
    /// The values of its key, separated by commas.
    pub fn name(&self) -> String {
        self.key.iter().map(|(_, value)| value.to_string()).collect::<Vec<_>>().join(",")
    }

    pub fn detail(&self) -> String {
        match &self.change {
            RowChange::Updated(columns) => {
                let changed = columns.iter().filter(|column| column.is_changed());
                changed.map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
            }
            RowChange::Deleted { .. } => "deleted".to_owned(),
            RowChange::Inserted { .. } => "inserted".to_owned(),
        }
    }
}

impl ColumnWas {
    pub fn is_changed(&self) -> bool {
        self.old != self.new
    }
}
