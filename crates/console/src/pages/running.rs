//! The progress of running jobs: a region on every page, and the fragment that `live.js` fetches to update it.

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

/// The path of the fragment.
pub(super) const PATH: &str = "/running";

/// A running job.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    /// For example "Backing up".
    pub what: String,
    /// In bytes.
    pub done: u64,
    /// In bytes, if it is known.
    pub total: Option<u64>,
    pub since: Timestamp,
}

/// The region that `live.js` updates. Empty if no job is running.
pub(super) fn region(running: &[Progress]) -> Markup {
    html! {
        @if !running.is_empty() {
            section.card.running aria-label="Running now" data-live=(PATH) { (fragment(running)) }
        }
    }
}

/// The content of the region.
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
        noscript { p.small { a href="" { "Refresh" } " to see the progress." } }
    }
}

fn how_far(one: &Progress) -> String {
    match one.total {
        Some(total) if total > 0 => format!("{} of {}", words::size(one.done.min(total)), words::size(total)),
        _ if one.done > 0 => words::size(one.done),
        _ => format!("since {}", one.since.strftime("%H:%M:%S UTC")),
    }
}

pub(super) fn of(site: &Site) -> Vec<Progress> {
    site.console
        .jobs
        .running()
        .into_iter()
        .map(|job| Progress {
            what: in_words(&job.command, &job.what),
            done: job.done,
            total: Some(job.total).filter(|total| *total > 0),
            since: job.since,
        })
        .collect()
}

fn in_words(command: &str, what: &str) -> String {
    let activity = match command {
        "backup" => "Backing up",
        "verify" => "Verifying a backup",
        "restore" => "Comparing a backup",
        "inspect" => "Reading a backup",
        "apps" => "Releasing apps",
        other => other,
    };
    if what.is_empty() { activity.to_owned() } else { format!("{activity}: {what}") }
}

/// `GET /running`: the fragment, or 204 if no job is running.
pub(super) async fn get(State(site): State<Arc<Site>>) -> Response {
    let running = of(&site);
    if running.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        html_of(fragment(&running)).into_response()
    }
}
