//! `/login`, `/logout`, `/first-run`, `/account`.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{
    flash::Flash,
    form::{self, Field, Fields, Filled},
    layout::{self, html_of},
    visit::{Visit, instance, refuse, sentences},
};
use crate::{
    Failure, Site,
    api::{
        LoginInput, log_in, log_out,
        resource::{add, change},
        set_setting,
    },
    auth::Peer,
    entities::{
        roles,
        users::{User, UserInput},
    },
    failure::HttpResult,
};

/// The page to return to after the login.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

/// Returns `/` unless `next` is a path on this console, so that a login link cannot redirect to another site.
fn safe(next: &str) -> &str {
    let is_other = |char: char| char == '\\' || char.is_control();
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains(is_other);
    if is_path { next } else { "/" }
}

pub(super) async fn show(State(site): State<Arc<Site>>, Query(Next { next }): Query<Next>) -> HttpResult<Response> {
    Ok(html_of(login_form(&instance(&site).await?, safe(&next), &Filled::default())).into_response())
}

pub(super) async fn submit(State(site): State<Arc<Site>>, Peer(address): Peer, fields: Fields) -> HttpResult<Response> {
    let next = safe(fields.text("next")).to_owned();
    let mut filled = fields.filled(&["Username"]);
    let is_change = fields.has("NewPassword");
    let title = instance(&site).await?;
    if is_change && !same_twice(&fields, &mut filled) {
        return Ok(unprocessable(new_password_form(&title, &next, &filled)));
    }
    let input = LoginInput {
        username: fields.text("Username").to_owned(),
        password: fields.text("Password").to_owned(),
        new_password: is_change.then(|| fields.text("NewPassword").to_owned()),
    };
    match log_in(&site, address, input).await {
        Ok((_, cookie)) => Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&next)).into_response()),
        Err(failure) if failure.problem.must_change_password => {
            Ok(html_of(new_password_form(&title, &next, &filled)).into_response())
        }
        Err(failure) if failure.status.is_server_error() => Err(failure),
        Err(failure) => {
            filled.refuse(failure.field.unwrap_or_default(), sentences(&failure));
            let form = if is_change { new_password_form } else { login_form };
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

fn unprocessable(page: Markup) -> Response {
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
    Ok(html_of(first_run_form(&instance(&visit.site).await?, &filled)).into_response())
}

pub(super) async fn submit_first_run(visit: Visit, Peer(address): Peer, fields: Fields) -> HttpResult<Response> {
    if !visit.who.is_open {
        return Ok(Redirect::to("/").into_response());
    }
    let mut filled = fields.filled(&["Username"]);
    if same_twice(&fields, &mut filled) {
        match first_administrator(&visit, address, &fields).await {
            Ok(response) => return Ok(response),
            Err(failure) => refuse(&mut filled, failure, str::to_owned)?,
        }
    }
    Ok(unprocessable(first_run_form(&instance(&visit.site).await?, &filled)))
}

async fn first_administrator(visit: &Visit, address: std::net::IpAddr, fields: &Fields) -> HttpResult<Response> {
    let (username, password) = (fields.text("Username").to_owned(), fields.text("NewPassword").to_owned());
    if password.is_empty() {
        return Err(Failure::new(StatusCode::BAD_REQUEST, "NewPassword is empty").about("NewPassword"));
    }
    let input = UserInput {
        username: Some(username.clone()),
        role_ids: Some(vec![roles::ADMINISTRATOR.to_owned()]),
        new_password: Some(password.clone()),
        ..UserInput::default()
    };
    add::<User>(&visit.site, &visit.who, input).await?;
    set_setting(&visit.site, &visit.who, "setting-isauthenticationenabled".to_owned(), true.into()).await?;
    let input = LoginInput { username, password, new_password: None };
    let (_, cookie) = log_in(&visit.site, address, input).await?;
    let words = "The password is set, and you are logged in. From its next start, the console also accepts connections from other hosts.";
    let mut response = Flash::done(words).redirect("/backups");
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

pub(super) async fn show_account(visit: Visit) -> HttpResult<Response> {
    let Some(user) = &visit.who.user else { return Ok(Redirect::to("/").into_response()) };
    let body = account_form(&user.username, &Filled::default());
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
        match change::<User>(&visit.site, &visit.who, user.id.clone(), input).await {
            Ok(_) => return Ok(Flash::done("Your password was changed.").redirect("/account")),
            Err(failure) if failure.field == Some("CurrentPassword") => {
                filled.refuse("Password", "The current password is wrong.");
            }
            Err(failure) => refuse(&mut filled, failure, str::to_owned)?,
        }
    }
    let body = account_form(&user.username, &filled);
    Ok((StatusCode::UNPROCESSABLE_ENTITY, visit.page_of(None, "Your account", &body).await?).into_response())
}

/// `next` is the page to return to.
fn login_form(instance: &str, next: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/login" {
            h1 { "Log in" }
            (form::trouble(filled))
            input type="hidden" name="next" value=(next);
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("Password", "Password", "current-password").required().show(filled))
            button.primary type="submit" { "Log in" }
        }
        p.small.soft {
            "Has every user lost access? "
            code { "moorline restore" } " brings back an earlier state, including its users."
        }
    };
    layout::alone(instance, "Log in", &body)
}

/// Asks for a new password, because another person chose the current one.
fn new_password_form(instance: &str, next: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/login" {
            h1 { "Choose a new password" }
            p { "Another person chose your current password. Please replace it before you continue." }
            (form::trouble(filled))
            input type="hidden" name="next" value=(next);
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("Password", "Current password", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the new password", "new-password").required().show(filled))
            button.primary type="submit" { "Change password and log in" }
        }
    };
    layout::alone(instance, "Choose a new password", &body)
}

/// Sets the first password. Until then, everybody on this host is an administrator, and other hosts cannot connect.
fn first_run_form(instance: &str, filled: &Filled) -> Markup {
    let body = html! {
        form.card method="post" action="/first-run" {
            h1 { "Set the administrator’s password" }
            p {
                "The console requires no login yet, so it accepts connections from this host only. With a password it "
                "requires a login, and from its next start it also accepts connections from other hosts."
            }
            (form::trouble(filled))
            (Field::text("Username", "User name").autocomplete("username").required().show(filled))
            (Field::password("NewPassword", "Password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the password", "new-password").required().show(filled))
            button.primary type="submit" { "Set the password" }
        }
        p.small { a href="/backups" { "Continue without a password" } }
    };
    layout::alone(instance, "Set the administrator’s password", &body)
}

fn account_form(user: &str, filled: &Filled) -> Markup {
    html! {
        (layout::head("Your account", &format!("You are logged in as {user}."), &html! {}))
        form.card.stack method="post" action="/account" {
            h2 { "Change your password" }
            (form::trouble(filled))
            (Field::password("Password", "Current password", "current-password").required().show(filled))
            (Field::password("NewPassword", "New password", "new-password").hint("At least 8 characters.").required().show(filled))
            (Field::password("Again", "Repeat the new password", "new-password").required().show(filled))
            div.actions { button.primary type="submit" { "Change the password" } }
        }
    }
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
