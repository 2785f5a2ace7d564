//! `/events`: what happened.

use axum::{extract::Query, response::Response};
use serde::Deserialize;

use super::{
    faults::encoded,
    form::Filled,
    layout::Section,
    view::{self, events::Event},
    visit::Visit,
};
use crate::{
    events::{self, Place, Stored},
    serve::{blocking, failure::Answer},
};

const HERE: Section = Section::Events;
/// On one page.
const COUNT: usize = 50;

/// What is wanted.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    filter: String,
    #[serde(default)]
    signal: String,
    #[serde(default)]
    before: String,
}

pub(super) async fn list(visit: Visit, Query(wanted): Query<Wanted>) -> Answer<Response> {
    let filled = Filled::with([("filter", wanted.filter.clone())]);
    let place: Option<Place> = wanted.before.parse().ok();
    let volume = visit.site.console.volume.clone();
    let found = blocking(move || events::read_before(&volume, place.as_ref(), COUNT + 1, &|_| true)).await?;
    let older = found.get(COUNT).map(|_| wanted.link(&found[COUNT - 1].place.to_string()));
    let shown: Vec<Event> = found.iter().take(COUNT).map(shown).collect();
    let page = view::events::Page {
        now: visit.now,
        events: &shown,
        signals: &[],
        signal: &wanted.signal,
        older,
        newest: (!wanted.before.is_empty()).then(|| wanted.link("")),
    };
    let body = page.show(&filled);
    visit.page(HERE, HERE.title(), body).await
}

impl Wanted {
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
