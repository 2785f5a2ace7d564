//! The middleware that authenticates and authorizes every request.
//!
//! | request | result |
//! | --- | --- |
//! | no rule for method and path | 405 |
//! | authentication is off | all permissions, but only from this host unless `open_to_all` is set |
//! | `X-Seq-ApiKey`, or a bearer token | the key's permissions, limited to its owner's |
//! | session cookie | the user's permissions |
//! | no credentials | 401 if the rule needs a permission |
//!
//! Without an API key, an unsafe method must not come from another site's page (CSRF). The middleware adds the
//! [`Principal`] to each request that it lets through.

mod limits;
mod same_site;
pub(crate) mod session;

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{Extensions, HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rusqlite::Connection;

pub(crate) use self::limits::{Logins, network};
use super::{
    Failure, Site,
    entities::{keys, settings, users::User},
    failure::{HttpResult, InputError},
    permission::{Permission, Permissions},
    routes::{self, Rule},
};

pub(crate) const API_KEY: &str = "x-seq-apikey";
/// The path for probes. It answers even if the metastore cannot be read, and so no request can be authenticated.
pub(crate) const PROBE: &str = "/health";

#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub IpAddr);

/// The user or API key that sent a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Principal {
    /// `None` if authentication is off, and for a shared API key.
    pub user: Option<User>,
    pub permissions: Permissions,
    /// The hash of the session's token.
    pub session: Option<String>,
    pub is_open: bool,
}

impl Principal {
    /// Fails with 401 if the request is not authenticated, else with 403 if the permission is missing.
    pub(crate) fn require(&self, permission: Permission) -> HttpResult<()> {
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

    /// The user's name for events and pages, `anonymous` without a user.
    pub(crate) fn name(&self) -> &str {
        self.user.as_ref().map_or("anonymous", |user| &user.username)
    }

    pub(crate) fn user_id(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.id.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Peer {
    fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::from([0, 0, 0, 0])))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> std::result::Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}

/// The middleware in front of every route.
pub(crate) async fn guard(
    State((site, rules)): State<(Arc<Site>, Arc<[Rule]>)>,
    request: Request,
    next: Next,
) -> Response {
    match admit(&site, &rules, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn admit(site: &Site, rules: &[Rule], mut request: Request) -> HttpResult<Request> {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "no such path"));
    };
    let rule = routes::find(rules, request.method(), &path).ok_or_else(|| not_allowed(rules, &path))?;
    let credentials = Credentials::of(request.headers());
    let identity = site.console.database.call(move |connection| credentials.identify(connection)).await;
    let identity = identity.or_else(|error| if path == PROBE { Ok(Identity::unknown()) } else { Err(error) })?;
    let principal = identity.principal;
    if !identity.has_to_log_in && !site.open_to_all {
        same_site::require_this_host(request.headers(), Peer::of(request.extensions()).0)?;
    }
    if let Some(permission) = rule.needs {
        principal.require(permission)?;
    }
    // Any page can make a browser send its cookie, or a request from this host. It cannot add an API key.
    if is_unsafe(request.method()) && !identity.by_key {
        same_site::require(request.headers())?;
    }
    request.extensions_mut().insert(principal);
    Ok(request)
}

/// Whether the method is unsafe, i.e. may change something (RFC 9110 §9.2.1).
fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn not_allowed(rules: &[Rule], path: &str) -> Failure {
    let methods = routes::methods(rules, path);
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
        Self { key, session: session::read_cookie(headers, session::COOKIE).map(str::to_owned) }
    }

    fn identify(self, connection: &Connection) -> Result<Identity, InputError> {
        let has_to_log_in = settings::is_authentication_enabled(connection)?;
        let by_key = self.key.is_some();
        let mut principal = match (self.key, self.session) {
            // An unknown key gets no permissions, even if the request has a valid session, too.
            (Some(key), _) => keys::by_token(connection, &key)?
                .map(|(user, permissions)| Principal { user, permissions, ..Principal::default() })
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
