//! The progress of running jobs: a region on every page, and the fragment that `live.js` fetches to update it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{layout::html_of, words};
use crate::{Site, jobs::Running};

pub(super) const PATH: &str = "/running";

/// The region that `live.js` updates. Empty if no job is running.
pub(super) fn region(running: &[Running]) -> Markup {
    html! {
        @if !running.is_empty() {
            section.card.running aria-label="Running now" data-live=(PATH) { (fragment(running)) }
        }
    }
}

/// The content of the region.
pub(super) fn fragment(running: &[Running]) -> Markup {
    html! {
        ul {
            @for (at, one) in running.iter().enumerate() {
                li {
                    div.head {
                        label for={ "progress-" (at) } { strong { (in_words(&one.command, &one.what)) } }
                        span.soft.small.num { (how_far(one)) }
                    }
                    @if one.total > 0 { progress id={ "progress-" (at) } max=(one.total) value=(one.done.min(one.total)) {} }
                    @else { progress id={ "progress-" (at) } {} }
                }
            }
        }
        noscript { p.small { a href="" { "Refresh" } " to see the progress." } }
    }
}

fn how_far(one: &Running) -> String {
    match (one.done, one.total) {
        (0, 0) => format!("since {}", one.since.strftime("%H:%M:%S UTC")),
        (done, 0) => words::size(done),
        (done, total) => format!("{} of {}", words::size(done.min(total)), words::size(total)),
    }
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
    let running = site.console.jobs.running();
    if running.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        html_of(fragment(&running)).into_response()
    }
}
