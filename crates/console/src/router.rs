//! All routes in one: the API and the pages, behind [`guard`], in strict headers.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::{Failure, Site, api, auth::guard, pages};

/// No body but an upload's is longer.
const LONGEST_BODY: usize = 512 << 10;

/// What every answer carries. Scripts and styles come from this console alone, and from no page's text.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; connect-src 'self'",
    ),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`: under it browsers send `Origin: null` with a form, which `same_site::require` refuses.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The console's routes.
pub fn router(site: Arc<Site>) -> Router {
    let routes = Router::new().merge(api::router()).merge(pages::router()).fallback(nothing_here);
    routes
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), pages::as_pages))
        .layer(middleware::from_fn(answer))
        .with_state(site)
}

async fn nothing_here() -> Response {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing here").into_response()
}

/// Puts the headers on; an error without words of ours gets them.
async fn answer(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let is_text =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if is_error && is_text {
        response = in_words(response).await;
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// What axum says of a request that it could not take apart, as the other errors are said.
async fn in_words(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, 4096).await.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let text = text.filter(|text| !text.is_empty());
    let fallback = parts.status.canonical_reason().unwrap_or("it failed").to_lowercase();
    let failure = Failure::new(parts.status, text.unwrap_or(fallback));
    let mut response = failure.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER, header::CONTENT_RANGE] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Seq's clients ask for `api/backups/`: the same without its last `/`.
pub fn without_last_slash(request: &mut axum::http::Request<impl Sized>) {
    let path = request.uri().path();
    let shorter = path.trim_end_matches('/');
    if shorter.len() == path.len() || shorter.is_empty() {
        return;
    }
    let text = match request.uri().query() {
        Some(query) => format!("{shorter}?{query}"),
        None => shorter.to_owned(),
    };
    let mut parts = request.uri().clone().into_parts();
    if let Ok(path) = text.parse::<PathAndQuery>() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// An empty answer.
#[must_use]
pub fn nothing() -> Response {
    (StatusCode::NO_CONTENT, Body::empty()).into_response()
}
