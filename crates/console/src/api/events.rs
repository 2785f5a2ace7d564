//! `api/events`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{
    Site, blocking,
    entities::{find as find_entity, signals::Signal},
    failure::HttpResult,
    filter::Filter,
};
use volume::{
    error::{Error, Result},
    events::{self, EventPosition, Stored},
};

const DEFAULT_COUNT: usize = 30;
const MOST: usize = 1000;

/// An event, in Seq's shape.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EventEntity {
    /// `event-`, day and offset of its line.
    pub id: String,
    pub timestamp: String,
    /// `Information`, `Warning`, `Error`.
    pub level: String,
    /// Such as `BackupFailed`.
    pub event_type: String,
    /// The message with the names of properties in braces.
    pub message_template: String,
    /// The message with the values of properties.
    pub rendered_message: String,
    pub properties: Vec<Property>,
}

/// A property of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Property {
    pub name: String,
    pub value: Value,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// The id of a signal.
    pub signal: Option<String>,
    /// A filter, such as `@Level = 'Error'`.
    pub filter: Option<String>,
    /// The maximum number of events; default 30.
    #[param(minimum = 1, maximum = 1000)]
    pub count: Option<u32>,
    /// The id of an event: only older events are returned.
    #[serde(rename = "afterId")]
    pub after_id: Option<String>,
}

pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Query(query): Query<EventQuery>,
) -> HttpResult<Json<Vec<EventEntity>>> {
    Ok(Json(find(&site, query).await?.iter().map(entity).collect()))
}

/// The events of a query, newest first.
pub(crate) async fn find(site: &Site, query: EventQuery) -> HttpResult<Vec<Stored>> {
    let count = query.count.map_or(Ok(DEFAULT_COUNT), |count| match usize::try_from(count) {
        Ok(count @ 1..=MOST) => Ok(count),
        _ => Err(Error::usage(format!("count must be a number from 1 to {MOST}"))),
    })?;
    let mut filters: Vec<Filter> = Vec::new();
    if let Some(text) = query.filter.filter(|text| !text.trim().is_empty()) {
        filters.push(text.parse()?);
    }
    if let Some(id) = query.signal.filter(|id| !id.is_empty()) {
        let signal: Signal = site.console.database.call(move |connection| find_entity(connection, &id)).await?;
        filters.extend(signal.compiled()?);
    }
    let place = query.after_id.filter(|id| !id.is_empty()).map(|id| place_of(&id)).transpose()?;
    let volume = site.console.volume.clone();
    let read = move || {
        let matches = |event: &Stored| filters.iter().all(|filter| filter.matches(event));
        events::read_before(&volume, place.as_ref(), count, &matches)
    };
    Ok(blocking(read).await?)
}

fn place_of(id: &str) -> Result<EventPosition> {
    let place = id.strip_prefix("event-").unwrap_or(id).parse();
    place.map_err(|()| Error::usage("afterId is not the id of an event"))
}

pub(super) fn entity(event: &Stored) -> EventEntity {
    let text = |name: &str| event.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let properties = event.properties().map(|(name, value)| Property { name: name.to_owned(), value: value.clone() });
    EventEntity {
        id: format!("event-{}", event.position),
        timestamp: text("@t"),
        level: event.level().to_owned(),
        event_type: event.kind().to_owned(),
        message_template: text("@mt"),
        rendered_message: event.message(),
        properties: properties.collect(),
    }
}
