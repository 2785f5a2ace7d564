//! Lists as tables, which become cards where it is narrow.
//!
//! Roles are written out, because a browser forgets that a table is one when its rows are laid out as cards.

use maud::{Markup, html};

/// One cell under its heading. An empty heading is a column of buttons.
pub(super) struct Cell {
    heading: &'static str,
    content: Markup,
}

/// A cell.
pub(super) fn cell(heading: &'static str, content: Markup) -> Cell {
    Cell { heading, content }
}

/// One row: what it is about, and the rest.
pub(super) struct Row {
    /// What the row is about.
    pub head: Markup,
    /// In the order of the headings.
    pub cells: Vec<Cell>,
}

/// A table. `headings` begins with that of the rows' heads; the name of a column without one is only heard.
pub(super) fn table(caption: &str, headings: &[&str], rows: &[Row]) -> Markup {
    html! {
        table.list role="table" {
            caption { (caption) }
            thead role="rowgroup" { tr role="row" {
                @for heading in headings {
                    @match heading.strip_prefix('~') {
                        Some(heard) => th scope="col" role="columnheader" { span.unseen { (heard) } },
                        None => th scope="col" role="columnheader" { (heading) },
                    }
                }
            } }
            tbody role="rowgroup" {
                @for row in rows { tr role="row" {
                    th scope="row" role="rowheader" { (row.head) }
                    @for cell in &row.cells {
                        @if cell.heading.is_empty() { td role="cell" { (cell.content) } }
                        @else { td role="cell" data-label=(cell.heading) { div { (cell.content) } } }
                    }
                } }
            }
        }
    }
}

/// A table in a card; where it has no rows, words in its place.
pub(super) fn list(caption: &str, headings: &[&str], rows: &[Row], where_empty: Markup) -> Markup {
    html! {
        section.card.flush aria-label=(caption) {
            @if rows.is_empty() {
                h2 { (caption) }
                div.empty { (where_empty) }
            } @else {
                (table(caption, headings, rows))
            }
        }
    }
}
