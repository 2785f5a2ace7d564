//! Turns error responses into pages for browsers; API clients get JSON. A browser without a session is sent to the login.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use maud::html;

use super::{layout, visit, words};
use crate::{Failure, Site};

/// Middleware around all routes, including the permission check.
pub(crate) async fn as_pages(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let wants_page = is_page(&path) && accepts_html(&request);
    let requested = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let is_page_already = kind_of(&response).starts_with("text/html");
    if !wants_page || !is_error || is_page_already {
        return response;
    }
    if response.status() == StatusCode::UNAUTHORIZED {
        return Redirect::to(&login_for(if is_get { &requested } else { "/" })).into_response();
    }
    let failure = response.extensions().get::<Failure>().cloned();
    let failure = failure.unwrap_or_else(|| {
        Failure::new(response.status(), response.status().canonical_reason().unwrap_or("the request failed"))
    });
    let instance = visit::instance(&site).await.unwrap_or_else(|_| visit::NAMELESS.to_owned());
    let title = title_of(failure.status);
    let body = html! {
        (layout::head(title, "", &html! {}))
        section.card {
            p { (words::sentence(&failure.problem.error)) }
            @if let Some(hint) = &failure.problem.hint { p.soft { (words::sentence(hint)) } }
            div.actions { a.button href="/" { "Go to the start page" } }
        }
    };
    (failure.status, layout::html_of(layout::alone(&instance, title, &body))).into_response()
}

fn is_page(path: &str) -> bool {
    let is_below = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    !["/api", "/health", "/metrics", "/static"].into_iter().any(is_below)
}

fn accepts_html(request: &Request) -> bool {
    request
        .headers()
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kinds| kinds.contains("text/html"))
}

fn kind_of(response: &Response) -> &str {
    response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

/// The path of the login page, with the requested page to return to.
fn login_for(requested: &str) -> String {
    if requested == "/" || requested == "/running" {
        return "/login".to_owned();
    }
    format!("/login?next={}", encoded(requested))
}

/// Percent-encodes a value of a query.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

fn title_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        403 => "Access denied",
        404 => "Page not found",
        405 => "Method not allowed",
        413 => "Request too large",
        429 => "Too many attempts",
        503 => "Temporarily unavailable",
        500.. => "Something went wrong",
        _ => "Request refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_keeps_the_requested_page_and_encodes_it() {
        assert_eq!(login_for("/"), "/login");
        assert_eq!(login_for("/events?filter=a b&c"), "/login?next=/events%3Ffilter%3Da%20b%26c");
    }

    #[test]
    fn api_paths_are_not_pages() {
        assert!(["/", "/backups", "/apikeys/new", "/healthy"].into_iter().all(is_page));
        assert!(!["/api", "/api/backups", "/health", "/metrics", "/static/x.css"].into_iter().any(is_page));
    }
}
