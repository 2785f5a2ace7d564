//! A step of quarantine: what is switched off, and how. `docs/profiles.md` describes each kind.
//!
//! Steps are kept, as JSON, in the memory of quarantine: a copy is released by the steps that quarantined it, whatever
//! its profile says by then.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One `[[quarantine]]` of a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What a person sees.
    pub name: String,
    /// When it acts.
    #[serde(default)]
    pub at: Moment,
    /// Whether a missing table, column or file is fine.
    #[serde(default)]
    pub optional: bool,
    /// What it does.
    pub action: Action,
}

/// When a step acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// When quarantine begins; it is undone when quarantine ends.
    #[default]
    Restore,
    /// When apps are released, before the others are undone.
    Release,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Rows of a table.
    Sqlite(Rows),
    /// Nodes of JSON files.
    Json(Nodes),
    /// Whole files.
    File(Files),
    /// Variables that the server is given while quarantined.
    Env(BTreeMap<String, String>),
    /// Arguments that the server is given while quarantined, after its own.
    Args(Vec<String>),
}

/// The rows of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// Glob of databases, relative to the storage root.
    pub database: String,
    /// The table.
    pub table: String,
    /// The columns that tell rows apart; by default the primary key, else the rowid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// SQL condition that a row fulfils to be an app that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// SQL condition on the schema: the step does not exist where it is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What becomes of them.
    pub change: Change,
}

/// What becomes of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Columns are written.
    Update {
        /// Columns and their values.
        set: BTreeMap<String, Scalar>,
        /// Columns and SQL expressions of them.
        expr: BTreeMap<String, String>,
    },
    /// The rows are taken out, and remembered whole unless they are discarded.
    Delete {
        /// Do not bring them back.
        discard: bool,
    },
    /// A row is put in, and taken out again at release.
    Insert(BTreeMap<String, Scalar>),
}

/// A value that a profile writes into a column. A boolean is SQLite's, 0 or 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// `{ null = true }`
    Null,
    /// Also `true` and `false`.
    Integer(i64),
    /// A number with a point.
    Real(f64),
    /// Text.
    Text(String),
}

/// The nodes of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nodes {
    /// Glob of JSON files, relative to the storage root.
    pub files: String,
    /// JSON pointer (RFC 6901) in which a part may be `*`; the empty one is the document itself.
    #[serde(default)]
    pub each: String,
    /// The member that identifies a node among its like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Members and what they must be for a node to be an app that is on.
    #[serde(default)]
    pub filter: BTreeMap<String, Condition>,
    /// Members and what is written; `None` takes the member away.
    #[serde(with = "written")]
    pub set: BTreeMap<String, Option<serde_json::Value>>,
}

/// What a member of a node must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Equal to this.
    Is(serde_json::Value),
    /// One of these.
    OneOf(Vec<Condition>),
    /// Not there at all.
    Absent,
    /// Text that begins so.
    Prefix(String),
    /// Anything else.
    Not(Box<Condition>),
}

/// The files of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// Glob, relative to the storage root.
    pub files: String,
    /// What is left in its place; `None`: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// In JSON `[value]`, or `[]` for a member that is taken away: `null` is a value that may be written.
mod written {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    type Set = BTreeMap<String, Option<Value>>;

    pub fn serialize<S: Serializer>(set: &Set, serializer: S) -> Result<S::Ok, S::Error> {
        let written: BTreeMap<_, &[Value]> =
            set.iter().map(|(name, value)| (name, value.as_ref().map_or(&[][..], std::slice::from_ref))).collect();
        written.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Set, D::Error> {
        let written = BTreeMap::<String, Vec<Value>>::deserialize(deserializer)?;
        Ok(written.into_iter().map(|(name, mut value)| (name, value.pop())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_write_null_is_not_to_take_away() {
        let nodes = Nodes {
            files: "x.json".to_owned(),
            each: String::new(),
            key: None,
            filter: BTreeMap::new(),
            set: BTreeMap::from([
                ("a".to_owned(), Some(serde_json::Value::Null)),
                ("b".to_owned(), None),
                ("c".to_owned(), Some(serde_json::json!([1]))),
            ]),
        };
        let json = serde_json::to_string(&nodes).expect("serialises");
        assert_eq!(serde_json::from_str::<Nodes>(&json).expect("parses"), nodes, "{json}");
    }
}
