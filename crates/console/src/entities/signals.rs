//! Signals: named filters over events.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Links, database_error, from_json, links, new_id, not_found, optional, short, title, to_json};
use crate::{filter::Filter, notify::signal::SignalExpression};
use volume::error::{Code, Error, Result};

const MOST: usize = 1000;
const MOST_FILTERS: usize = 50;

/// A filter of a signal, in Seq's shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", default)]
pub struct SignalFilter {
    pub description: Option<String>,
    /// Kept for Seq's clients.
    pub description_is_excluded: bool,
    pub filter: Option<String>,
    /// The filter as the user typed it.
    pub filter_non_strict: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Signal {
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
pub struct SignalInput {
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
pub enum Grouping {
    Inferred,
    Explicit,
    None,
}

const COLUMNS: &str = "id, title, description, filters, columns, is_protected, is_index_suppressed, grouping, \
                       explicit_group_name, owner_id";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Signal> {
    let id: String = row.get(0)?;
    Ok(Signal {
        links: links("signals", &id),
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

/// Sorted by title.
pub fn list(connection: &Connection) -> Result<Vec<Signal>> {
    let sql = format!("SELECT {COLUMNS} FROM signals ORDER BY title, id");
    let read = || connection.prepare(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<_>>();
    read().map_err(|cause| database_error(&cause))
}

/// Fails with `NotFound`.
pub fn find(connection: &Connection, id: &str) -> Result<Signal> {
    let sql = format!("SELECT {COLUMNS} FROM signals WHERE id = ?1");
    let found = connection.query_row(&sql, [id], from_row).optional().map_err(|cause| database_error(&cause))?;
    found.ok_or_else(|| not_found("signal", id))
}

/// Fails with `Usage` for an invalid filter.
pub fn create(connection: &mut Connection, input: SignalInput, owner: Option<String>) -> Result<Signal> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    if list(&transaction)?.len() >= MOST {
        return Err(Error::usage(format!("cannot create more than {MOST} signals")));
    }
    if input.title.is_none() {
        return Err(Error::usage("Title is missing"));
    }
    let id = new_id("signal")?;
    let insert = "INSERT INTO signals (id, title, owner_id) VALUES (?1, '', ?2)";
    transaction.execute(insert, params![id, owner]).map_err(|cause| database_error(&cause))?;
    write(&transaction, &changed(find(&transaction, &id)?, input)?)?;
    let signal = find(&transaction, &id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(signal)
}

pub fn update(connection: &mut Connection, id: &str, input: SignalInput) -> Result<Signal> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    write(&transaction, &changed(find(&transaction, id)?, input)?)?;
    let signal = find(&transaction, id)?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(signal)
}

/// Fails if a notification uses the signal.
pub fn remove(connection: &mut Connection, id: &str) -> Result<Signal> {
    let transaction = connection.transaction().map_err(|cause| database_error(&cause))?;
    let signal = find(&transaction, id)?;
    for (title, expression) in expressions(&transaction)? {
        if serde_json::from_str(&expression).is_ok_and(|expression| names(&expression, id)) {
            return Err(Error::new(Code::ConfirmationNeeded, format!("the notification {title:?} uses this signal"))
                .hint("first choose another signal for the notification"));
        }
    }
    transaction.execute("DELETE FROM signals WHERE id = ?1", [id]).map_err(|cause| database_error(&cause))?;
    transaction.commit().map_err(|cause| database_error(&cause))?;
    Ok(signal)
}

/// The parsed filters of a signal.
pub fn compiled(signal: &Signal) -> Result<Vec<Filter>> {
    let texts = signal.filters.iter().filter_map(|filter| filter.filter.as_deref()).map(str::trim);
    texts.filter(|text| !text.is_empty()).map(str::parse).collect()
}

/// Whether an expression contains this signal.
pub fn names(expression: &SignalExpression, id: &str) -> bool {
    match expression {
        SignalExpression::Signal { signal_id } => signal_id == id,
        SignalExpression::Intersection { left, right } | SignalExpression::Union { left, right } => {
            names(left, id) || names(right, id)
        }
    }
}

fn expressions(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT title, streamed_signal_expression FROM appinstances WHERE streamed_signal_expression IS NOT NULL";
    let read = || {
        let mut query = connection.prepare(sql)?;
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|cause| database_error(&cause))
}

fn changed(mut signal: Signal, input: SignalInput) -> Result<Signal> {
    if let Some(text) = input.title {
        signal.title = title("Title", &text)?;
    }
    if input.description.is_some() {
        signal.description = optional("Description", input.description)?;
    }
    if let Some(filters) = input.filters {
        if filters.len() > MOST_FILTERS {
            return Err(Error::usage(format!("too many Filters: at most {MOST_FILTERS}")));
        }
        for filter in &filters {
            short("Filters.Description", filter.description.as_deref().unwrap_or_default())?;
            short("Filters.FilterNonStrict", filter.filter_non_strict.as_deref().unwrap_or_default())?;
        }
        signal.filters = filters;
        compiled(&signal)?;
    }
    if let Some(columns) = input.columns {
        short("Columns", &to_json(&columns)?)?;
        signal.columns = columns;
    }
    if let Some(grouping) = input.grouping {
        signal.grouping = format!("{grouping:?}");
    }
    if input.explicit_group_name.is_some() {
        signal.explicit_group_name = optional("ExplicitGroupName", input.explicit_group_name)?;
    }
    signal.is_protected = input.is_protected.unwrap_or(signal.is_protected);
    signal.is_index_suppressed = input.is_index_suppressed.unwrap_or(signal.is_index_suppressed);
    Ok(signal)
}

fn write(connection: &Connection, signal: &Signal) -> Result<()> {
    let sql = "UPDATE signals SET title = ?2, description = ?3, filters = ?4, columns = ?5, is_protected = ?6,
               is_index_suppressed = ?7, grouping = ?8, explicit_group_name = ?9 WHERE id = ?1";
    let (filters, columns) = (to_json(&signal.filters)?, to_json(&signal.columns)?);
    let values = params![
        signal.id,
        signal.title,
        signal.description,
        filters,
        columns,
        signal.is_protected,
        signal.is_index_suppressed,
        signal.grouping,
        signal.explicit_group_name
    ];
    connection.execute(sql, values).map(drop).map_err(|cause| database_error(&cause))
}
