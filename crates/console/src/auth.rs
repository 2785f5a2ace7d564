//! The middleware that authenticates and authorizes every request.
//!
//! | request | result |
//! | --- | --- |
//! | no rule for method and path | 405, or 404 if no method has a rule for the path |
//! | authentication is off | all permissions, but only from this host unless `open_to_all` is set; an unsafe method must not come from another site's page |
//! | `X-Seq-ApiKey`, or a bearer token | the key's permissions, limited to its owner's |
//! | session cookie | the user's permissions; an unsafe method also needs the CSRF token |
//! | no credentials | 401 if the rule needs a permission |
//!
//! The middleware adds the [`Principal`] to each request that it lets through.

mod limits;
mod same_site;
pub mod session;

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rusqlite::Connection;
use subtle::ConstantTimeEq;

pub use self::limits::Logins;
use super::{
    Failure, Site,
    entities::{keys, settings, users::User},
    failure::HttpResult,
    permission::{Permission, Permissions},
    rules::{self, Need, Rule},
};
use volume::error::Result;

/// Header with an API key.
pub const API_KEY: &str = "x-seq-apikey";
/// Header with the CSRF token.
pub const CSRF: &str = "x-seq-csrftoken";
/// Form field with the CSRF token.
pub const CSRF_FIELD: &str = "csrf";

/// The address of the client.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The user or API key that sent a request.
#[derive(Debug, Clone, Default)]
pub struct Principal {
    /// `None` if authentication is off, and for a shared API key.
    pub user: Option<User>,
    pub permissions: Permissions,
    /// The session's CSRF token.
    pub csrf: Option<String>,
    /// The hash of the session's token.
    pub session: Option<String>,
    /// Whether authentication is off.
    pub is_open: bool,
    /// Whether the handler of a multipart form still has to call [`Principal::check_csrf`].
    pub csrf_awaited: bool,
}

impl Principal {
    /// Fails with 401 if the request is not authenticated, else with 403 if the permission is missing.
    pub fn require(&self, permission: Permission) -> HttpResult<()> {
        if self.permissions.has(permission) {
            return Ok(());
        }
        // A user's API key without permissions is authenticated all the same, so it gets a 403.
        if self.user.is_none() && self.permissions == Permissions::NONE {
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "not logged in")
                .hint("log in, or send an API key as X-Seq-ApiKey"));
        }
        Err(Failure::new(StatusCode::FORBIDDEN, format!("this needs the permission {}", permission.name())))
    }

    /// Compares the CSRF token of a multipart form with the session's.
    pub fn check_csrf(&self, token: &str) -> HttpResult<()> {
        match &self.csrf {
            Some(csrf) if !bool::from(csrf.as_bytes().ct_eq(token.as_bytes())) => Err(no_csrf()),
            _ => Ok(()),
        }
    }

    /// The user's name for events and pages, `anonymous` without a user.
    pub fn name(&self) -> &str {
        self.user.as_ref().map_or("anonymous", |user| &user.username)
    }

    pub fn user_id(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.id.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::from([0, 0, 0, 0]))))
    }
}

/// The middleware in front of every route.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    match admit(&site, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn admit(site: &Site, mut request: Request) -> HttpResult<Request> {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "no such path"));
    };
    let rule = rules::find(request.method(), &path).ok_or_else(|| not_allowed(&path))?;
    let credentials = Credentials::of(request.headers());
    let identity = site.console.database.call(move |connection| credentials.identify(connection)).await;
    let identity = identity.or_else(|error| if path == rules::PROBE { Ok(Identity::unknown()) } else { Err(error) })?;
    let mut principal = identity.principal;
    if !identity.has_to_log_in && !site.open_to_all {
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        same_site::require_this_host(request.headers(), peer)?;
    }
    if let Need::Permission(permission) = rule.need {
        principal.require(permission)?;
    }
    if is_unsafe(request.method()) {
        // Any page can make a browser send its cookie, or a request from this host. It cannot add an API key.
        if principal.csrf.is_some() {
            request = check_csrf(&mut principal, rule, request).await?;
        } else if !identity.by_key {
            same_site::require(request.headers())?;
        }
    }
    request.extensions_mut().insert(principal);
    Ok(request)
}

/// Whether the method is unsafe, i.e. may change something (RFC 9110 §9.2.1).
fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn check_csrf(principal: &mut Principal, rule: &Rule, request: Request) -> HttpResult<Request> {
    let of_header = request.headers().get(CSRF).and_then(|value| value.to_str().ok());
    if let Some(token) = of_header {
        return principal.check_csrf(token).map(|()| request);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") && rule.takes_parts {
        principal.csrf_awaited = true;
        return Ok(request);
    }
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(no_csrf());
    }
    let (token, request) = same_site::token_of_form(request).await?;
    principal.check_csrf(token.as_deref().unwrap_or_default())?;
    Ok(request)
}

fn no_csrf() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "the CSRF token is missing or belongs to another session")
        .hint("send the CsrfToken of the login as X-Seq-CsrfToken; in a browser, reload the page")
}

fn not_allowed(path: &str) -> Failure {
    let methods = rules::methods(path);
    if methods.is_empty() {
        log::error!("no rule says who may use {path}, so it is answered with 404");
        return Failure::new(StatusCode::NOT_FOUND, "no such path");
    }
    let mut failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("allowed methods: {methods}"));
    failure.header = methods.parse().ok().map(|methods| Box::new((header::ALLOW, methods)));
    failure
}

#[derive(Default)]
struct Credentials {
    key: Option<String>,
    session: Option<String>,
}

struct Identity {
    has_to_log_in: bool,
    by_key: bool,
    principal: Principal,
}

impl Identity {
    /// A request without permissions, for the time in which the metastore cannot be read.
    fn unknown() -> Self {
        Self { has_to_log_in: true, by_key: false, principal: Principal::default() }
    }
}

impl Credentials {
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let key = text(API_KEY).or(bearer).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        Self { key, session: session::of_cookies(headers) }
    }

    fn identify(self, connection: &mut Connection) -> Result<Identity> {
        let has_to_log_in = settings::is_authentication_enabled(connection)?;
        let by_key = self.key.is_some();
        let mut principal = match (self.key, self.session) {
            // An unknown key gets no permissions, even if the request has a valid session, too.
            (Some(key), _) => keys::by_token(connection, &key)?
                .map(|(_, user, permissions)| Principal { user, permissions, ..Principal::default() })
                .unwrap_or_default(),
            (None, Some(token)) => session::find(connection, &token)?.unwrap_or_default(),
            (None, None) => Principal::default(),
        };
        if !has_to_log_in {
            principal.permissions = if by_key { principal.permissions } else { Permissions::all() };
            principal.is_open = true;
        }
        Ok(Identity { has_to_log_in, by_key, principal })
    }
}
