//! What runs, and how far it is: part of every page while something runs, and a fragment of its own for `live.js`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use maud::{Markup, html};

use super::{layout::html_of, words};
use crate::Site;

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

/// What runs now.
pub(super) fn of(site: &Site) -> Vec<Progress> {
    site.console
        .jobs
        .running()
        .into_iter()
        .map(|job| Progress {
            what: in_words(&job.verb, &job.what),
            done: job.done,
            total: Some(job.total).filter(|total| *total > 0),
            since: job.since,
        })
        .collect()
}

fn in_words(verb: &str, what: &str) -> String {
    let verb = match verb {
        "backup" => "Backing up",
        "verify" => "Verifying a backup",
        "restore" => "Comparing a backup",
        "inspect" => "Looking into a backup",
        "apps" => "Releasing apps",
        other => other,
    };
    if what.is_empty() { verb.to_owned() } else { format!("{verb}: {what}") }
}

/// `GET /running`: the fragment; 204 where nothing runs any more.
pub(super) async fn get(State(site): State<Arc<Site>>) -> Response {
    let running = of(&site);
    if running.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        html_of(fragment(&running)).into_response()
    }
}
