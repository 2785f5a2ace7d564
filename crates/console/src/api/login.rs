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

use super::users::hash as hash_new;
use crate::{
    Failure, Site,
    auth::{Peer, Principal, session},
    body::JsonBody,
    entities::{
        find, update,
        users::{Credentials, User, UserInput, by_name},
    },
    failure::{HttpResult, InputError},
};
use volume::{
    error::Error,
    events::{self, Event, Kind},
};

/// The name in the event if the user does not exist.
const UNKNOWN_USER: &str = "an unknown user";

// Without `Debug`, because it holds passwords.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LoginInput {
    pub username: String,
    pub password: String,
    /// A new password; required if the password must be changed.
    #[serde(default)]
    pub new_password: Option<String>,
}

/// Creates a session, and returns the user with the CSRF token, and the value of `Set-Cookie`. Other sessions of the user continue. Fails with 401 for a wrong name or password, with 403 and
/// `must_change_password` if the password must be changed first, and with 429 after too many attempts.
pub(crate) async fn log_in(site: &Site, address: IpAddr, input: LoginInput) -> HttpResult<(User, HeaderValue)> {
    site.logins.attempt(&input.username, address)?;
    let database = &site.console.database;
    let username = input.username.clone();
    let found = database.call(move |connection| by_name(connection, &username)).await?;
    let (user, hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let password = Zeroizing::new(input.password);
    let new_password = input.new_password.filter(|new| !new.is_empty()).map(Zeroizing::new);
    let is_right = site.logins.verify(password.clone(), hash).await?;
    // An unknown name is not recorded, because it may be a password in the wrong field.
    let known = user.as_ref().map_or_else(|| UNKNOWN_USER.to_owned(), |user| user.username.clone());
    let Some(user) = user.filter(|_| is_right) else {
        let event = Event::new(Kind::LoginFailed).with("Username", known).with("Address", address.to_string());
        events::record(&site.console.volume, &event);
        return Err(Failure::new(StatusCode::UNAUTHORIZED, "wrong user name or password"));
    };
    let new_hash = match new_password {
        Some(new) if *new == *password => {
            let same = Error::usage("the new password is the same as the old one");
            return Err(Failure::from(same).about("NewPassword"));
        }
        Some(new) => Some(hash_new(site, new).await?),
        None if user.must_change_password => {
            let mut failure = Failure::new(StatusCode::FORBIDDEN, "the password has to be changed")
                .hint("log in again with NewPassword");
            failure.problem.must_change_password = true;
            return Err(failure);
        }
        None => None,
    };
    let (user, made) = database
        .call(move |connection| {
            let user: User = match new_hash {
                Some(_) => {
                    let input = UserInput { must_change_password: Some(false), ..UserInput::default() };
                    update(connection, &user.id, input, Credentials { hash: new_hash, session: None })?
                }
                None => find(connection, &user.id)?,
            };
            let made = session::create(connection, &user.id)?;
            Ok::<_, InputError>((user, made))
        })
        .await?;
    let cookie = session::cookie(Some(&made.token), site.is_tls)?;
    Ok((User { csrf_token: Some(made.csrf), ..user }, cookie))
}

/// Ends the session. Returns the `Set-Cookie` that removes its cookie.
pub(crate) async fn log_out(site: &Site, principal: &Principal) -> HttpResult<HeaderValue> {
    if let Some(hash) = principal.session.clone() {
        site.console.database.call(move |connection| session::end(connection, &hash)).await?;
    }
    Ok(session::cookie(None, site.is_tls)?)
}

pub(super) async fn login(
    State(site): State<Arc<Site>>,
    Peer(address): Peer,
    JsonBody(input): JsonBody<LoginInput>,
) -> HttpResult<Response> {
    let (user, cookie) = log_in(&site, address, input).await?;
    Ok(([(header::SET_COOKIE, cookie)], Json(user)).into_response())
}

pub(super) async fn logout(State(site): State<Arc<Site>>, principal: Principal) -> HttpResult<Response> {
    let cookie = log_out(&site, &principal).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
