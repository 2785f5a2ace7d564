//! `/signals`: lists, creates, changes and removes signals.

use axum::response::Response;
use maud::{Markup, html};

use super::{
    editing::{Editable, Removable},
    form::{Field, Fields, Filled},
    layout::{self, Section},
    table::{Row, list},
    visit::Visit,
};
use crate::{
    api::resource::all,
    entities::signals::{Signal, SignalFilter, SignalInput, texts},
    failure::HttpResult,
    permission::Permission,
};

const HERE: Section = Section::Signals;

pub(super) async fn list_all(visit: Visit) -> HttpResult<Response> {
    let signals: Vec<Signal> = all(&visit.site, &visit.who).await?;
    let may_change = visit.who.permissions.has(Permission::Write);
    let rows: Vec<Row> = signals.iter().map(|signal| row(signal, may_change)).collect();
    let body = html! {
        (layout::head("Signals", "A signal is a named filter for events. Notifications subscribe to signals.", &html! {
            @if may_change { a.button.primary href="/signals/new" { "New signal" } }
        }))
        (list("Signals", &["Signal", "Filter", "~Actions"], &rows, html! { p { strong { "There are no signals." } } }))
    };
    visit.page(HERE, HERE.title(), body).await
}

fn row(signal: &Signal, may_change: bool) -> Row {
    Row::new(html! { (signal.title) @if let Some(description) = &signal.description { small { (description) } } })
        .cell("Filter", html! {
            @for (at, filter) in texts(&signal.filters).enumerate() { @if at > 0 { br; "and " } code { (filter) } }
            @if texts(&signal.filters).next().is_none() { "every event" }
        })
        .actions(html! {
            a.button.small href={ "/events?signal=" (signal.id) } aria-label={ "Events of " (signal.title) } { "Events" }
            @if may_change { a.button.small href={ "/signals/" (signal.id) } aria-label={ "Edit " (signal.title) } { "Edit" } }
        })
}

impl Removable for Signal {
    const HERE: Section = HERE;
    const NOUN: &'static str = "signal";
}

impl Editable for Signal {
    type Kind = ();

    fn kind(&self) -> HttpResult<()> {
        Ok(())
    }

    fn kind_in(_: &str) -> HttpResult<()> {
        Ok(())
    }

    fn new_title((): ()) -> &'static str {
        "New signal"
    }

    fn named(&self) -> String {
        format!("Signal “{}”", self.title)
    }

    fn new_values() -> Filled {
        Filled::default()
    }

    fn values(&self) -> Filled {
        Filled::with([
            ("Title", self.title.clone()),
            ("Description", self.description.clone().unwrap_or_default()),
            ("Filter", texts(&self.filters).collect::<Vec<_>>().join("\n")),
        ])
    }

    fn input(_: &Visit, (): (), _: Option<&Self>, fields: &Fields, _: &mut Filled) -> SignalInput {
        let lines = fields.text("Filter").lines().map(str::trim).filter(|line| !line.is_empty());
        let filters = lines.map(|line| SignalFilter { filter: Some(line.to_owned()), ..SignalFilter::default() });
        SignalInput {
            title: Some(fields.text("Title").to_owned()),
            description: Some(fields.text("Description").to_owned()),
            filters: Some(filters.collect()),
            ..SignalInput::default()
        }
    }

    async fn controls(_: &Visit, (): (), _: bool, filled: &Filled) -> HttpResult<Markup> {
        Ok(html! {
            (Field::text("Title", "Title").required().show(filled))
            (Field::text("Description", "Description").show(filled))
            (Field::text("Filter", "Filter").lines(4).hint("One expression per line. An event must match all of them. Empty: every event matches.").show(filled))
            (help())
        })
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
