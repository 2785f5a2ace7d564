//! A quarantine step: which apps it switches off, and how. `docs/profiles.md` describes each kind.
//!
//! `.moorline/quarantine.json` stores the steps as JSON, because a release must revert the steps that were executed,
//! even if the profile has changed since.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One `[[quarantine]]` of a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the profile. `apps release` accepts it.
    pub name: String,
    /// When the step acts.
    #[serde(default)]
    pub at: Moment,
    /// Whether the table, column or file may be missing.
    #[serde(default)]
    pub optional: bool,
    /// The change that the step makes.
    pub action: Action,
}

/// When a step acts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// When quarantine begins. Release undoes the step.
    #[default]
    Restore,
    /// When apps are released, before the other steps are undone.
    Release,
}

/// The change that a step makes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Rows of a table.
    Sqlite(Rows),
    /// Nodes of JSON files.
    Json(Nodes),
    /// Whole files.
    File(Files),
    /// Variables that the server gets in quarantine.
    Env(BTreeMap<String, String>),
    /// Arguments that the server gets in quarantine, after its own.
    Args(Vec<String>),
}

/// A step with `sqlite`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// Glob of databases, relative to the storage root.
    pub database: String,
    /// Name of the table.
    pub table: String,
    /// The columns that identify a row. Empty means the primary key, or the rowid if the table has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// SQL condition: a row that fulfils it is an app that is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// SQL condition on the schema: if it is false, the step does not apply to the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// The change to the rows.
    pub change: Change,
}

/// The change to the rows of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Write columns.
    Update {
        /// Columns and their new values.
        set: BTreeMap<String, Scalar>,
        /// Columns and the SQL expressions of their new values.
        expr: BTreeMap<String, String>,
    },
    /// Delete the rows. Unless `discard` is set, they are recorded, so that release inserts them again.
    Delete {
        /// Delete permanently.
        discard: bool,
    },
    /// Insert a row. Release deletes it.
    Insert(BTreeMap<String, Scalar>),
}

/// A value that a profile writes into a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// `{ null = true }`
    Null,
    /// A whole number. `true` and `false` are 1 and 0, because SQLite has no booleans.
    Integer(i64),
    /// A number with a point.
    Real(f64),
    /// Text.
    Text(String),
}

/// A step with `json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Nodes {
    /// Glob of JSON files, relative to the storage root.
    pub files: String,
    /// JSON pointer (RFC 6901) to the nodes. A part may be `*`; the empty pointer is the document itself.
    #[serde(default)]
    pub each: String,
    /// The member that identifies a node among its siblings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A node whose members fulfil these conditions is an app that is on.
    #[serde(default)]
    pub filter: BTreeMap<String, Condition>,
    /// Members and their new values. `None` removes the member.
    #[serde(with = "written")]
    pub set: BTreeMap<String, Option<serde_json::Value>>,
}

/// A condition on a member of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Equal to this value.
    Is(serde_json::Value),
    /// At least one of these holds.
    OneOf(Vec<Condition>),
    /// The node has no such member.
    Absent,
    /// A string that begins with this.
    Prefix(String),
    /// The condition does not hold.
    Not(Box<Condition>),
}

/// A step with `file`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Files {
    /// Glob, relative to the storage root.
    pub files: String,
    /// New content of the file. `None` removes the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Serialises a new value as `[value]`, and a removed member as `[]`, because `null` is itself a valid new value.
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
    fn writing_null_differs_from_removing_a_member() {
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
