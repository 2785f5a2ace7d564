//! What runs, and how far it is: part of every page while something runs, and a fragment of its own for `live.js`.

use jiff::Timestamp;
use maud::{Markup, html};

use super::words;

/// Where the fragment is.
pub(super) const PATH: &str = "/running";

/// One thing that runs.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// What it is: "Backing up".
    pub what: String,
    /// How many bytes are done.
    pub done: u64,
    /// Of how many; none where nobody knows.
    pub total: Option<u64>,
    /// Since when.
    pub since: Timestamp,
}

/// The region that is kept up to date; nothing where nothing runs.
pub(super) fn region(running: &[Progress]) -> Markup {
    html! {
        @if !running.is_empty() {
            section.card.running aria-label="Running now" data-live=(PATH) { (fragment(running)) }
        }
    }
}

/// What is in the region.
pub(super) fn fragment(running: &[Progress]) -> Markup {
    html! {
        ul {
            @for (at, one) in running.iter().enumerate() {
                li {
                    div.head {
                        label for={ "progress-" (at) } { strong { (one.what) } }
                        span.soft.small.num { (how_far(one)) }
                    }
                    @match one.total {
                        Some(total) if total > 0 => progress id={ "progress-" (at) } max=(total) value=(one.done.min(total)) {},
                        _ => progress id={ "progress-" (at) } {},
                    }
                }
            }
        }
        noscript { p.small { a href="" { "Refresh" } " to see how far it is." } }
    }
}

fn how_far(one: &Progress) -> String {
    match one.total {
        Some(total) if total > 0 => format!("{} of {}", words::size(one.done.min(total)), words::size(total)),
        _ if one.done > 0 => words::size(one.done),
        _ => format!("since {}", one.since.strftime("%H:%M:%S UTC")),
    }
}
