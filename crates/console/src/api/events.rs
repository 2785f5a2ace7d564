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
    entities::signals,
    failure::{Answer, Problem},
    filter::Filter,
};
use volume::{
    error::{Error, Result},
    events::{self, Place, Stored},
};

const USUAL: usize = 30;
const MOST: usize = 1000;

/// An event, in Seq's shape.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct EventEntity {
    /// `event-` and where it stands.
    pub id: String,
    /// When it happened.
    pub timestamp: String,
    /// `Information`, `Warning`, `Error`.
    pub level: String,
    /// What happened.
    pub event_type: String,
    /// What happened, with names for the particulars.
    pub message_template: String,
    /// What happened, in words.
    pub rendered_message: String,
    /// The particulars.
    pub properties: Vec<Property>,
}

/// A particular of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Property {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// The id of a signal.
    pub signal: Option<String>,
    /// A filter, such as `@Level = 'Error'`.
    pub filter: Option<String>,
    /// How many at most: 30, unless said.
    #[param(minimum = 1, maximum = 1000)]
    pub count: Option<u32>,
    /// Those that come after this one in the list: older ones.
    #[serde(rename = "afterId")]
    pub after_id: Option<String>,
}

/// The events, newest first.
#[utoipa::path(get, path = "/api/events", params(Wanted), responses(
    (status = 200, body = Vec<EventEntity>), (status = 400, body = Problem), (status = 401, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn list(
    State(site): State<Arc<Site>>,
    Query(wanted): Query<Wanted>,
) -> Answer<Json<Vec<EventEntity>>> {
    Ok(Json(find(&site, wanted).await?.iter().map(entity).collect()))
}

/// The events that are wanted, newest first, for the API and for pages.
///
/// # Errors
/// 400 for a filter or an id that makes no sense, 404 for a signal that is not there.
pub async fn find(site: &Site, wanted: Wanted) -> Answer<Vec<Stored>> {
    let count = wanted.count.map_or(Ok(USUAL), |count| match usize::try_from(count) {
        Ok(count @ 1..=MOST) => Ok(count),
        _ => Err(Error::usage(format!("count is a number from 1 to {MOST}"))),
    })?;
    let mut filters: Vec<Filter> = Vec::new();
    if let Some(text) = wanted.filter.filter(|text| !text.trim().is_empty()) {
        filters.push(text.parse()?);
    }
    if let Some(id) = wanted.signal.filter(|id| !id.is_empty()) {
        let signal = site.console.database.call(move |connection| signals::find(connection, &id)).await?;
        filters.extend(signals::compiled(&signal)?);
    }
    let place = wanted.after_id.filter(|id| !id.is_empty()).map(|id| place_of(&id)).transpose()?;
    let volume = site.console.volume.clone();
    let read = move || {
        let matches = |event: &Stored| filters.iter().all(|filter| filter.matches(event));
        events::read_before(&volume, place.as_ref(), count, &matches)
    };
    Ok(blocking(read).await?)
}

fn place_of(id: &str) -> Result<Place> {
    let place = id.strip_prefix("event-").unwrap_or(id).parse();
    place.map_err(|()| Error::usage("afterId is no event's id"))
}

/// As it is shown.
#[must_use]
pub fn entity(event: &Stored) -> EventEntity {
    let text = |name: &str| event.fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let properties = event.properties().map(|(name, value)| Property { name: name.to_owned(), value: value.clone() });
    EventEntity {
        id: format!("event-{}", event.place),
        timestamp: text("@t"),
        level: event.level().to_owned(),
        event_type: event.kind().to_owned(),
        message_template: text("@mt"),
        rendered_message: event.message(),
        properties: properties.collect(),
    }
}
