//! Tables, whose rows become cards on narrow screens.
//!
//! The ARIA roles are explicit, because browsers drop the table semantics when CSS lays out the rows as cards.

use maud::{Markup, html};

pub(super) struct Row {
    head: Markup,
    /// Heading and content, in the order of the headings of the table.
    cells: Vec<(&'static str, Markup)>,
}

impl Row {
    /// `head` is the first cell, which names the object of the row.
    pub(super) fn new(head: Markup) -> Self {
        Self { head, cells: Vec::new() }
    }

    /// The heading is the label of the cell on a card.
    pub(super) fn cell(mut self, heading: &'static str, content: Markup) -> Self {
        self.cells.push((heading, content));
        self
    }

    /// A cell of links and buttons.
    pub(super) fn actions(self, actions: Markup) -> Self {
        self.cell("", html! { @if !actions.0.is_empty() { div.actions { (actions) } } })
    }
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
                    @for (heading, content) in &row.cells {
                        @if heading.is_empty() { td role="cell" { (content) } }
                        @else { td role="cell" data-label=(heading) { div { (content) } } }
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
