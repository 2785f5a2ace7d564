//! One router for the API and the pages, behind [`guard`] and with strict security headers.

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header, uri::PathAndQuery},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use super::{
    Failure, Site, api,
    auth::guard,
    pages,
    routes::{Routes, Rule},
};

/// Limit of all bodies except uploads, in bytes.
const LONGEST_BODY: usize = 512 << 10;

/// Headers of every response. Scripts and styles are loaded from the console itself only, and never inline.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; connect-src 'self'",
    ),
    ("x-content-type-options", "nosniff"),
    // Not `no-referrer`, because browsers then send `Origin: null` with a form, which `same_site::require` refuses.
    ("referrer-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
];

fn routes() -> Routes {
    api::routes().merge(pages::routes())
}

/// The rules of all routes, in the order of their definition.
#[must_use]
pub fn rules() -> Vec<Rule> {
    routes().rules
}

pub(crate) fn router(site: Arc<Site>) -> Router {
    let Routes { router, rules, .. } = routes();
    router
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state((Arc::clone(&site), Arc::from(rules)), guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), pages::as_pages))
        .layer(middleware::from_fn(finish))
        .with_state(site)
}

async fn not_found() -> Response {
    Failure::new(StatusCode::NOT_FOUND, "no such path").into_response()
}

/// Adds the headers, and turns plain-text errors (axum's) into [`Failure`]s.
async fn finish(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    let is_text =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if is_error && is_text {
        response = into_failure(response).await;
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn into_failure(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, 4096).await.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let text = text.filter(|text| !text.is_empty());
    let fallback = parts.status.canonical_reason().unwrap_or("failed").to_lowercase();
    let failure = Failure::new(parts.status, text.unwrap_or(fallback));
    let mut response = failure.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER, header::CONTENT_RANGE] {
        if let Some(value) = parts.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Removes the final `/` of the path, because Seq's clients request `api/backups/`.
pub(crate) fn without_last_slash(request: &mut axum::http::Request<impl Sized>) {
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
