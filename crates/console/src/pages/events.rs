//! `/events`: lists events, filtered by signal and filter expression.

use axum::{extract::Query, response::Response};
use serde::Deserialize;

use super::{
    error_pages::encoded,
    form::Filled,
    layout::Section,
    signals,
    view::{self, events::Event},
    visit::{Visit, refuse},
};
use crate::{
    api::{EventQuery, find_events},
    failure::HttpResult,
};
use volume::events::Stored;

const HERE: Section = Section::Events;
/// Events per page.
const COUNT: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    filter: String,
    #[serde(default)]
    signal: String,
    #[serde(default)]
    before: String,
}

pub(super) async fn list(visit: Visit, Query(query): Query<PageQuery>) -> HttpResult<Response> {
    let mut filled = Filled::with([("filter", query.filter.clone())]);
    let signals: Vec<_> = signals::all(&visit.site).await?.into_iter().map(|one| (one.id, one.title)).collect();
    let asked = EventQuery {
        signal: Some(query.signal.clone()),
        filter: Some(query.filter.clone()),
        count: u32::try_from(COUNT + 1).ok(),
        after_id: Some(query.before.clone()),
    };
    let found = match find_events(&visit.site, asked).await {
        Ok(found) => found,
        Err(failure) => {
            refuse(&mut filled, failure, &[("", "filter")])?;
            Vec::new()
        }
    };
    let older = found.get(COUNT).map(|_| query.link(&found[COUNT - 1].position.to_string()));
    let shown: Vec<Event> = found.iter().take(COUNT).map(shown).collect();
    let page = view::events::Page {
        now: visit.now,
        events: &shown,
        signals: &signals,
        signal: &query.signal,
        older,
        newest: (!query.before.is_empty()).then(|| query.link("")),
    };
    let body = page.show(&filled);
    visit.page(HERE, HERE.title(), body).await
}

impl PageQuery {
    fn link(&self, before: &str) -> String {
        let all = [("filter", self.filter.as_str()), ("signal", &self.signal), ("before", before)];
        let pairs: Vec<String> = all
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        format!("/events?{}", pairs.join("&"))
    }
}

fn shown(event: &Stored) -> Event {
    Event {
        at: event.at(),
        level: event.level().to_owned(),
        kind: event.kind().to_owned(),
        message: event.message(),
        properties: event.properties().map(|(name, value)| (name.to_owned(), text(value))).collect(),
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
