//! Tables, whose rows become cards on narrow screens.
//!
//! The ARIA roles are explicit, because browsers drop the table semantics when CSS lays out the rows as cards.

use maud::{Markup, html};

pub(super) struct Cell {
    heading: &'static str,
    content: Markup,
}

/// The heading is the label of the cell on a card. A cell of buttons has none.
pub(super) fn cell(heading: &'static str, content: Markup) -> Cell {
    Cell { heading, content }
}

pub(super) struct Row {
    /// The first cell, which names the object of the row.
    pub head: Markup,
    /// The other cells, in the order of the headings.
    pub cells: Vec<Cell>,
}

/// The first heading belongs to the heads of the rows. A heading that starts with `~` is visible to screen readers only.
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

/// A table in a card, or `if_empty` if it has no rows.
pub(super) fn list(caption: &str, headings: &[&str], rows: &[Row], if_empty: Markup) -> Markup {
    html! {
        section.card.flush aria-label=(caption) {
            @if rows.is_empty() {
                h2 { (caption) }
                div.empty { (if_empty) }
            } @else {
                (table(caption, headings, rows))
            }
        }
    }
}
