//! Signals: named filters over events.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Entity, Links, Result, from_json, links, optional, require_title, short, title, to_json};
use crate::{failure::InputError, filter::Filter, notify::signal::SignalExpression};
use volume::error::{Code, Error};

const MOST_FILTERS: usize = 50;

/// A filter of a signal, in Seq's shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SignalFilter {
    pub description: Option<String>,
    /// Kept for Seq's clients.
    pub description_is_excluded: bool,
    pub filter: Option<String>,
    /// The filter as the user typed it.
    pub filter_non_strict: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Signal {
    pub id: String,
    pub title: String,
    pub description: Option<String>,
    /// An event must match all of them.
    pub filters: Vec<SignalFilter>,
    /// Kept for Seq's clients.
    #[schema(value_type = Vec<Object>)]
    pub columns: Vec<Value>,
    /// Whether changing it needs the permission `Project`.
    pub is_protected: bool,
    /// Kept for Seq's clients.
    pub is_index_suppressed: bool,
    /// Kept for Seq's clients: `Inferred`, `Explicit`, `None`.
    pub grouping: String,
    /// Kept for Seq's clients.
    pub explicit_group_name: Option<String>,
    /// Null for a shared signal.
    pub owner_id: Option<String>,
    pub links: Links,
}

/// Absent fields stay as they are.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct SignalInput {
    pub title: Option<String>,
    pub description: Option<String>,
    /// An event must match all of them.
    pub filters: Option<Vec<SignalFilter>>,
    /// Kept for Seq's clients.
    #[schema(value_type = Option<Vec<Object>>)]
    pub columns: Option<Vec<Value>>,
    /// Whether changing it needs the permission `Project`.
    pub is_protected: Option<bool>,
    /// Kept for Seq's clients.
    pub is_index_suppressed: Option<bool>,
    /// Kept for Seq's clients.
    pub grouping: Option<Grouping>,
    /// Kept for Seq's clients.
    pub explicit_group_name: Option<String>,
}

/// Kept for Seq's clients.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(crate) enum Grouping {
    Inferred,
    Explicit,
    None,
}

impl Entity for Signal {
    type Input = SignalInput;
    /// The owner of a new signal.
    type Context = Option<String>;

    const TABLE: &'static str = "signals";
    const ID: &'static str = "signal";
    const NAME: &'static str = "signal";
    const COLUMNS: &'static str = "id, title, description, filters, columns, is_protected, is_index_suppressed, \
                                   grouping, explicit_group_name, owner_id";

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        let id: String = row.get(0)?;
        Ok(Self {
            links: links(Self::TABLE, &id),
            id,
            title: row.get(1)?,
            description: row.get(2)?,
            filters: from_json(&row.get::<_, String>(3)?),
            columns: from_json(&row.get::<_, String>(4)?),
            is_protected: row.get(5)?,
            is_index_suppressed: row.get(6)?,
            grouping: row.get(7)?,
            explicit_group_name: row.get(8)?,
            owner_id: row.get(9)?,
        })
    }

    fn insert(connection: &Connection, id: &str, input: &SignalInput, owner: &Option<String>) -> Result<()> {
        require_title("Title", input.title.as_ref())?;
        let sql = "INSERT INTO signals (id, title, owner_id) VALUES (?1, '', ?2)";
        connection.execute(sql, params![id, owner])?;
        Ok(())
    }

    fn change(mut self, connection: &Connection, input: SignalInput, _: Option<String>) -> Result<Self> {
        if let Some(text) = input.title {
            self.title = title("Title", &text)?;
        }
        if let Some(text) = input.description {
            self.description = optional("Description", &text)?;
        }
        if let Some(filters) = input.filters {
            if filters.len() > MOST_FILTERS {
                let error = Error::usage(format!("too many Filters: at most {MOST_FILTERS}"));
                return Err(InputError::new("Filter", error));
            }
            for filter in &filters {
                short("Filters.Description", filter.description.as_deref().unwrap_or_default())?;
                short("Filters.FilterNonStrict", filter.filter_non_strict.as_deref().unwrap_or_default())?;
            }
            self.filters = filters;
            self.compiled().map_err(|error| InputError::new("Filter", error))?;
        }
        if let Some(columns) = input.columns {
            short("Columns", &to_json(&columns)?)?;
            self.columns = columns;
        }
        if let Some(grouping) = input.grouping {
            self.grouping = format!("{grouping:?}");
        }
        if let Some(text) = input.explicit_group_name {
            self.explicit_group_name = optional("ExplicitGroupName", &text)?;
        }
        self.is_protected = input.is_protected.unwrap_or(self.is_protected);
        self.is_index_suppressed = input.is_index_suppressed.unwrap_or(self.is_index_suppressed);
        let sql = "UPDATE signals SET title = ?2, description = ?3, filters = ?4, columns = ?5, is_protected = ?6,
                   is_index_suppressed = ?7, grouping = ?8, explicit_group_name = ?9 WHERE id = ?1";
        let values = params![
            self.id,
            self.title,
            self.description,
            to_json(&self.filters)?,
            to_json(&self.columns)?,
            self.is_protected,
            self.is_index_suppressed,
            self.grouping,
            self.explicit_group_name
        ];
        connection.execute(sql, values)?;
        Ok(self)
    }

    /// Fails if a notification uses the signal.
    fn delete(&self, connection: &Connection, id: &str) -> Result<()> {
        let sql =
            "SELECT title, streamed_signal_expression FROM appinstances WHERE streamed_signal_expression IS NOT NULL";
        let mut query = connection.prepare(sql)?;
        for row in query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
            let (title, expression) = row?;
            if serde_json::from_str(&expression)
                .is_ok_and(|expression: SignalExpression| expression.signals().contains(&id))
            {
                let message = format!("the notification {title:?} uses this signal");
                return Err(Error::new(Code::ConfirmationNeeded, message)
                    .hint("first choose another signal for the notification")
                    .into());
            }
        }
        connection.execute("DELETE FROM signals WHERE id = ?1", [id])?;
        Ok(())
    }
}

impl Signal {
    pub(crate) fn compiled(&self) -> volume::error::Result<Vec<Filter>> {
        texts(&self.filters).map(str::parse).collect()
    }
}

/// The filters that are not empty.
pub(crate) fn texts(filters: &[SignalFilter]) -> impl Iterator<Item = &str> {
    let texts = filters.iter().filter_map(|filter| filter.filter.as_deref()).map(str::trim);
    texts.filter(|text| !text.is_empty())
}
