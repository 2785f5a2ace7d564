//! Logging in and out.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::take::Take;
use crate::{
    Failure, Site,
    auth::{Peer, Who, session},
    entities::users::{self, User},
    failure::{Answer, Problem},
    router,
};
use volume::{
    error::Error,
    events::{self, Event, Kind},
};

/// Who could not log in, where there is no such user.
const NOBODY: &str = "an unknown user";

/// A user name and a password.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub struct LoginInput {
    /// The user's name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Another password, from now on; needed where it has to be changed.
    #[serde(default)]
    pub new_password: Option<String>,
}

impl std::fmt::Debug for LoginInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginInput").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Somebody who has logged in.
#[derive(Debug)]
pub struct LoggedIn {
    /// The user, with its CSRF token.
    pub user: User,
    /// The cookie, for `Set-Cookie`.
    pub cookie: HeaderValue,
}

/// Logs somebody in, for the API and for the page. Another session of the same browser goes on.
///
/// # Errors
/// 401 for a wrong name or password, 403 where the password has to be changed first (`must_change_password` is set
/// then), 429 after too many attempts, 400 for a new password that nobody should have.
pub async fn log_in(site: &Site, address: IpAddr, input: LoginInput) -> Answer<LoggedIn> {
    site.logins.attempt(&input.username, address)?;
    let database = &site.console.database;
    let username = input.username.clone();
    let found = database.call(move |connection| users::by_name(connection, &username)).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let password = Zeroizing::new(input.password);
    let new_password = input.new_password.filter(|new| !new.is_empty()).map(Zeroizing::new);
    let is_right = site.logins.is(password.clone(), hash).await?;
    // A name that nobody has may be a password in the wrong field: it is not written down.
    let known = user.as_ref().map_or_else(|| NOBODY.to_owned(), |user| user.username.clone());
    let Some(user) = user.filter(|_| is_right) else {
        let event = Event::new(Kind::LoginFailed).with("Username", known).with("Address", address.to_string());
        events::record(&site.console.volume, &event);
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "the user name or the password is wrong"));
    };
    let new_hash = match new_password {
        Some(new) if *new == *password => {
            return Err(Error::usage("the new password is the old one").into());
        }
        Some(new) => Some(site.logins.hash(new).await?),
        None if user.must_change_password => {
            let mut failure = Failure::new(StatusCode::FORBIDDEN, "the password has to be changed")
                .hint("log in again, with NewPassword");
            failure.problem.must_change_password = true;
            return Err(failure);
        }
        None => None,
    };
    let (user, made) = database
        .call(move |connection| {
            let user = match &new_hash {
                Some(hash) => users::set_password(connection, &user.id, hash)?,
                None => users::find(connection, &user.id)?,
            };
            let made = session::create(connection, &user.id)?;
            Ok((user, made))
        })
        .await?;
    let cookie = session::cookie(&made.token, site.is_tls)?;
    Ok(LoggedIn { user: User { csrf_token: Some(made.csrf), ..user }, cookie })
}

/// Ends a session. The cookie that makes the browser forget it.
///
/// # Errors
/// Where the database cannot be written.
pub async fn log_out(site: &Site, who: &Who) -> Answer<HeaderValue> {
    if let Some(hash) = who.session.clone() {
        site.console.database.call(move |connection| session::end(connection, &hash)).await?;
    }
    Ok(session::no_cookie(site.is_tls)?)
}

/// Log in: the answer sets the session's cookie, and has its `CsrfToken`.
#[utoipa::path(post, path = "/api/users/login", security(()), request_body = LoginInput, responses(
    (status = 200, body = User),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 408, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn login(
    State(site): State<Arc<Site>>,
    Peer(address): Peer,
    Take(input): Take<LoginInput>,
) -> Answer<Response> {
    let LoggedIn { user, cookie } = log_in(&site, address, input).await?;
    Ok(([(header::SET_COOKIE, cookie)], Json(user)).into_response())
}

/// End the session.
#[utoipa::path(post, path = "/api/users/logout", responses(
    (status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn logout(State(site): State<Arc<Site>>, who: Who) -> Answer<Response> {
    let cookie = log_out(&site, &who).await?;
    Ok(([(header::SET_COOKIE, cookie)], router::nothing()).into_response())
}
