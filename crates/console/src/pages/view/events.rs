//! `/events`: the events, newest first, with their filters.

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::{
    form::{Field, Filled},
    layout::{self, Tone, pill},
    table::{Row, cell, list},
    words,
};

#[derive(Debug, Clone)]
pub struct Event {
    pub at: Option<Timestamp>,
    pub level: String,
    pub kind: String,
    pub message: String,
    pub properties: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Page<'a> {
    pub now: Timestamp,
    pub events: &'a [Event],
    /// Id and title of each signal.
    pub signals: &'a [(String, String)],
    /// The id of the selected signal.
    pub signal: &'a str,
    /// Link to older events.
    pub older: Option<String>,
    /// Link back to the newest events.
    pub newest: Option<String>,
}

impl Page<'_> {
    /// `filled` contains the filter.
    pub fn show(&self, filled: &Filled) -> Markup {
        let rows: Vec<Row> = self.events.iter().map(|event| row(event, self.now)).collect();
        html! {
            (layout::head("Events", "Everything that moorline did on this volume. Backups do not contain events. The oldest events are removed when they take too much space.", &html! {}))
            (self.filters(filled))
            (list("Events, newest first", &["When", "Level", "What"], &rows, html! {
                p { strong { "No events match." } }
                @if !filled.value("filter").is_empty() || !self.signal.is_empty() { p { a href="/events" { "Show all events" } } }
            }))
            @if self.older.is_some() || self.newest.is_some() {
                nav.actions aria-label="More events" {
                    @if let Some(newest) = &self.newest { a.button href=(newest) { "Newest" } }
                    @if let Some(older) = &self.older { a.button href=(older) rel="next" { "Older →" } }
                }
            }
        }
    }

    fn filters(&self, filled: &Filled) -> Markup {
        html! {
            div.stack {
                ul.chips aria-label="Signals" {
                    li { a href="/events" aria-current=[self.signal.is_empty().then_some("true")] { "All events" } }
                    @for (id, title) in self.signals {
                        li { a href={ "/events?signal=" (id) } aria-current=[(self.signal == id).then_some("true")] { (title) } }
                    }
                }
                form.filter method="get" action="/events" role="search" {
                    @if !self.signal.is_empty() { input type="hidden" name="signal" value=(self.signal); }
                    (Field::text("filter", "Filter").kind("search").hint("For example @Level = 'Error', @EventType = 'BackupFailed', or FileName like 'seq_%'.").show(filled))
                    button type="submit" { "Show" }
                }
            }
        }
    }
}

fn row(event: &Event, now: Timestamp) -> Row {
    let tone = match event.level.as_str() {
        "Error" | "Fatal" => Tone::Bad,
        "Warning" => Tone::Warn,
        _ => Tone::Plain,
    };
    Row {
        head: html! { @if let Some(at) = event.at { (words::time_and_age(at, now)) } @else { "?" } },
        cells: vec![
            cell("Level", pill(tone, &event.level)),
            cell(
                "",
                html! {
                    span.long { (event.message) }
                    details {
                        summary { (event.kind) }
                        dl.props { @for (name, value) in &event.properties { dt { (name) } dd { (value) } } }
                    }
                },
            ),
        ],
    }
}
