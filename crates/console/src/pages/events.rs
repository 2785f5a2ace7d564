//! `/events`: the events, newest first, filtered by signal and filter expression.

use axum::{extract::Query, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    error_pages::encoded,
    form::{Field, Filled},
    layout::{self, Section, Tone, pill},
    table::{Row, list},
    visit::{Visit, refuse},
    words,
};
use crate::{
    api::{EventQuery, find_events, resource::all},
    entities::signals::Signal,
    failure::HttpResult,
};
use volume::events::Stored;

const HERE: Section = Section::Events;
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

pub(super) async fn list_all(visit: Visit, Query(query): Query<PageQuery>) -> HttpResult<Response> {
    let mut filled = Filled::with([("filter", query.filter.clone())]);
    let signals: Vec<Signal> = all(&visit.site, &visit.who).await?;
    let asked = EventQuery {
        signal: Some(query.signal.clone()),
        filter: Some(query.filter.clone()),
        count: u32::try_from(COUNT + 1).ok(),
        after_id: Some(query.before.clone()),
    };
    let found = match find_events(&visit.site, asked).await {
        Ok(found) => found,
        Err(failure) => {
            refuse(&mut filled, failure.about("filter"), str::to_owned)?;
            Vec::new()
        }
    };
    let older = found.get(COUNT).map(|_| query.link(&found[COUNT - 1].position.to_string()));
    let newest = (!query.before.is_empty()).then(|| query.link(""));
    let rows: Vec<Row> = found.iter().take(COUNT).map(|event| row(event, visit.now)).collect();
    let body = html! {
        (layout::head("Events", "Everything that moorline did on this volume. Backups do not contain events. The oldest events are removed when they take too much space.", &html! {}))
        (filters(&signals, &query.signal, &filled))
        (list("Events, newest first", &["When", "Level", "What"], &rows, html! {
            p { strong { "No events match." } }
            @if !query.filter.is_empty() || !query.signal.is_empty() { p { a href="/events" { "Show all events" } } }
        }))
        @if older.is_some() || newest.is_some() {
            nav.actions aria-label="More events" {
                @if let Some(newest) = &newest { a.button href=(newest) { "Newest" } }
                @if let Some(older) = &older { a.button href=(older) rel="next" { "Older →" } }
            }
        }
    };
    visit.page(HERE, HERE.title(), body).await
}

fn filters(signals: &[Signal], selected: &str, filled: &Filled) -> Markup {
    html! {
        div.stack {
            ul.chips aria-label="Signals" {
                li { a href="/events" aria-current=[selected.is_empty().then_some("true")] { "All events" } }
                @for signal in signals {
                    li { a href={ "/events?signal=" (signal.id) } aria-current=[(selected == signal.id).then_some("true")] { (signal.title) } }
                }
            }
            form.filter method="get" action="/events" role="search" {
                @if !selected.is_empty() { input type="hidden" name="signal" value=(selected); }
                (Field::text("filter", "Filter").kind("search").hint("For example @Level = 'Error', @EventType = 'BackupFailed', or FileName like 'seq_%'.").show(filled))
                button type="submit" { "Show" }
            }
        }
    }
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

fn row(event: &Stored, now: Timestamp) -> Row {
    let tone = match event.level() {
        "Error" | "Fatal" => Tone::Bad,
        "Warning" => Tone::Warn,
        _ => Tone::Plain,
    };
    Row::new(html! { @if let Some(at) = event.at() { (words::time_and_age(at, now)) } @else { "?" } })
        .cell("Level", pill(tone, event.level()))
        .cell(
            "",
            html! {
                span.long { (event.message()) }
                details {
                    summary { (event.kind()) }
                    dl.props { @for (name, value) in event.properties() { dt { (name) } dd { (words::text(value)) } } }
                }
            },
        )
}
