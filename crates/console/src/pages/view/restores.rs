//! `/restores`: requested restores, past restores, and the confirmation of a rollback.

use jiff::Timestamp;
use maud::{Markup, html};

use super::{
    super::{
        form,
        layout::{self, Section, Tone, pill},
        table::{Row, cell, list},
        words,
    },
    backup::when,
};

#[derive(Debug, Clone)]
pub struct Restore {
    pub id: String,
    pub at: Timestamp,
    /// The origin of the restored state, in words.
    pub source: String,
    /// Whether the apps are off, in words.
    pub apps: &'static str,
    /// The outcome, in words.
    pub state: (Tone, &'static str),
    /// Size of the replaced state.
    pub bytes: u64,
    pub can_roll_back: bool,
}

/// A restore or rollback that the next start executes.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub script: String,
    pub words: String,
}

const HEADINGS: [&str; 5] = ["When", "Source", "Outcome", "Replaced state", "~Actions"];

pub fn page(restores: &[Restore], waiting: &[Waiting], csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = restores.iter().map(|restore| row(restore, now)).collect();
    html! {
        (layout::head("Restores", "The state that a restore replaced is kept for at least seven days, and until there is a newer verified backup.", &html! {}))
        @for one in waiting {
            div.banner.warn {
                p { strong { (one.words) } }
                (form::button(&format!("/restores/requested/{}/cancel", one.script), csrf, "small", html! { "Cancel" }))
            }
        }
        (list("Restores of this volume", &HEADINGS, &rows, html! {
            p { strong { "No restore has run on this volume." } }
            p { "To restore, choose a backup under " a href="/backups" { "Backups" } "." }
        }))
    }
}

fn row(restore: &Restore, now: Timestamp) -> Row {
    Row {
        head: words::time_and_age(restore.at, now),
        cells: vec![
            cell("Source", html! { (restore.source) @if !restore.apps.is_empty() { small { (restore.apps) } } }),
            cell("Outcome", pill(restore.state.0, restore.state.1)),
            cell(
                "Replaced state",
                html! {
                    @if restore.can_roll_back { "kept, " (words::size(restore.bytes)) } @else { span.soft { "not kept" } }
                },
            ),
            cell(
                "",
                html! { @if restore.can_roll_back { div.actions {
                    a.button.small href={ "/restores/" (restore.id) "/undo" } aria-label={ "Roll back the restore of " (words::utc(restore.at)) } { "Roll back…" }
                } } },
            ),
        ],
    }
}

/// Asks for confirmation before a rollback.
pub fn roll_back(restore: &Restore, csrf: &str, is_server: bool) -> Markup {
    html! {
        div { (layout::back_to(Section::Restores)) (layout::head("Roll back this restore", "", &html! {})) }
        form.card.stack method="post" action={ "/restores/" (restore.id) "/undo" } {
            (form::csrf(csrf))
            p { "The state before the restore of " strong { (words::utc(restore.at)) } " replaces the current state. The current state is kept, and you can bring it back in the same way." }
            p { (when(is_server)) }
            div.actions {
                button.danger type="submit" { "Roll back at the next restart" }
                a.button href=(Section::Restores.path()) { "Cancel" }
            }
        }
    }
}
