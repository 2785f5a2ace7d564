//! Who a request is from, and whether it may.
//!
//! ```text
//! no rule for method and path        405, or 404 where there is no such path
//! nobody has to log in               everybody is administrator, but from this host only, unless all were let in;
//!                                    what changes something must not come from another site's page
//! X-Seq-ApiKey, or a bearer token    the key's permissions, as far as its owner has them
//! the session's cookie               the user's; what changes something needs the CSRF token, too
//! neither                            401 wherever the rule asks for a permission
//! ```
//! A request that has passed carries [`Who`].

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
    failure::Answer,
    permission::{Permission, Permissions},
    rules::{self, Need, Rule},
};
use volume::error::Result;

/// The header that carries an API key.
pub const API_KEY: &str = "x-seq-apikey";
/// The header that carries the CSRF token.
pub const CSRF: &str = "x-seq-csrftoken";
/// The field of a form that carries it.
pub const CSRF_FIELD: &str = "csrf";

/// The address that a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Who a request is from.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The user; nobody where nobody has to log in, and for a shared API key.
    pub user: Option<User>,
    /// What it may do.
    pub permissions: Permissions,
    /// The session's CSRF token, for forms.
    pub csrf: Option<String>,
    /// The session, by the hash of its token.
    pub session: Option<String>,
    /// Whether nobody has to log in.
    pub is_open: bool,
    /// A form of several parts, whose first is still to be checked: [`Who::check_csrf`].
    pub csrf_awaited: bool,
}

impl Who {
    /// Refuses whoever lacks this permission.
    ///
    /// # Errors
    /// 401 where nobody is logged in, else 403.
    pub fn require(&self, permission: Permission) -> Answer<()> {
        if self.permissions.has(permission) {
            return Ok(());
        }
        // A key of a user's that may nothing is somebody's all the same.
        if self.user.is_none() && self.permissions == Permissions::NONE {
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "this needs somebody who is logged in")
                .hint("log in, or send an API key as X-Seq-ApiKey"));
        }
        Err(Failure::new(StatusCode::FORBIDDEN, format!("this needs the permission {}", permission.name())))
    }

    /// Checks the CSRF token that a form of several parts brought in its first part.
    ///
    /// # Errors
    /// 403 for another one.
    pub fn check_csrf(&self, token: &str) -> Answer<()> {
        match &self.csrf {
            Some(csrf) if !bool::from(csrf.as_bytes().ct_eq(token.as_bytes())) => Err(no_csrf()),
            _ => Ok(()),
        }
    }

    /// What it is called, in events and on pages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.user.as_ref().map_or("somebody", |user| &user.username)
    }

    /// The id of its user.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.user.as_ref().map(|user| user.id.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
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

/// Lets a request pass that may; stands before every route.
pub async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    match admit(&site, request).await {
        Ok(request) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

async fn admit(site: &Site, mut request: Request) -> Answer<Request> {
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    let rule = rules::find(request.method(), &path).ok_or_else(|| not_allowed(&path))?;
    let credentials = Credentials::of(request.headers());
    let identity = site.console.database.call(move |connection| credentials.identify(connection)).await;
    let identity = identity.or_else(|error| if path == rules::PROBE { Ok(Identity::unknown()) } else { Err(error) })?;
    let mut who = identity.who;
    if !identity.has_to_log_in && !site.open_to_all {
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        same_site::require_this_host(request.headers(), peer)?;
    }
    if let Need::Permission(permission) = rule.need {
        who.require(permission)?;
    }
    if is_unsafe(request.method()) {
        // A key is in no browser; a cookie is, and so is being on this host.
        if who.csrf.is_some() {
            request = check_csrf(&mut who, rule, request).await?;
        } else if !identity.by_key {
            same_site::require(request.headers())?;
        }
    }
    request.extensions_mut().insert(who);
    Ok(request)
}

/// Whether a request may change something.
fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn check_csrf(who: &mut Who, rule: &Rule, request: Request) -> Answer<Request> {
    let of_header = request.headers().get(CSRF).and_then(|value| value.to_str().ok());
    if let Some(token) = of_header {
        return who.check_csrf(token).map(|()| request);
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") && rule.takes_parts {
        who.csrf_awaited = true;
        return Ok(request);
    }
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err(no_csrf());
    }
    let (token, request) = same_site::token_of_form(request).await?;
    who.check_csrf(token.as_deref().unwrap_or_default())?;
    Ok(request)
}

fn no_csrf() -> Failure {
    Failure::new(StatusCode::FORBIDDEN, "the CSRF token is absent, or not the session's")
        .hint("send the CsrfToken of the login as X-Seq-CsrfToken; on a page, load it again")
}

fn not_allowed(path: &str) -> Failure {
    let methods = rules::methods(path);
    if methods.is_empty() {
        log::error!("{path} has no rule, and is shown to nobody");
        return Failure::new(StatusCode::NOT_FOUND, "there is nothing here");
    }
    let mut failure = Failure::new(StatusCode::METHOD_NOT_ALLOWED, format!("this takes {methods}"));
    failure.header = methods.parse().ok().map(|methods| Box::new((header::ALLOW, methods)));
    failure
}

/// What a request brings along to say who it is from.
#[derive(Default)]
struct Credentials {
    key: Option<String>,
    session: Option<String>,
}

struct Identity {
    has_to_log_in: bool,
    by_key: bool,
    who: Who,
}

impl Identity {
    /// Somebody, while the database cannot be read.
    fn unknown() -> Self {
        Self { has_to_log_in: true, by_key: false, who: Who::default() }
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
        let mut who = match (self.key, self.session) {
            // A key that is not known is nobody's, whatever else comes with it.
            (Some(key), _) => keys::by_token(connection, &key)?
                .map(|(_, user, permissions)| Who { user, permissions, ..Who::default() })
                .unwrap_or_default(),
            (None, Some(token)) => session::find(connection, &token)?.unwrap_or_default(),
            (None, None) => Who::default(),
        };
        if !has_to_log_in {
            who.permissions = if by_key { who.permissions } else { Permissions::all() };
            who.is_open = true;
        }
        Ok(Identity { has_to_log_in, by_key, who })
    }
}
