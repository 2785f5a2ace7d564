//! What is remembered of a row.

use serde::{Deserialize, Serialize};

use crate::quarantine::ColumnValue;
use seqbac_header::RelPath;

/// One row, and what quarantine made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowBefore {
    /// The database.
    pub database: RelPath,
    /// The columns that tell it from all others, and what is in them.
    pub key: Vec<(String, ColumnValue)>,
    /// What was done to it.
    pub change: RowChange,
}

/// What was done to a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowChange {
    /// Columns were written.
    Updated(Vec<ColumnWas>),
    /// It was taken out.
    Deleted {
        /// Its number, where it has one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rowid: Option<i64>,
        /// All that was in it.
        columns: Vec<(String, ColumnValue)>,
    },
    /// It was put in.
    Inserted {
        /// All that was in it then.
        columns: Vec<(String, ColumnValue)>,
    },
}

/// A column that was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnWas {
    /// Its name.
    pub name: String,
    /// What was in it.
    pub old: ColumnValue,
    /// What is in it since, as SQLite stored it.
    pub new: ColumnValue,
}

impl RowBefore {
    /// The values of its key, with commas.
    #[must_use]
    pub fn name(&self) -> String {
        self.key.iter().map(|(_, value)| value.to_string()).collect::<Vec<_>>().join(",")
    }

    /// What was done to it, in words.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.change {
            RowChange::Updated(columns) => {
                let changed = columns.iter().filter(|column| column.is_changed());
                changed.map(|column| column.name.clone()).collect::<Vec<_>>().join(", ")
            }
            RowChange::Deleted { .. } => "taken out".to_owned(),
            RowChange::Inserted { .. } => "put in".to_owned(),
        }
    }
}

impl ColumnWas {
    /// Whether anything else is in it since.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.old != self.new
    }
}
