//! `/signals`: the list and the form of signals.

use maud::{Markup, html};

use super::super::{
    form::{self, Field, Filled},
    layout::{self, Section},
    table::{Row, cell, list},
};

#[derive(Debug, Clone)]
pub struct Signal {
    pub id: String,
    pub title: String,
    pub description: String,
    pub filters: Vec<String>,
}

pub fn page(signals: &[Signal], may_change: bool) -> Markup {
    let rows: Vec<Row> = signals.iter().map(|signal| row(signal, may_change)).collect();
    html! {
        (layout::head("Signals", "A signal is a named filter for events. Notifications subscribe to signals.", &html! {
            @if may_change { a.button.primary href="/signals/new" { "New signal" } }
        }))
        (list("Signals", &["Signal", "Filter", "~Actions"], &rows, html! { p { strong { "There are no signals." } } }))
    }
}

fn row(signal: &Signal, may_change: bool) -> Row {
    Row {
        head: html! { (signal.title) @if !signal.description.is_empty() { small { (signal.description) } } },
        cells: vec![
            cell(
                "Filter",
                html! { @for (at, filter) in signal.filters.iter().enumerate() {
                    @if at > 0 { br; "and " } code { (filter) }
                } @if signal.filters.is_empty() { "every event" } },
            ),
            cell(
                "",
                html! { div.actions {
                    a.button.small href={ "/events?signal=" (signal.id) } aria-label={ "Events of " (signal.title) } { "Events" }
                    @if may_change { a.button.small href={ "/signals/" (signal.id) } aria-label={ "Edit " (signal.title) } { "Edit" } }
                } },
            ),
        ],
    }
}

/// The form of a signal. `id` is `None` for a new signal.
pub fn edit(id: Option<&str>, csrf: &str, filled: &Filled) -> Markup {
    let title = if id.is_some() { filled.value("Title") } else { "New signal" };
    html! {
        div { (layout::back_to(Section::Signals)) (layout::head(title, "", &html! {})) }
        form.card.stack method="post" action={ "/signals/" (id.unwrap_or("new")) } {
            (form::trouble(filled))
            (form::csrf(csrf))
            (Field::text("Title", "Title").required().show(filled))
            (Field::text("Description", "Description").show(filled))
            (Field::text("Filter", "Filter").lines(4).hint("One expression per line. An event must match all of them. Empty: every event matches.").show(filled))
            (help())
            div.actions {
                button.primary type="submit" { "Save" }
                a.button href=(Section::Signals.path()) { "Cancel" }
                @if let Some(id) = id { a.button href={ "/signals/" (id) "/remove" } { "Remove…" } }
            }
        }
    }
}

fn help() -> Markup {
    html! {
        details {
            summary { "How to write a filter" }
            dl.facts {
                dt { code { "@Level = 'Error'" } } dd { "the level: Information, Warning, Error" }
                dt { code { "@EventType in ['BackupFailed', 'BackupMissed']" } } dd { "one of these types of event" }
                dt { code { "FileName like 'seq_%'" } } dd { "a property; % matches any text" }
                dt { code { "ElapsedSeconds >= 60" } } dd { "a number; operators: =, <>, <, <=, >, >=" }
                dt { code { "not (… or …) and …" } } dd { "combined expressions" }
            }
        }
    }
}
