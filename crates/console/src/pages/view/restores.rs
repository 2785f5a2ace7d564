//! What was restored, what that replaced, and the way back.

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

/// One restore.
#[derive(Debug, Clone)]
pub struct Restore {
    pub id: String,
    pub at: Timestamp,
    /// Where the state came from, in words.
    pub source: String,
    /// What became of the apps.
    pub apps: &'static str,
    /// How it ended, in words, and whether that is good.
    pub state: (Tone, &'static str),
    /// How much room what it replaced takes.
    pub bytes: u64,
    pub can_undo: bool,
}

/// What the next start does.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub script: String,
    pub words: String,
}

const HEADINGS: [&str; 5] = ["When", "What", "Outcome", "Replaced", "~What to do"];

/// The page. `waiting` is what the next start does.
pub fn page(restores: &[Restore], waiting: &[Waiting], csrf: &str, now: Timestamp) -> Markup {
    let rows: Vec<Row> = restores.iter().map(|restore| row(restore, now)).collect();
    html! {
        (layout::head("Restores", "What a restore replaced is kept, at least until a verified backup after seven days.", &html! {}))
        @for one in waiting {
            div.banner.warn {
                p { strong { (one.words) } }
                (form::button(&format!("/restores/requested/{}/cancel", one.script), csrf, "small", html! { "Take it back" }))
            }
        }
        (list("Restores of this volume", &HEADINGS, &rows, html! {
            p { strong { "Nothing was restored here." } }
            p { "A restore begins with a backup: " a href="/backups" { "Backups" } "." }
        }))
    }
}

fn row(restore: &Restore, now: Timestamp) -> Row {
    Row {
        head: words::time_and_age(restore.at, now),
        cells: vec![
            cell("What", html! { (restore.source) @if !restore.apps.is_empty() { small { (restore.apps) } } }),
            cell("Outcome", pill(restore.state.0, restore.state.1)),
            cell(
                "Replaced",
                html! {
                    @if restore.can_undo { "kept, " (words::size(restore.bytes)) } @else { span.soft { "not kept" } }
                },
            ),
            cell(
                "",
                html! { @if restore.can_undo { div.actions {
                    a.button.small href={ "/restores/" (restore.id) "/undo" } aria-label={ "Undo the restore of " (words::utc(restore.at)) } { "Undo…" }
                } } },
            ),
        ],
    }
}

/// Asks before it is undone.
pub fn undo(restore: &Restore, csrf: &str, is_server: bool) -> Markup {
    html! {
        div { (layout::back_to(Section::Restores)) (layout::head("Undo this restore", "", &html! {})) }
        form.card.stack method="post" action={ "/restores/" (restore.id) "/undo" } {
            (form::csrf(csrf))
            p { "The state that was there before " strong { (words::utc(restore.at)) } " comes back, in place of what is there now. What is there now is kept, and can be brought back in the same way." }
            p { (when(is_server)) }
            div.actions {
                button.danger type="submit" { "Undo at the next restart" }
                a.button href=(Section::Restores.path()) { "Cancel" }
            }
        }
    }
}
