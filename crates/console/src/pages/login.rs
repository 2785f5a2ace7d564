//! `/login`, `/logout`, `/first-run`, `/account`.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    fields::Fields,
    flash::Flash,
    form::Filled,
    layout::html_of,
    view,
    visit::{Visit, instance, refuse, sentences},
};
use crate::{
    Failure, Site,
    api::{LoginInput, create_user, log_in, log_out, set_setting, update_user},
    auth::Peer,
    entities::{roles, users::UserInput},
    failure::HttpResult,
};

/// The page to return to after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// Words of error messages, and the fields that show these errors.
const FIELDS: &[(&str, &str)] =
    &[("password", "NewPassword"), ("NewPassword", "NewPassword"), ("user", "Username"), ("Username", "Username")];

/// Returns `/` unless `next` is a path on this console, so that a login link cannot redirect to another site.
fn safe(next: &str) -> &str {
    let is_other = |char: char| char == '\\' || char.is_control();
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(is_other);
    if is_path { next } else { "/" }
}

pub(super) async fn show(State(site): State<Arc<Site>>, Query(Next { next }): Query<Next>) -> HttpResult<Response> {
    Ok(html_of(view::login::login(&instance(&site).await?, safe(&next), &Filled::default())).into_response())
}

pub(super) async fn submit(State(site): State<Arc<Site>>, Peer(address): Peer, fields: Fields) -> HttpResult<Response> {
    let next = safe(fields.text("next")).to_owned();
    let mut filled = fields.filled(&["Username"]);
    let is_change = fields.has("NewPassword");
    let title = instance(&site).await?;
    if is_change && !same_twice(&fields, &mut filled) {
        return Ok(unprocessable(view::login::new_password(&title, &next, &filled)));
    }
    let input = LoginInput {
        username: fields.text("Username").to_owned(),
        password: fields.text("Password").to_owned(),
        new_password: is_change.then(|| fields.text("NewPassword").to_owned()),
    };
    match log_in(&site, address, input).await {
        Ok(done) => Ok(([(header::SET_COOKIE, done.cookie)], Redirect::to(&next)).into_response()),
        Err(failure) if failure.problem.must_change_password => {
            Ok(html_of(view::login::new_password(&title, &next, &filled)).into_response())
        }
        Err(failure) if failure.status.is_server_error() => Err(failure),
        Err(failure) => {
            let name = if is_change && failure.problem.error.contains("new password") { "NewPassword" } else { "" };
            filled.refuse(name, sentences(&failure));
            let form = if is_change { view::login::new_password } else { view::login::login };
            Ok((failure.status, html_of(form(&title, &next, &filled))).into_response())
        }
    }
}

fn same_twice(fields: &Fields, filled: &mut Filled) -> bool {
    let is_same = fields.text("NewPassword") == fields.text("Again");
    if !is_same {
        filled.refuse("Again", "The passwords don’t match.");
    }
    is_same
}

fn unprocessable(page: maud::Markup) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, html_of(page)).into_response()
}

pub(super) async fn leave(visit: Visit) -> HttpResult<Response> {
    let cookie = log_out(&visit.site, &visit.who).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

pub(super) async fn show_first_run(visit: Visit) -> HttpResult<Response> {
    if !visit.who.is_open {
        return Ok(Redirect::to("/").into_response());
    }
    let filled = Filled::with([("Username", "admin".to_owned())]);
    Ok(html_of(view::login::first_run(&instance(&visit.site).await?, visit.csrf(), &filled)).into_response())
}

pub(super) async fn submit_first_run(visit: Visit, Peer(address): Peer, fields: Fields) -> HttpResult<Response> {
    if !visit.who.is_open {
        return Ok(Redirect::to("/").into_response());
    }
    let mut filled = fields.filled(&["Username"]);
    let done = if same_twice(&fields, &mut filled) {
        first_administrator(&visit, address, &fields)
            .await
            .or_else(|failure| refuse(&mut filled, failure, FIELDS).map(|()| None))?
    } else {
        None
    };
    match done {
        Some(response) => Ok(response),
        None => Ok(unprocessable(view::login::first_run(&instance(&visit.site).await?, visit.csrf(), &filled))),
    }
}

async fn first_administrator(
    visit: &Visit,
    address: std::net::IpAddr,
    fields: &Fields,
) -> HttpResult<Option<Response>> {
    let (username, password) = (fields.text("Username").to_owned(), fields.text("NewPassword").to_owned());
    if password.is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "NewPassword is empty"));
    }
    let input = UserInput {
        username: Some(username.clone()),
        role_ids: Some(vec![roles::ADMINISTRATOR.to_owned()]),
        new_password: Some(password.clone()),
        ..UserInput::default()
    };
    create_user(&visit.site, &visit.who, input).await?;
    set_setting(&visit.site, &visit.who, "setting-isauthenticationenabled".to_owned(), true.into()).await?;
    let input = LoginInput { username, password, new_password: None };
    let done = log_in(&visit.site, address, input).await?;
    let words = "The password is set, and you are logged in. From its next start, the console also accepts connections from other hosts.";
    let mut response = Flash::done(words).redirect("/backups");
    response.headers_mut().append(header::SET_COOKIE, done.cookie);
    Ok(Some(response))
}

pub(super) async fn show_account(visit: Visit) -> HttpResult<Response> {
    let Some(user) = &visit.who.user else { return Ok(Redirect::to("/").into_response()) };
    let body = view::login::account(&user.username, visit.csrf(), &Filled::default());
    visit.page_of(None, "Your account", &body).await
}

pub(super) async fn submit_account(visit: Visit, fields: Fields) -> HttpResult<Response> {
    let Some(user) = visit.who.user.clone() else { return Ok(Redirect::to("/").into_response()) };
    let mut filled = Filled::default();
    if fields.text("NewPassword").is_empty() {
        filled.refuse("NewPassword", "Enter a new password.");
    } else if same_twice(&fields, &mut filled) {
        let input = UserInput {
            new_password: Some(fields.text("NewPassword").to_owned()),
            current_password: Some(fields.text("Password").to_owned()),
            ..UserInput::default()
        };
        match update_user(&visit.site, &visit.who, user.id.clone(), input).await {
            Ok(_) => return Ok(Flash::done("Your password was changed.").redirect("/account")),
            Err(failure) if failure.problem.error.contains("CurrentPassword") => {
                filled.refuse("Password", "The current password is wrong.");
            }
            Err(failure) => refuse(&mut filled, failure, FIELDS)?,
        }
    }
    let body = view::login::account(&user.username, visit.csrf(), &filled);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, visit.page_of(None, "Your account", &body).await?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_redirects_only_to_pages_of_this_console() {
        assert_eq!(safe("/events?filter=x"), "/events?filter=x");
        for elsewhere in
            ["", "https://evil.example/", "//evil.example", "/\\evil.example", "/\r\nSet-Cookie: a=b", "/\0", "/\x7f"]
        {
            assert_eq!(safe(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
